import assert from "node:assert/strict";
import fc from "fast-check";
import { describe, it } from "vitest";
import { DedupWindow, MAX_DEDUP_WINDOW_MS } from "./dedup-window.ts";

let seed = 1;
function random(): number {
  seed = Math.imul(seed, 0x9e3779b1) >>> 0;
  return seed;
}

const open = (maxKeys: number) => new DedupWindow(maxKeys, random);

function remember(window: DedupWindow, key: string, sequence: number, atMs = 0): void {
  window.lookup(1, "alice", key);
  window.remember(sequence, 7, atMs, 9);
}

function sequenceOf(window: DedupWindow, key: string): number | undefined {
  const slot = window.lookup(1, "alice", key);
  return slot < 0 ? undefined : window.sequenceAt(slot);
}

describe("deduplication window", () => {
  it("answers what was remembered under log, sender and key", () => {
    const window = open(10);
    remember(window, "k", 3, 5);
    const slot = window.lookup(1, "alice", "k");
    const known = [
      window.sequenceAt(slot),
      window.epochAt(slot),
      window.acceptedAtMsAt(slot),
      window.contentDigestAt(slot),
    ];
    assert.deepEqual(known, [3, 7, 5, 9]);
    for (const [scope, sender, key] of [
      [2, "alice", "k"],
      [1, "alic", "ek"],
      [1, "alicek", ""],
      [1, "alice", "K"],
    ] as const) {
      assert.equal(window.lookup(scope, sender, key), -1);
    }
  });

  it("tells a hundred thousand similar keys apart, over its growth", () => {
    const window = open(100_000);
    for (let n = 1; n <= 100_000; n++) remember(window, `key-${n}`, n);
    assert.equal(window.size, 100_000);
    for (let n = 1; n <= 100_000; n++) assert.equal(sequenceOf(window, `key-${n}`), n);
    for (let n = 100_001; n <= 200_000; n++) assert.equal(sequenceOf(window, `key-${n}`), undefined);
  });

  it("forgets the oldest when it is full", () => {
    const window = open(5_000);
    for (let n = 1; n <= 12_000; n++) remember(window, `key-${n}`, n);
    assert.equal(window.size, 5_000);
    assert.equal(sequenceOf(window, "key-7000"), undefined);
    assert.equal(sequenceOf(window, "key-7001"), 7_001);
  });

  it("forgets what no channel's window reaches, as others come", () => {
    const window = open(1_000);
    for (let n = 1; n <= 100; n++) remember(window, `old-${n}`, n, 0);
    for (let n = 1; n <= 100; n++) remember(window, `new-${n}`, n, MAX_DEDUP_WINDOW_MS + 1);
    assert.equal(window.size, 100);
    assert.equal(sequenceOf(window, "old-100"), undefined);
  });

  it("does what a map does, with keys that come again and commits that fail", () => {
    const step = fc.oneof(
      { weight: 5, arbitrary: fc.record({ do: fc.constant("remember"), key: fc.integer({ min: 0, max: 30 }) }) },
      { weight: 1, arbitrary: fc.record({ do: fc.constant("commit"), key: fc.constant(0) }) },
      { weight: 1, arbitrary: fc.record({ do: fc.constant("rollback"), key: fc.constant(0) }) },
    );
    fc.assert(
      fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
        const window = open(64);
        // Like an append: a key that is known is not remembered again.
        let model = new Map<string, number>();
        let committed = new Map(model);
        let mark = window.mark();
        for (const [n, { do: what, key }] of steps.entries()) {
          if (what === "remember" && !model.has(`${key}`)) {
            remember(window, `${key}`, n);
            model.set(`${key}`, n);
          } else if (what === "commit") {
            mark = window.mark();
            committed = new Map(model);
          } else if (what === "rollback") {
            window.rollback(mark);
            model = new Map(committed);
          }
          for (let each = 0; each <= 30; each++) assert.equal(sequenceOf(window, `${each}`), model.get(`${each}`));
        }
      }),
    );
  });
});
