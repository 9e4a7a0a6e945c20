import assert from "node:assert/strict";
import fc from "fast-check";
import { describe, it } from "vitest";
import { Slab } from "./slab.ts";

describe("Slab", () => {
  it("hands out pieces of the size asked for that never overlap", () => {
    fc.assert(
      fc.property(fc.array(fc.oneof(fc.nat({ max: 300 }), fc.nat({ max: 100_000 })), { maxLength: 60 }), (sizes) => {
        const slab = new Slab();
        const pieces = sizes.map((size, i) => slab.take(size).fill(i));
        for (const [i, piece] of pieces.entries()) {
          assert.equal(piece.length, sizes[i]);
          assert.ok(piece.every((byte) => byte === i));
        }
      }),
    );
  });

  it("gives large pieces memory of their own, so that they keep nothing else alive", () => {
    const slab = new Slab();
    const small = slab.take(10);
    const large = slab.take(200_000);
    assert.notEqual(small.buffer, large.buffer);
    assert.equal(large.buffer.byteLength, 200_000);
    assert.equal(slab.take(10).buffer, small.buffer);
  });
});
