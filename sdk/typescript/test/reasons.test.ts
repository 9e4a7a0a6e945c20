import { expect, it } from "vitest";
import { CODES as SERVER_CODES, REASONS as SERVER_REASONS } from "../../../src/core/errors.ts";
import { CODES, REASONS } from "../src/reasons.ts";

it("knows the same reasons and codes as the bus", () => {
  const told = Object.entries(SERVER_REASONS).map(([reason, { code, retry }]) => [reason, { code, retry }]);
  expect(Object.entries(REASONS)).toEqual(told);
  expect(CODES).toEqual(SERVER_CODES);
});
