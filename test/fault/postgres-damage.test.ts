import assert from "node:assert/strict";
import { beforeEach, describe, it } from "vitest";
import type { StorageAdapter } from "../../src/storage/storage-adapter.ts";
import {
  append,
  INCARNATION,
  isBusError,
  NAME,
  range,
  readRequest,
  record,
  sequencesOf,
} from "../conformance/appending.ts";
import { describeWithOwnServer } from "../support/server-process.ts";
import { usePostgres } from "./postgres-fixture.ts";

await describeWithOwnServer("postgres", (start) => {
  describe("postgres: damaged rows", { timeout: 60_000 }, () => {
    const postgres = usePostgres(start);
    let storage: StorageAdapter;
    beforeEach(async () => {
      storage = await postgres.open();
      await storage.log.create(NAME, INCARNATION, 1);
      await append(
        storage.log,
        range(1, 10).map((n) => record({ id: `id-of-${n}` })),
      );
    });

    const read = async (backward: boolean, over = {}) =>
      storage.log.read(readRequest({ from: backward ? 11 : 0, backward, ...over }));

    for (const [what, change] of [
      ["body", "body = body || 'x'"],
      ["sender", "sender = 'mallory'"],
      ["audience", "audience = ''"],
      ["time", "accepted_at = accepted_at + 1"],
      ["time to live", "time_to_live = 5"],
      ["epoch", "epoch = epoch + 1"],
      ["id", "id = 'another'"],
    ]) {
      it(`a changed ${what} is told as damaged and never returned`, async () => {
        await postgres.tamper(`UPDATE s.entry SET ${change} WHERE sequence IN (4, 5)`);
        for (const backward of [false, true]) {
          const { entries, damaged } = await read(backward);
          const left = [1, 2, 3, 6, 7, 8, 9, 10];
          assert.deepEqual(sequencesOf(entries), backward ? left.reverse() : left);
          assert.deepEqual(damaged, [{ first: 4, last: 5 }]);
        }
      });
    }

    it("rows that are missing are told as damaged, wherever they were", async () => {
      await postgres.tamper("DELETE FROM s.entry WHERE sequence IN (1, 5, 6, 9, 10)");
      const ranges = [
        { first: 1, last: 1 },
        { first: 5, last: 6 },
        { first: 9, last: 10 },
      ];
      for (const backward of [false, true]) {
        const { entries, damaged } = await read(backward);
        const left = [2, 3, 4, 7, 8];
        assert.deepEqual(sequencesOf(entries), backward ? left.reverse() : left);
        assert.deepEqual(damaged, ranges);
      }
      const page = await read(false, { maxEntries: 3 });
      assert.deepEqual([sequencesOf(page.entries), page.damaged], [[2, 3, 4], [ranges[0]]]);
    });

    it("a log whose every row is gone is damaged from floor to head", async () => {
      await postgres.tamper("DELETE FROM s.entry");
      for (const backward of [false, true]) {
        const { entries, damaged } = await read(backward);
        assert.deepEqual([entries, damaged], [[], [{ first: 1, last: 10 }]]);
      }
    });

    it("does not answer by id with what is damaged", async () => {
      await postgres.tamper("UPDATE s.entry SET body = 'x' WHERE sequence = 4");
      await assert.rejects(storage.log.findId(NAME, "id-of-4"), isBusError("DATA_DAMAGED"));
      assert.equal(await storage.log.findId(NAME, "id-of-5"), 5);
    });
  });
});
