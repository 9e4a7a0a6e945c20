import { expect, it } from "vitest";
import { uuidv7 } from "../src/uuid.ts";

it("makes ids that are all different, tell when, and sort by it", () => {
  const before = Date.now();
  const ids = Array.from({ length: 2_000 }, uuidv7);
  const after = Date.now();
  expect(new Set(ids).size).toBe(ids.length);
  for (const id of ids) {
    expect(id).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
    const ms = Number.parseInt(id.slice(0, 8) + id.slice(9, 13), 16);
    expect(ms).toBeGreaterThanOrEqual(before);
    expect(ms).toBeLessThanOrEqual(after);
  }
});
