import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeEach, describe, it } from "vitest";
import { epochAt, placeReader } from "../../src/core/epoch-chain.ts";
import type { StorageAdapter } from "../../src/storage/storage-adapter.ts";
import {
  append,
  batch,
  INCARNATION,
  isBusError,
  NAME,
  range,
  readAll,
  record,
  records,
  sequencesOf,
} from "../conformance/appending.ts";
import { describeWithOwnServer } from "../support/server-process.ts";
import { waitUntil, within } from "../support/wait.ts";
import { appendWhenBack, nextMissed, usePostgres } from "./postgres-fixture.ts";

await describeWithOwnServer("postgres", (start) => {
  describe("postgres: the life of the server", { timeout: 120_000 }, () => {
    const postgres = usePostgres(start);
    let storage: StorageAdapter;
    beforeEach(async () => {
      storage = await postgres.open();
      await storage.log.create(NAME, INCARNATION, 1);
    });

    async function expectNewEpochFrom(first: number): Promise<void> {
      const { links, head } = (await storage.log.state(NAME))!;
      assert.deepEqual(
        links.map((link) => link.first),
        [1, first],
      );
      assert.notEqual(links[0]!.epoch, links[1]!.epoch);
      const entries = await readAll(storage.log);
      assert.deepEqual(sequencesOf(entries), range(1, head));
      for (const entry of entries) assert.equal(entry.epoch, epochAt(links, entry.sequence));
    }

    for (const [how, signal] of [
      ["a restart", "SIGINT"],
      ["kill -9", "SIGKILL"],
    ] as const) {
      it(`S3-E.5: nothing is lost over ${how}; it heals by itself and goes on under a new epoch`, async () => {
        const stored = records(20);
        await append(storage.log, stored);
        const missed = nextMissed(storage);
        await postgres.server.end(signal);
        await waitUntil(() => storage.problem() !== undefined, { what: "the storage to notice" });
        await postgres.server.start();
        await appendWhenBack(storage, "after");
        await expectNewEpochFrom(21);
        await within(missed);
        await waitUntil(() => storage.problem() === undefined, { what: "the storage to be well again" });
        const again = await append(storage.log, [stored[7]!]);
        assert.deepEqual([again[0]!.sequence, again[0]!.duplicate], [8, true]);
      });
    }

    it("a crash that the first process of the server survives is another life", async () => {
      await append(storage.log, records(3));
      const [victim] = await postgres.tamper<{ pid: number }>(
        "SELECT pid FROM pg_stat_activity WHERE application_name LIKE 'agentbus/%' AND backend_type = 'client backend' LIMIT 1",
      );
      process.kill(victim!.pid, "SIGKILL");
      await appendWhenBack(storage, "after");
      await expectNewEpochFrom(4);
    });

    it("goes on under one epoch while the server lives", async () => {
      await append(storage.log, records(3));
      const other = await postgres.open();
      await append(other.log, records(2));
      await append(storage.log, records(1));
      assert.equal((await storage.log.state(NAME))!.links.length, 1);
    });

    it("a lost tail shows: what is issued anew has another epoch, and readers are told", async () => {
      const written = await append(storage.log, records(10));
      await postgres.tamper("DELETE FROM s.entry WHERE sequence > 6");
      await postgres.tamper("DELETE FROM s.idempotency_key WHERE sequence > 6");
      await postgres.tamper(
        "UPDATE s.log SET head = 6, end_bytes = (SELECT max(end_bytes) FROM s.entry WHERE sequence = 6)",
      );
      await postgres.server.end("SIGINT");
      await postgres.server.start();
      await appendWhenBack(storage, "anew");
      await expectNewEpochFrom(7);
      const state = (await storage.log.state(NAME))!;
      const last = written.at(-1)!;
      assert.deepEqual(placeReader(state, last.epoch, last.sequence), {
        after: 6,
        gap: { first: 7, last: 10, cause: "NEW_EPOCH" },
        rolledBack: false,
      });
    });

    it("S3-E.5: a standby takes no writes; promoted, it goes on under a new epoch", async () => {
      await append(storage.log, records(3));
      const { server } = postgres;
      const folder = await postgres.dataFolder();
      await server.end("SIGINT");
      writeFileSync(join(folder, "standby.signal"), "");
      await server.start();
      const unavailable = isBusError("STORAGE_UNAVAILABLE");
      await assert.rejects(async () => storage.log.append(batch(records(1))), unavailable);
      await assert.rejects(postgres.open(), unavailable);
      await waitUntil(() => storage.problem()?.includes("standby"), { what: "the storage to say why" });
      await postgres.tamper("SELECT pg_promote()");
      await appendWhenBack(storage, "after");
      await expectNewEpochFrom(4);
    });

    it("two nodes that find another life add one link", async () => {
      const other = await postgres.open();
      await append(storage.log, records(2));
      await postgres.server.end("SIGINT");
      await postgres.server.start();
      await Promise.all([appendWhenBack(storage, "one"), appendWhenBack(other, "two")]);
      await append(storage.log, [record()]);
      await expectNewEpochFrom(3);
    });
  });
});
