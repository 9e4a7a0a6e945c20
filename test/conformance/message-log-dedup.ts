import assert from "node:assert/strict";
import { describe, it } from "vitest";
import { channelName } from "../../src/core/names.ts";
import type { AppendRecord } from "../../src/storage/message-log.ts";
import {
  append,
  batch,
  entriesOf,
  INCARNATION,
  NAME,
  range,
  readAll,
  record,
  records,
  WINDOW_MS,
} from "./appending.ts";
import type { OpenedStorage } from "./opened-storage.ts";

export function describeDeduplication(opened: () => OpenedStorage): void {
  describe("idempotency keys", () => {
    const log = () => opened().storage.log;

    it("the same key with the same content gives the same position and stores nothing", async () => {
      const repeated = record();
      const [first] = await append(log(), [repeated]);
      await append(log(), records(1));
      opened().advance(10);
      const [again] = await append(log(), [{ ...repeated, id: "another id" }]);
      assert.deepEqual(again, { ...first!, duplicate: true });
      assert.equal((await log().state(NAME))!.head, 2);
    });

    it("the same key with other content is a conflict, and nothing of the batch is stored or remembered", async () => {
      await append(log(), [record({ id: "used" })]);
      const fresh = record();
      const outcome = await log().append(batch([fresh, record({ id: "used", contentDigest: 8 }), record()]));
      assert.deepEqual(outcome, { kind: "conflict", index: 1 });
      assert.equal((await log().state(NAME))!.head, 1);
      const [entry] = await append(log(), [{ ...fresh, contentDigest: 9 }]);
      assert.deepEqual([entry!.sequence, entry!.duplicate], [2, false]);
    });

    it("counts within one batch, too", async () => {
      const repeated = record();
      const entries = await append(log(), [repeated, record(), repeated]);
      assert.deepEqual(
        entries.map((entry) => [entry.sequence, entry.duplicate]),
        [
          [1, false],
          [2, false],
          [1, true],
        ],
      );
      const conflict = await log().append(batch([record({ id: "k" }), record({ id: "k", contentDigest: 1 })]));
      assert.deepEqual(conflict, { kind: "conflict", index: 1 });
      assert.equal((await log().state(NAME))!.head, 2);
    });

    it("stores one of many that come at the same time", async () => {
      const repeated = record();
      const outcomes = await Promise.all(range(1, 20).map(() => append(log(), [repeated])));
      assert.equal(outcomes.filter(([entry]) => !entry!.duplicate).length, 1);
      for (const [entry] of outcomes) assert.equal(entry!.sequence, 1);
      assert.equal((await readAll(log())).length, 1);
    });

    it("belongs to one sender in one log", async () => {
      const other = channelName("science", "other");
      await log().create(other, "other", 1);
      const repeated = record();
      await append(log(), [repeated]);
      const [bySender] = await append(log(), [{ ...repeated, sender: "bob" }]);
      assert.equal(bySender!.duplicate, false);
      const [byLog] = await append(log(), [repeated], { name: other, incarnation: "other" });
      assert.deepEqual([byLog!.sequence, byLog!.duplicate], [1, false]);
      // Where sender ends and key begins matters.
      await append(log(), [record({ sender: "ab", idempotencyKey: "c" })]);
      const [split] = await append(log(), [record({ sender: "a", idempotencyKey: "bc" })]);
      assert.equal(split!.duplicate, false);
    });

    it("without a key nothing is a duplicate", async () => {
      const keyless = record({ idempotencyKey: "" });
      const entries = await append(log(), [keyless, keyless]);
      assert.deepEqual(
        entries.map((entry) => entry.duplicate),
        [false, false],
      );
    });

    it("is forgotten when its window has passed", async () => {
      const repeated = record();
      await append(log(), [repeated]);
      opened().advance(WINDOW_MS - 1);
      assert.equal((await append(log(), [repeated]))[0]!.duplicate, true);
      opened().advance(1);
      const [entry] = await append(log(), [{ ...repeated, contentDigest: 8 }]);
      assert.deepEqual([entry!.sequence, entry!.duplicate], [2, false]);
      assert.equal((await append(log(), [{ ...repeated, contentDigest: 8 }]))[0]!.sequence, 2);
    });

    // A storage that lets go of keys in lots must not let go of one that is young because its lot is old.
    it("is remembered for its whole window, however many others come meanwhile", async () => {
      const STEPS = 5;
      const kept: AppendRecord[] = [];
      for (let step = 0; step < 4 * STEPS; step++) {
        const fresh = record();
        await append(log(), [fresh]);
        kept.push(fresh);
        const young = kept.slice(-STEPS);
        const again = await append(log(), young);
        assert.deepEqual(
          again.map(({ duplicate }) => duplicate),
          young.map(() => true),
          `step ${step}`,
        );
        opened().advance(WINDOW_MS / STEPS);
      }
    });

    it("holds over fences, new epochs and trims", async () => {
      const repeated = record();
      const [first] = await append(log(), [repeated]);
      await append(log(), records(3));
      await log().fence(NAME, INCARNATION, 2);
      await log().renewEpoch(NAME);
      await log().trim(NAME, { maxAgeMs: 0, maxMessages: 1, maxBytes: 0 });
      const outcome = await log().append(batch([repeated], { version: 2 }));
      assert.deepEqual(entriesOf(outcome), [{ ...first!, duplicate: true }]);
    });

    it("is forgotten with its log", async () => {
      const repeated = record();
      await append(log(), [repeated]);
      await log().delete(NAME, INCARNATION);
      await log().create(NAME, "again", 1);
      const [entry] = await append(log(), [{ ...repeated, contentDigest: 8 }], { incarnation: "again" });
      assert.equal(entry!.duplicate, false);
    });
  });
}
