import assert from "node:assert/strict";
import { beforeEach, describe, it } from "vitest";
import type { ReadRequest, ReadResult } from "../../../src/storage/message-log.ts";
import type { StorageAdapter } from "../../../src/storage/storage-adapter.ts";
import {
  append,
  INCARNATION,
  isBusError,
  NAME,
  range,
  readRequest,
  record,
  records,
  sequencesOf,
} from "../../conformance/appending.ts";
import type { FaultyBackend } from "./backend.ts";

type SequenceRange = ReadResult["damaged"][number];

/** Ten messages with an audience, "id-of-1" with "body of 1" to "id-of-10", by four appends: 1 to 3, 4 and 5, 6 to 9, 10. */
export async function appendTen(storage: StorageAdapter): Promise<void> {
  await storage.log.create(NAME, INCARNATION, 1);
  let next = 1;
  for (const count of [3, 2, 4, 1]) {
    const numbers = range(next, next + count - 1);
    next += count;
    await append(
      storage.log,
      numbers.map((n) => record({ id: `id-of-${n}`, body: Buffer.from(`body of ${n}`), audience: ["bob"] })),
    );
  }
}

/** Of those ten, and of what came later, forward and backward: what is not damaged, in order, and what is. */
export async function expectDamage(storage: StorageAdapter, damaged: SequenceRange, last = 10): Promise<void> {
  const left = range(1, last).filter((n) => n < damaged.first || n > damaged.last);
  const forward = await storage.log.read(readRequest());
  assert.deepEqual([sequencesOf(forward.entries), forward.damaged], [left, [damaged]]);
  const backward = await storage.log.read(readRequest({ from: last + 1, backward: true }));
  assert.deepEqual([sequencesOf(backward.entries), backward.damaged], [left.toReversed(), [damaged]]);
}

/** What a shared storage does with messages that somebody or something changed behind its back. */
export function describeDamage(adapter: string, backend: FaultyBackend): void {
  describe(`${adapter}: damaged data`, () => {
    let storage: StorageAdapter;
    beforeEach(async () => {
      storage = await backend.open();
      await appendTen(storage);
    });

    /** All pages: sequences in the order of reading, and ranges that are damaged, sorted. A page may begin in a hole. */
    async function readPages(over: Partial<ReadRequest>) {
      const sequences: number[] = [];
      const damaged = new Map<number, SequenceRange>();
      for (let from = over.from ?? 0; ; from = sequences.at(-1)!) {
        const page = await storage.log.read(readRequest({ ...over, from }));
        sequences.push(...sequencesOf(page.entries));
        for (const range of page.damaged) damaged.set(range.first, range);
        if (page.entries.length > 0) continue;
        return { sequences, damaged: [...damaged.values()].sort((a, b) => a.first - b.first) };
      }
    }

    it("a changed body is told as damaged and never returned; its neighbours are", async () => {
      await backend.changeBody(5);
      await expectDamage(storage, { first: 5, last: 5 });
    });

    it("messages that are missing are told as damaged, wherever they were", async () => {
      await backend.remove(1, 3);
      await backend.remove(6, 9);
      const damaged = [
        { first: 1, last: 3 },
        { first: 6, last: 9 },
      ];
      assert.deepEqual(await readPages({}), { sequences: [4, 5, 10], damaged });
      assert.deepEqual(await readPages({ from: 11, backward: true }), { sequences: [10, 5, 4], damaged });
    });

    it("a tail that is missing is told as damaged, and what is appended behind it is read", async () => {
      await backend.remove(10, 10);
      const damaged = [{ first: 10, last: 10 }];
      assert.deepEqual(await readPages({}), { sequences: range(1, 9), damaged });
      assert.deepEqual(await readPages({ from: 11, backward: true }), { sequences: range(1, 9).reverse(), damaged });
      assert.deepEqual(sequencesOf(await append(storage.log, records(1))), [11]);
      await expectDamage(storage, { first: 10, last: 10 }, 11);
    });

    it("what lies behind a hole larger than the page is found", async () => {
      await backend.remove(4, 9);
      const read = async (over: Partial<ReadRequest>) => {
        const { entries, damaged } = await storage.log.read(readRequest({ maxEntries: 2, ...over }));
        return [sequencesOf(entries), damaged];
      };
      assert.deepEqual(await read({ from: 3 }), [[10], [{ first: 4, last: 9 }]]);
      assert.deepEqual(await read({ from: 10, backward: true }), [[3, 2], [{ first: 4, last: 9 }]]);
    });

    it("a log of which every message is gone is damaged from floor to head", async () => {
      await backend.remove(1, 10);
      await expectDamage(storage, { first: 1, last: 10 });
    });

    it("does not answer by id with what is damaged", async () => {
      await backend.changeBody(4);
      await assert.rejects(storage.log.findId(NAME, "id-of-4", 0), isBusError("DATA_DAMAGED"));
      assert.deepEqual(await storage.log.findId(NAME, "id-of-5", 0), [5]);
      assert.deepEqual(await storage.log.findId(NAME, "id-of-6", 0), [6]);
    });

    it("trims and searches go on over damage", async () => {
      await backend.remove(4, 5);
      assert.equal((await storage.log.trim(NAME, { maxAgeMs: 0, maxMessages: 5, maxBytes: 0 })).floor, 6);
      assert.equal(await storage.log.findTime(NAME, 0), 6);
      assert.deepEqual(await readPages({}), { sequences: [6, 7, 8, 9, 10], damaged: [] });
    });
  });
}
