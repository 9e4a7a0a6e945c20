import assert from "node:assert/strict";
import { describe, it } from "vitest";
import { describeFailure } from "./describe-failure.ts";
import { FAULT_KINDS } from "./faults.ts";
import { simulate } from "./simulate.ts";

const SEEDS = 40;

// Faults hide each other: a run that fails with one kind alone says what is wrong. The planted bugs are caught here.
describe("three nodes with one kind of fault", () => {
  it.each(FAULT_KINDS)("keep every promise: %s", async (kind) => {
    for (let seed = 1; seed <= SEEDS; seed++) {
      const report = await simulate({ seed, allowed: new Set([kind]) });
      if (report.violations.length > 0) assert.fail(`${describeFailure(report)}\n(with --only ${kind})`);
    }
  });

  it("keep every promise: none", async () => {
    for (let seed = 1; seed <= SEEDS; seed++) {
      const report = await simulate({ seed, allowed: new Set() });
      if (report.violations.length > 0) assert.fail(describeFailure(report));
    }
  });
});
