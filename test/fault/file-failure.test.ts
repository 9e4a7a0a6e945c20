import assert from "node:assert/strict";
import { setImmediate as nextTurn } from "node:timers/promises";
import type { Worker } from "node:worker_threads";
import { afterEach, beforeEach, describe, it } from "vitest";
import { createFileStorage } from "../../src/storage/file/index.ts";
import type { StorageAdapter } from "../../src/storage/storage-adapter.ts";
import {
  append,
  INCARNATION,
  isBusError,
  NAME,
  range,
  readAll,
  record,
  records,
  sequencesOf,
} from "../conformance/appending.ts";
import { testEnvironment } from "../conformance/opened-storage.ts";
import { createLog, useDirectories } from "./file-fixture.ts";

const MIB = 1_048_576;

describe("a file storage that cannot write", () => {
  const directories = useDirectories();
  const workers: Worker[] = [];
  const noteWorker = (worker: Worker) => {
    workers.push(worker);
  };
  beforeEach(() => {
    process.on("worker", noteWorker);
  });
  afterEach(() => {
    process.off("worker", noteWorker);
    workers.length = 0;
  });

  it("refuses with STORAGE_FULL at its quota, stores nothing of it, and goes on when retention made room", async () => {
    const storage = await directories.open(directories.fresh(), { maxBytes: 2 * MIB });
    const log = await createLog(storage);
    const large = () => record({ body: Buffer.alloc(100_000, 1) });
    const stored: number[] = [];
    const refused = large();
    for (let failure: unknown; failure === undefined; ) {
      try {
        stored.push(
          ...sequencesOf(
            await append(log, [stored.length > 5 ? { ...refused, idempotencyKey: `${stored.length}` } : large()]),
          ),
        );
      } catch (error) {
        failure = error;
        assert.ok(isBusError("STORAGE_FULL")(error), String(error));
      }
    }
    assert.match(storage.problem() ?? "", /full/);
    assert.equal((await log.state(NAME))!.head, stored.length);
    // Deletions need no room.
    await log.trim(NAME, { maxAgeMs: 0, maxMessages: 2, maxBytes: 0 });
    const [entry] = await append(log, [record({ ...refused, idempotencyKey: `${stored.length}` })]);
    assert.deepEqual([entry!.sequence, entry!.duplicate], [stored.length + 1, false]);
    assert.equal(storage.problem(), undefined);
    assert.deepEqual(sequencesOf(await readAll(log)), range(stored.length - 1, stored.length + 1));
    assert.equal((await log.state(NAME))!.links.length, 1, "nothing was lost, so the epoch stays");
  });

  it("fails every append that was handed over before a failure was told", async () => {
    const storage = await directories.open(directories.fresh(), { maxBytes: MIB });
    const log = await createLog(storage);
    const told: string[] = [];
    const hand = (name: string, bytes: number): Promise<unknown> =>
      append(log, [record({ body: Buffer.alloc(bytes, 1) })]).then(
        () => told.push(`${name} stored`),
        (error) => {
          assert.ok(isBusError("STORAGE_FULL")(error), String(error));
          told.push(`${name} failed`);
          // Handed over while others are not told yet.
          return name === "large" ? hand("too early", 10) : undefined;
        },
      );
    await Promise.all([hand("large", 2 * MIB), hand("behind it", 10), hand("last", 10)]);
    assert.deepEqual(told, ["large failed", "behind it failed", "last failed", "too early failed"]);
    await nextTurn();
    assert.deepEqual(sequencesOf(await append(log, records(1))), [1]);
  });

  it("fails what was handed over while the commit that fails was in flight", async () => {
    const storage = await directories.open(directories.fresh(), { maxBytes: MIB });
    const log = await createLog(storage);
    const handed = [append(log, [record({ body: Buffer.alloc(2 * MIB, 1) })])];
    await nextTurn();
    handed.push(
      append(log, records(1)),
      log.fence(NAME, INCARNATION, 5).then(() => []),
    );
    for (const outcome of await Promise.allSettled(handed)) {
      assert.ok(outcome.status === "rejected" && isBusError("STORAGE_FULL")(outcome.reason));
    }
    const state = (await log.state(NAME))!;
    assert.deepEqual([state.head, state.version], [0, 1]);
    await nextTurn();
    assert.deepEqual(sequencesOf(await append(log, records(1))), [1]);
  });

  it("calls nothing a duplicate of what was not stored in the end", async () => {
    const storage = await directories.open(directories.fresh(), { maxBytes: MIB });
    const log = await createLog(storage);
    const large = record({ body: Buffer.alloc(2 * MIB, 1) });
    const conflicting = { ...large, contentDigest: large.contentDigest + 1, body: Buffer.alloc(1) };
    const handed = [large, large, conflicting].map((each) => append(log, [each]));
    for (const outcome of await Promise.allSettled(handed)) {
      assert.ok(outcome.status === "rejected" && isBusError("STORAGE_FULL")(outcome.reason));
    }
    await nextTurn();
    assert.deepEqual(sequencesOf(await append(log, [conflicting])), [1]);
  });

  it("loses its writing thread: everything waiting fails, and it comes back under a new epoch with all that was stored", async () => {
    const storage = await directories.open(directories.fresh());
    const log = await createLog(storage);
    const kept = records(3);
    await append(log, kept);
    const pending = range(1, 20).map(() => append(log, records(1)));
    const failed = Promise.allSettled(pending);
    await workers[0]!.terminate();
    for (const outcome of await failed) {
      if (outcome.status === "rejected")
        assert.ok(isBusError("STORAGE_UNAVAILABLE")(outcome.reason), String(outcome.reason));
    }
    assert.ok((await failed).some((outcome) => outcome.status === "rejected"));
    await recovered(storage);
    const state = (await log.state(NAME))!;
    assert.equal(state.links.length, 2);
    const entries = await readAll(log);
    assert.deepEqual(sequencesOf(entries), range(1, state.head));
    const [again, next] = await append(log, [kept[2]!, record()]);
    assert.deepEqual([again!.sequence, again!.duplicate], [3, true]);
    assert.deepEqual([next!.sequence, next!.epoch], [state.head + 1, state.links[1]!.epoch]);
  });

  it("loses its reading thread: reads in flight fail, later ones are answered by another", async () => {
    const storage = await directories.open(directories.fresh());
    const log = await createLog(storage);
    await append(log, records(3));
    assert.equal((await readAll(log)).length, 3);
    const reading = readAll(log);
    await workers[1]!.terminate();
    await reading.catch((error) => assert.ok(isBusError("STORAGE_UNAVAILABLE")(error), String(error)));
    assert.equal((await readAll(log)).length, 3);
  });

  it("answers nothing after it is closed, and closes once", async () => {
    const storage = await createFileStorage(directories.fresh(), {}, testEnvironment().environment);
    const log = await createLog(storage);
    const last = append(log, records(1));
    await Promise.all([storage.close(), storage.close()]);
    assert.deepEqual(sequencesOf(await last), [1], "what was handed over before is stored");
    const isClosed = isBusError("STORAGE_UNAVAILABLE");
    await assert.rejects(append(log, records(1)), isClosed);
    await assert.rejects(log.read({ name: NAME, from: 0, backward: false, maxEntries: 1, maxBytes: 1 }), isClosed);
    await assert.rejects(storage.directory.get({ kind: "room", parent: "", id: "a" }), isClosed);
    assert.match(storage.problem() ?? "", /closed/);
  });

  it("names every wrong option", async () => {
    const options = { maxBytes: 1.5, dedupKeys: 0, ringSize: 7 } as never;
    await assert.rejects(
      directories.open(directories.fresh(), options),
      /ringSize is unknown.*maxBytes must be.*dedupKeys must be/,
    );
  });
});

/** When the storage has nothing to complain of. */
async function recovered(storage: StorageAdapter): Promise<void> {
  while (storage.problem() !== undefined) await nextTurn();
}
