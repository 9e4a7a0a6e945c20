import assert from "node:assert/strict";
import { describe, it } from "vitest";
import { channelName } from "../../core/names.ts";
import type { AppendBatch, AppendRecord } from "../message-log.ts";
import { type AppendInputs, decideAppends, type KnownKey, type LockedHead } from "./decide-appends.ts";
import { keyedBatch, keyFingerprint } from "./keyed-batch.ts";

const HEAD: LockedHead = { incarnation: "i", version: 2, fencedAt: 1, head: 10, lastAcceptedAtMs: 1_000 };

function record(idempotencyKey: string, contentDigest = 1): AppendRecord {
  const body = new Uint8Array(1);
  return { id: "id", sender: "alice", idempotencyKey, contentDigest, audience: null, timeToLiveMs: 0, body };
}

function batch(records: readonly AppendRecord[], over: Partial<AppendBatch> = {}): AppendBatch {
  return { name: channelName("r", "c"), incarnation: "i", version: 2, dedupWindowMs: 100, records, ...over };
}

function decide(batches: readonly AppendBatch[], over: Partial<AppendInputs> = {}) {
  const keyed = batches.map(keyedBatch);
  return decideAppends({ head: HEAD, batches: keyed, known: new Map(), epoch: 7, nowMs: 2_000, ...over });
}

function known(key: string, held: Partial<KnownKey> = {}): ReadonlyMap<string, KnownKey> {
  const full = { sequence: 5, epoch: 3, acceptedAtMs: 1_950, contentDigest: 1, ...held };
  return new Map([[keyFingerprint("alice", key), full]]);
}

const stored = (sequence: number) => ({ sequence, epoch: 7, acceptedAtMs: 2_000, duplicate: false });
const duplicate = { sequence: 5, epoch: 3, acceptedAtMs: 1_950, duplicate: true };

describe("decideAppends", () => {
  it("numbers what is stored from the head on, over all batches", () => {
    const decision = decide([batch([record("a"), record("b")]), batch([record("c")])]);
    assert.deepEqual(decision.outcomes, [
      { kind: "appended", entries: [stored(11), stored(12)] },
      { kind: "appended", entries: [stored(13)] },
    ]);
    assert.deepEqual(
      decision.stored.map(({ sequence, record: { idempotencyKey } }) => [sequence, idempotencyKey]),
      [
        [11, "a"],
        [12, "b"],
        [13, "c"],
      ],
    );
    assert.deepEqual([decision.head, decision.lastAcceptedAtMs, decision.isUnchanged], [13, 2_000, false]);
  });

  it("refuses one batch and leaves the others as they are", () => {
    const decision = decide(
      [
        batch([record("a")]),
        batch([record("b")], { incarnation: "other" }),
        batch([record("c")], { version: 1 }),
        batch([record("d"), record("k", 2)]),
        batch([record("d", 9)]),
      ],
      { known: known("k") },
    );
    assert.deepEqual(decision.outcomes, [
      { kind: "appended", entries: [stored(11)] },
      { kind: "gone" },
      { kind: "stale", version: 2 },
      { kind: "conflict", index: 1 },
      { kind: "appended", entries: [stored(12)] },
    ]);
  });

  it("finds duplicates among what is kept, in other batches of the group, and in the batch itself", () => {
    const decision = decide([batch([record("k"), record("a"), record("a")]), batch([record("a"), record("b")])], {
      known: known("k"),
    });
    const again = { ...stored(11), duplicate: true };
    assert.deepEqual(decision.outcomes, [
      { kind: "appended", entries: [duplicate, stored(11), again] },
      { kind: "appended", entries: [again, stored(12)] },
    ]);
    assert.equal(decision.head, 12);
  });

  it("forgets a key when the window of the batch that asks has passed", () => {
    const at = (acceptedAtMs: number) => decide([batch([record("k", 2)])], { known: known("k", { acceptedAtMs }) });
    assert.deepEqual(at(1_901).outcomes, [{ kind: "conflict", index: 0 }]);
    assert.deepEqual(at(1_900).outcomes, [{ kind: "appended", entries: [stored(11)] }]);
    assert.equal(decide([batch([record("k", 2)], { dedupWindowMs: 0 })], { known: known("k") }).head, 11);
  });

  it("takes a newer version for its fence, at the sequence before its batch", () => {
    const decision = decide([batch([record("a")]), batch([record("b")], { version: 4 }), batch([record("c")])]);
    assert.deepEqual(decision.outcomes.at(-1), { kind: "stale", version: 4 });
    assert.deepEqual([decision.version, decision.fencedAt, decision.head], [4, 11, 12]);
    const conflict = decide([batch([record("k", 2)], { version: 5 })], { known: known("k") });
    assert.deepEqual([conflict.version, conflict.isUnchanged], [2, true]);
    const empty = decide([batch([], { version: 5 })]);
    assert.deepEqual([empty.version, empty.fencedAt, empty.isUnchanged], [5, 10, false]);
  });

  it("never lets accept times decrease, and changes nothing when all are duplicates", () => {
    const decision = decide([batch([record("a")])], { nowMs: 500 });
    assert.equal(decision.lastAcceptedAtMs, 1_000);
    const nothing = decide([batch([record("k")])], { known: known("k") });
    assert.deepEqual([nothing.isUnchanged, nothing.head, nothing.lastAcceptedAtMs], [true, 10, 1_000]);
  });

  it("answers that all are gone when there is no log", () => {
    const decision = decide([batch([record("a")]), batch([])], { head: undefined });
    assert.deepEqual(decision.outcomes, [{ kind: "gone" }, { kind: "gone" }]);
    assert.equal(decision.isUnchanged, true);
  });
});

describe("keyFingerprint", () => {
  it("parts sender and key", () => {
    assert.notEqual(keyFingerprint("ab", "c"), keyFingerprint("a", "bc"));
    assert.notEqual(keyFingerprint("1", ":x"), keyFingerprint("", "1:x"));
    assert.match(keyFingerprint("zoë", "ключ"), /^[0-9a-f]{32}$/);
  });
});
