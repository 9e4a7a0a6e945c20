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
import { useMysql } from "./mysql-fixture.ts";

describe("mysql: damaged rows", { timeout: 60_000 }, () => {
  const mysql = useMysql();
  let storage: StorageAdapter;
  /** Four blocks: 1 to 3, 4 and 5, 6 to 9, 10. */
  beforeEach(async () => {
    storage = await mysql.open();
    await storage.log.create(NAME, INCARNATION, 1);
    let next = 1;
    for (const count of [3, 2, 4, 1]) {
      const ids = range(next, next + count - 1);
      next += count;
      const audience = ["bob"];
      await append(
        storage.log,
        ids.map((n) => record({ id: `id-of-${n}`, body: Buffer.from(`body of ${n}`), audience })),
      );
    }
  });

  const read = async (backward: boolean, over = {}) =>
    storage.log.read(readRequest({ from: backward ? 11 : 0, backward, ...over }));

  const replaced = (from: string, to: string) => `content = REPLACE(content, '${from}', '${to}')`;
  for (const [what, change, damage] of [
    ["body", replaced("body of 5", "body of 6"), { first: 5, last: 5 }],
    ["sender", replaced("id-of-5alice", "id-of-5alicf"), { first: 5, last: 5 }],
    ["id", replaced("id-of-4", "id-of-9"), { first: 4, last: 4 }],
    ["audience", replaced("bobbody of 4", "babbody of 4"), { first: 4, last: 4 }],
    ["time", "accepted_at = accepted_at + 1", { first: 4, last: 5 }],
    ["epoch", "epoch = epoch + 1", { first: 4, last: 5 }],
    ["length", "content = CONCAT(content, 'x')", { first: 4, last: 5 }],
    ["table of headers", "content = CONCAT(x'ffffffff', SUBSTRING(content, 5))", { first: 4, last: 4 }],
    ["content that is gone", "content = ''", { first: 4, last: 5 }],
  ] as const) {
    it(`a changed ${what} is told as damaged and never returned`, async () => {
      await mysql.tamper(`UPDATE t_block SET ${change} WHERE first_sequence = 4`);
      const left = range(1, 10).filter((n) => n < damage.first || n > damage.last);
      for (const backward of [false, true]) {
        const { entries, damaged } = await read(backward);
        assert.deepEqual(sequencesOf(entries), backward ? left.toReversed() : left);
        assert.deepEqual(damaged, [damage]);
      }
    });
  }

  it("rows that are missing are told as damaged, wherever they were", async () => {
    await mysql.tamper("DELETE FROM t_block WHERE last_sequence IN (3, 9)");
    for (const backward of [false, true]) {
      const ranges = [];
      const sequences: number[] = [];
      for (let from = backward ? 11 : 0; ; ) {
        const { entries, damaged } = await storage.log.read(readRequest({ from, backward }));
        sequences.push(...sequencesOf(entries));
        ranges.push(...damaged);
        if (entries.length === 0) break;
        from = entries.at(-1)!.sequence;
      }
      assert.deepEqual(sequences, backward ? [10, 5, 4] : [4, 5, 10]);
      assert.deepEqual(
        ranges.toSorted((a, b) => a.first - b.first),
        [
          { first: 1, last: 3 },
          { first: 6, last: 9 },
        ],
      );
    }
  });

  it("what lies behind a hole larger than the page is found", async () => {
    await mysql.tamper("DELETE FROM t_block WHERE last_sequence IN (5, 9)");
    const forward = await read(false, { from: 3, maxEntries: 2 });
    assert.deepEqual([sequencesOf(forward.entries), forward.damaged], [[10], [{ first: 4, last: 9 }]]);
    const backward = await read(true, { from: 10, maxEntries: 2 });
    assert.deepEqual([sequencesOf(backward.entries), backward.damaged], [[3, 2], [{ first: 4, last: 9 }]]);
  });

  it("a log whose every row is gone is damaged from floor to head", async () => {
    await mysql.tamper("DELETE FROM t_block");
    for (const backward of [false, true]) {
      const { entries, damaged } = await read(backward);
      assert.deepEqual([entries, damaged], [[], [{ first: 1, last: 10 }]]);
    }
  });

  it("does not answer by id with what is damaged", async () => {
    await mysql.tamper(`UPDATE t_block SET ${replaced("body of 4", "body of 9")}`);
    await assert.rejects(storage.log.findId(NAME, "id-of-4"), isBusError("DATA_DAMAGED"));
    assert.equal(await storage.log.findId(NAME, "id-of-6"), 6);
  });

  it("a changed record is told, and healed by being written", async () => {
    const key = { kind: "room", parent: "", id: "a" };
    await storage.directory.put(key, { n: 1 });
    await mysql.tamper("UPDATE t_record SET value = '{\"n\":2}'");
    await assert.rejects(storage.directory.get(key), isBusError("DATA_DAMAGED"));
    await assert.rejects(storage.directory.put(key, {}, { expectedVersion: 1 }), isBusError("DATA_DAMAGED"));
    await storage.directory.put(key, { n: 3 });
    assert.deepEqual((await storage.directory.get(key))!.value, { n: 3 });
  });
});
