import assert from "node:assert/strict";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { RateLimiter } from "./rate-limiter.ts";

describe("RateLimiter", () => {
  it("lets through the burst and then the rate, never more", () => {
    const steps = fc.array(fc.tuple(fc.integer({ min: 0, max: 500 }), fc.integer({ min: 1, max: 8 })), {
      maxLength: 60,
    });
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 50 }), fc.integer({ min: 8, max: 20 }), steps, (rate, burst, asked) => {
        const limiter = new RateLimiter("r", rate, burst);
        let nowMs = 0;
        let taken = 0;
        for (const [waitMs, count] of asked) {
          nowMs += waitMs;
          if (limiter.allows("a", count, nowMs)) taken += count;
          assert.ok(taken <= burst + (nowMs / 1_000) * rate + 1e-6);
        }
      }),
    );
  });

  it("tells after how long the same is let through, and it is", () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 1_000 }), fc.integer({ min: 1, max: 20 }), (rate, count) => {
        const limiter = new RateLimiter("limits.senderRate", rate, 20);
        limiter.take("a", 20, 0);
        let delayMs = 0;
        try {
          limiter.take("a", count, 0);
          assert.fail("it was let through");
        } catch (error) {
          expect(error).toMatchObject({ reason: "RATE_LIMITED" });
          delayMs = (error as { details: { retryDelayMs: number } }).details.retryDelayMs;
        }
        assert.ok(delayMs >= 1);
        limiter.take("a", count, delayMs);
      }),
    );
  });

  it("a batch larger than the burst passes when the bucket is full, and is paid for afterwards", () => {
    const limiter = new RateLimiter("r", 10, 5);
    limiter.take("a", 50, 0);
    assert.equal(limiter.allows("a", 1, 4_000), false);
    assert.equal(limiter.allows("a", 1, 4_700), true);
  });

  it("0 a second is unlimited, and each sender has a bucket of its own", () => {
    const unlimited = new RateLimiter("r", 0, 1);
    for (let i = 0; i < 100; i++) unlimited.take("a", 100, 0);
    const limiter = new RateLimiter("r", 1, 1);
    assert.deepEqual(
      [limiter.allows("a", 1, 0), limiter.allows("a", 1, 0), limiter.allows("b", 1, 0)],
      [true, false, true],
    );
  });
});
