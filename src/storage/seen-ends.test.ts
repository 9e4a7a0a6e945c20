import assert from "node:assert/strict";
import { describe, it } from "vitest";
import { SeenEnds } from "./seen-ends.ts";

describe("SeenEnds", () => {
  it("knows the highest head of each epoch, in whatever order ends are heard of", () => {
    const seen = new SeenEnds();
    for (const [epoch, head] of [
      [7, 5],
      [8, 6],
      [7, 4],
      [8, 9],
    ] as const) {
      seen.note("a", { epoch, head });
    }
    assert.deepEqual(seen.of("a"), [
      { epoch: 7, head: 5 },
      { epoch: 8, head: 9 },
    ]);
    assert.equal(seen.hasLost("a", { epoch: 8, head: 8 }), true);
    assert.equal(seen.hasLost("a", { epoch: 7, head: 4 }), true, "also over an epoch that began since");
    assert.equal(seen.hasLost("a", { epoch: 8, head: 9 }), false);
    assert.equal(seen.hasLost("a", { epoch: 9, head: 1 }), false, "another epoch, another count");
    assert.equal(seen.hasLost("b", { epoch: 8, head: 1 }), false);
  });

  it("keeps a bounded number of epochs and of logs, the newest", () => {
    const seen = new SeenEnds();
    for (let epoch = 1; epoch <= 20; epoch++) seen.note("a", { epoch, head: epoch });
    assert.deepEqual(
      seen.of("a").map(({ epoch }) => epoch),
      Array.from({ length: 16 }, (_, i) => i + 5),
    );
    for (let n = 0; n < 100_000; n++) seen.note(`log-${n}`, { epoch: 1, head: 1 });
    assert.deepEqual(seen.of("a"), []);
    assert.equal(seen.of("log-0").length, 1);
  });
});
