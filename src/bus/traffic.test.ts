import assert from "node:assert/strict";
import { describe, it } from "vitest";
import { createFakeClock } from "../../test/support/fake-clock.ts";
import { Traffic } from "./traffic.ts";

describe("Traffic", () => {
  it("S2-F.4: is the growth a second over the last minute", () => {
    const clock = createFakeClock();
    let count = 1_000;
    const traffic = new Traffic(clock, () => count);
    assert.equal(traffic.rate, 0);
    for (let second = 0; second < 120; second++) {
      clock.advance(1_000);
      count += second < 60 ? 10 : 30;
    }
    assert.ok(Math.abs(traffic.rate - 30) < 1, `${traffic.rate} a second`);
    clock.advance(120_000);
    assert.equal(traffic.rate, 0);
    traffic.close();
    assert.equal(clock.pending, 0);
  });
});
