import assert from "node:assert/strict";
import { describe, it } from "vitest";
import type { RetentionConfig } from "../../src/core/room.ts";
import { append, NAME, range, readAll, readRequest, record, records, sequencesOf } from "./appending.ts";
import { type OpenedStorage, START_MS } from "./opened-storage.ts";

const NO_LIMIT: RetentionConfig = { maxAgeMs: 0, maxMessages: 0, maxBytes: 0 };

export function describeRetention(opened: () => OpenedStorage): void {
  describe("retention", () => {
    const log = () => opened().storage.log;
    const trim = (over: Partial<RetentionConfig>) => log().trim(NAME, { ...NO_LIMIT, ...over });
    const tens = (count: number) => append(log(), records(count, { body: Buffer.alloc(10) }));

    it("removes nothing while nothing is too much", async () => {
      await tens(3);
      const state = await trim({ maxAgeMs: 1_000, maxMessages: 3, maxBytes: 30 });
      assert.deepEqual([state.floor, state.head, state.sizeBytes], [1, 3, 30]);
      assert.equal((await trim({})).floor, 1);
    });

    it("is exact by count, whatever the batches were", async () => {
      for (const count of [3, 4, 1, 5]) await tens(count);
      for (const maxMessages of [12, 8, 7, 2, 1]) {
        const state = await trim({ maxMessages });
        assert.deepEqual([state.floor, state.sizeBytes], [14 - maxMessages, maxMessages * 10]);
        assert.deepEqual(sequencesOf(await readAll(log())), range(14 - maxMessages, 13));
        assert.deepEqual(await log().state(NAME), state);
      }
    });

    it("is exact by bytes, and the newest message stays", async () => {
      for (const count of [3, 4, 1, 5]) await tens(count);
      assert.equal((await trim({ maxBytes: 45 })).floor, 10);
      assert.equal((await trim({ maxBytes: 39 })).floor, 11);
      assert.deepEqual(sequencesOf(await readAll(log())), [11, 12, 13]);
      const state = await trim({ maxBytes: 1 });
      assert.deepEqual([state.floor, state.sizeBytes], [13, 10]);
    });

    it("is exact by age, the newest included", async () => {
      for (const count of [3, 2, 1]) {
        await tens(count);
        opened().advance(100);
      }
      assert.equal((await trim({ maxAgeMs: 300 })).floor, 1);
      assert.equal((await trim({ maxAgeMs: 299 })).floor, 4);
      assert.equal((await trim({ maxAgeMs: 150 })).floor, 6);
      const state = await trim({ maxAgeMs: 99 });
      assert.deepEqual([state.floor, state.head, state.sizeBytes], [7, 6, 0]);
      assert.deepEqual(await readAll(log()), []);
    });

    it("does not number again what it removed", async () => {
      await tens(4);
      opened().advance(100);
      await trim({ maxAgeMs: 1 });
      assert.deepEqual(sequencesOf(await tens(2)), [5, 6]);
      assert.deepEqual(sequencesOf(await readAll(log())), [5, 6]);
    });

    it("is seen by readers and searches", async () => {
      const gone = record();
      await append(log(), [gone, record()]);
      opened().advance(10);
      await tens(3);
      await trim({ maxMessages: 2 });
      const forward = await log().read(readRequest({ from: 0 }));
      assert.deepEqual(sequencesOf(forward.entries), [4, 5]);
      assert.equal(forward.state!.floor, 4);
      assert.deepEqual(sequencesOf((await log().read(readRequest({ from: 9, backward: true }))).entries), [5, 4]);
      assert.deepEqual((await log().read(readRequest({ from: 4, backward: true }))).entries, []);
      assert.deepEqual(await log().findId(NAME, gone.id, 0), []);
      assert.equal(await log().findTime(NAME, START_MS), 4);
    });

    it("keeps pace with appends in flight", async () => {
      const work: Promise<unknown>[] = [];
      for (let n = 0; n < 50; n++) work.push(tens(3), trim({ maxMessages: 10 }));
      await Promise.all(work);
      const state = await trim({ maxMessages: 10 });
      assert.deepEqual([state.floor, state.head, state.sizeBytes], [141, 150, 100]);
      assert.deepEqual(sequencesOf(await readAll(log())), range(141, 150));
    });
  });
}
