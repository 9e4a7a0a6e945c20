import assert from "node:assert/strict";
import fc from "fast-check";
import { describe, it } from "vitest";
import { AnswerQueue } from "./answer-queue.ts";

describe("AnswerQueue", () => {
  it("sends answers in the order of the requests, however their work ends", () => {
    const order = fc.integer({ min: 1, max: 30 }).chain((count) =>
      fc.shuffledSubarray(
        Array.from({ length: count }, (_, i) => i),
        { minLength: count },
      ),
    );
    fc.assert(
      fc.property(order, (settling) => {
        const sent: number[] = [];
        const queue = new AnswerQueue((answer) => sent.push(answer[0]!));
        const settle = settling.map(() => queue.reserve());
        assert.equal(queue.size, settling.length);
        for (const [done, i] of settling.entries()) {
          settle[i]!(Uint8Array.of(i));
          const settled = new Set(settling.slice(0, done + 1));
          let first = 0;
          while (settled.has(first)) first++;
          assert.equal(sent.length, first, "all up to the first that is not answered");
        }
        assert.deepEqual(
          sent,
          [...sent].sort((a, b) => a - b),
        );
        assert.equal(queue.size, 0);
      }),
    );
  });
});
