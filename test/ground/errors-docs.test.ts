import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { it } from "vitest";
import { errorReference } from "../../scripts/errors/error-reference.ts";

it("S4-12: docs/errors.md is what scripts/errors-docs.ts makes of the table of reasons", () => {
  const page = readFileSync(new URL("../../docs/errors.md", import.meta.url), "utf8");
  assert.equal(page, errorReference(), "run `node scripts/errors-docs.ts`");
});
