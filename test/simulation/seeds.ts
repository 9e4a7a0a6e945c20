import assert from "node:assert/strict";
import { describe, it } from "vitest";
import { describeFailure } from "./describe-failure.ts";
import { simulate } from "./simulate.ts";

const SEEDS_A_TEST = 100;

/** Runs seeds `from` to `from + count - 1`; the first one that breaks a promise is told with all that repeats it. */
export function describeSeeds(from: number, count: number): void {
  describe("three nodes over a storage that delays, fails, forgets and goes away", () => {
    for (let first = from; first < from + count; first += SEEDS_A_TEST) {
      const last = Math.min(first + SEEDS_A_TEST, from + count) - 1;
      it(`keep every promise: seeds ${first} to ${last}`, async () => {
        let acknowledged = 0;
        let deliveries = 0;
        for (let seed = first; seed <= last; seed++) {
          const report = await simulate({ seed });
          if (report.violations.length > 0) assert.fail(describeFailure(report));
          acknowledged += report.checked.acked;
          deliveries += report.checked.deliveries;
        }
        // A simulation in which nothing happens proves nothing.
        assert.ok(acknowledged > SEEDS_A_TEST * 10 && deliveries > SEEDS_A_TEST * 10, `${acknowledged}, ${deliveries}`);
      });
    }
  });
}
