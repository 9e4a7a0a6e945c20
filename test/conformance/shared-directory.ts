import assert from "node:assert/strict";
import { afterEach, beforeEach, describe, it } from "vitest";
import type { Directory, RecordKey } from "../../src/storage/directory.ts";
import type { StorageAdapter } from "../../src/storage/storage-adapter.ts";
import {
  append,
  batch,
  INCARNATION,
  NAME,
  range,
  readAll,
  record,
  records,
  sequencesOf,
  WINDOW_MS,
} from "./appending.ts";
import { type OpenedStorage, type OpenStorage, START_MS } from "./opened-storage.ts";

const key = (id: string, parent = "science"): RecordKey => ({ kind: "channel", parent, id });

export function describeSharedDirectory(open: OpenStorage): void {
  describe("records", () => {
    let opened: OpenedStorage;
    let nodes: readonly StorageAdapter[];
    let here: Directory;
    let there: Directory;
    beforeEach(async () => {
      opened = await open();
      nodes = [opened.storage, opened.other!];
      [here, there] = nodes.map((node) => node.directory) as [Directory, Directory];
    });
    afterEach(() => opened.dispose());
    const either = (n: number) => (n % 2 === 0 ? here : there);

    it("S3-FR-004: what one node writes the other reads, at once", async () => {
      assert.equal((await here.put(key("a"), { n: 1 })).kind, "stored");
      assert.deepEqual((await there.get(key("a")))!.value, { n: 1 });
      await there.put(key("a"), { n: 2 }, { expectedVersion: 1 });
      assert.deepEqual((await here.list({ kind: "channel", limit: 10 }))[0]!.value, { n: 2 });
      assert.equal(await here.delete(key("a"), 2), true);
      assert.equal(await there.get(key("a")), undefined);
      assert.equal(await there.count("channel", "science"), 0);
      assert.deepEqual(await there.put(key("a"), {}), { kind: "stored", version: 3, expiresAtMs: 0 });
    });

    it("lets one of many creators win", async () => {
      for (const round of range(1, 10)) {
        const put = (n: number) => either(n).put(key(`${round}`), { n }, { expectedVersion: 0 });
        const outcomes = await Promise.all(range(1, 12).map(put));
        assert.equal(outcomes.filter((outcome) => outcome.kind === "stored").length, 1, `round ${round}`);
        const winner = outcomes.findIndex((outcome) => outcome.kind === "stored") + 1;
        assert.deepEqual((await here.get(key(`${round}`)))!.value, { n: winner });
      }
    });

    it("loses no update among many that compare versions", async () => {
      await here.put(key("a"), { n: 0 });
      const increment = async (directory: Directory) => {
        for (;;) {
          const { version, value } = (await directory.get(key("a")))!;
          const next = { n: (value as { n: number }).n + 1 };
          if ((await directory.put(key("a"), next, { expectedVersion: version })).kind === "stored") return;
        }
      };
      await Promise.all(range(1, 20).map((n) => increment(either(n))));
      const { value, version } = (await there.get(key("a")))!;
      assert.deepEqual([value, version], [{ n: 20 }, 21]);
    });

    it("deletes at a version once, against writers of the same version", async () => {
      for (const round of range(1, 20)) {
        const id = key(`r-${round}`);
        await here.put(id, {});
        const [removed, again, written] = await Promise.all([
          here.delete(id, 1),
          there.delete(id, 1),
          there.put(id, { kept: true }, { expectedVersion: 1 }),
        ]);
        const won = [removed, again, written.kind === "stored"].filter(Boolean);
        assert.equal(won.length, 1, `round ${round}`);
        assert.equal((await here.get(id)) !== undefined, written.kind === "stored");
      }
    });

    it("keeps the limit of a parent, whoever adds", async () => {
      for (const round of range(1, 10)) {
        const put = (n: number) => either(n).put(key(`${n}`, `p-${round}`), {}, { maxInParent: 5 });
        const outcomes = await Promise.all(range(1, 16).map(put));
        assert.equal(outcomes.filter((outcome) => outcome.kind === "stored").length, 5, `round ${round}`);
        assert.equal(await there.count("channel", `p-${round}`), 5);
      }
    });

    it("ends a record on both at the same moment, and one of those who take its place wins", async () => {
      const timeToLiveMs = 100;
      for (const [n, [mine, yours]] of [[here, there] as const, [there, here] as const].entries()) {
        const lease = key(`lease-${n}`);
        await mine.put(lease, { holder: "mine" }, { expectedVersion: 0, timeToLiveMs });
        opened.advance(timeToLiveMs - 1);
        assert.equal((await yours.put(lease, {}, { expectedVersion: 0, timeToLiveMs })).kind, "conflict");
        assert.equal((await yours.get(lease))!.expiresAtMs, START_MS + (n + 1) * timeToLiveMs);
        opened.advance(1);
        assert.deepEqual([await mine.get(lease), await yours.get(lease)], [undefined, undefined]);
        // The one who had it cannot renew it any more.
        assert.equal((await mine.put(lease, {}, { expectedVersion: 1, timeToLiveMs })).kind, "conflict");
        const take = (each: number) => either(each).put(lease, { each }, { expectedVersion: 0, timeToLiveMs });
        const outcomes = await Promise.all(range(1, 10).map(take));
        assert.equal(outcomes.filter((outcome) => outcome.kind === "stored").length, 1);
      }
    });

    it("goes no further than its own bus", async () => {
      const elsewhere = await open();
      try {
        await here.put(key("a"), { n: 1 });
        await nodes[0]!.log.create(NAME, INCARNATION, 1);
        assert.equal(await elsewhere.storage.directory.get(key("a")), undefined);
        assert.equal(await elsewhere.storage.log.state(NAME), undefined);
        await elsewhere.storage.directory.put(key("a"), { n: 2 });
        assert.deepEqual((await there.get(key("a")))!.value, { n: 1 });
      } finally {
        await elsewhere.dispose();
      }
    });

    it("is swept by both at once, and keeps what is still valid", async () => {
      const { log } = nodes[0]!;
      await log.create(NAME, INCARNATION, 1);
      const [old, young] = [record(), record()];
      await append(log, [old]);
      for (const n of range(1, 50)) await here.put(key(`short-${n}`), {}, { timeToLiveMs: 1_000 });
      await here.put(key("long"), {}, { timeToLiveMs: WINDOW_MS + 1_000 });
      await here.put(key("ever"), {});
      opened.advance(WINDOW_MS);
      await append(log, [young]);
      await Promise.all([...nodes, ...nodes].map((node) => node.sweep?.()));
      const left = await there.list({ kind: "channel", limit: 1_000 });
      assert.deepEqual(
        left.map((each) => each.key.id),
        ["ever", "long"],
      );
      assert.equal((await readAll(nodes[1]!.log)).length, 2);
      const [again] = await append(nodes[1]!.log, [young]);
      assert.deepEqual([again!.sequence, again!.duplicate], [2, true]);
      const [anew] = await append(nodes[1]!.log, [old]);
      assert.deepEqual([anew!.sequence, anew!.duplicate], [3, false]);
    });

    it("nodes that open an empty backend at the same time agree on its schema", async () => {
      const buses = await Promise.all(range(1, 4).map(() => open()));
      try {
        for (const { storage, other } of buses) {
          await storage.log.create(NAME, INCARNATION, 1);
          const appended = await Promise.all([append(storage.log, records(1)), append(other!.log, records(1))]);
          assert.deepEqual(sequencesOf(appended.flat()).sort(), [1, 2]);
          assert.equal((await other!.log.append(batch(records(1)))).kind, "appended");
        }
      } finally {
        await Promise.all(buses.map((bus) => bus.dispose()));
      }
    });
  });
}
