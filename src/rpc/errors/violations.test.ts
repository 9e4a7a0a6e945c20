import assert from "node:assert/strict";
import { describe, it } from "vitest";
import { createFakeClock } from "../../../test/support/fake-clock.ts";
import { Violations } from "./violations.ts";

describe("S3-FR-010: violations", () => {
  it("S3-FR-010: so many within a minute are too many", () => {
    const clock = createFakeClock();
    const violations = new Violations(3, clock);
    assert.equal(violations.add(), undefined);
    clock.advance(30_000);
    assert.equal(violations.add(), undefined);
    clock.advance(29_999);
    assert.equal(violations.add()?.reason, "PROTOCOL_VIOLATIONS");
  });

  it("S3-FR-010: those that are older than a minute count no more", () => {
    const clock = createFakeClock();
    const violations = new Violations(2, clock);
    for (let i = 0; i < 10; i++) {
      assert.equal(violations.add(), undefined);
      clock.advance(60_000);
    }
  });
});
