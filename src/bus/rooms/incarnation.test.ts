import assert from "node:assert/strict";
import { describe, it } from "vitest";
import { createSystemRandom } from "../../server/system-clock.ts";
import { laterIncarnation } from "./incarnation.ts";

describe("a later incarnation", () => {
  const random = createSystemRandom();

  it("is one of now when there is none, or an earlier one", () => {
    const now = Date.UTC(2026, 0, 1);
    assert.equal(laterIncarnation(undefined, random, now).slice(0, 13), random.uuid(now).slice(0, 13));
    const before = random.uuid(now - 1);
    assert.equal(laterIncarnation(before, random, now).slice(0, 13), random.uuid(now).slice(0, 13));
  });

  it("is later than one that a clock made which is ahead", () => {
    const now = Date.UTC(2026, 0, 1);
    for (const ahead of [0, 1, 60_000, 86_400_000]) {
      for (let i = 0; i < 50; i++) {
        const before = random.uuid(now + ahead);
        assert.ok(laterIncarnation(before, random, now) > before);
      }
    }
  });
});
