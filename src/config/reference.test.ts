import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { describe, it } from "vitest";
import { isAgentId, isName } from "../core/names.ts";
import { configJsonSchema } from "./config-schema.ts";
import { AGENT_ID_PATTERN, AGENT_PATTERN, NAME_PATTERN } from "./patterns.ts";
import { configurationReference } from "./reference.ts";
import { formatDuration, formatSize, parseDuration, parseSize } from "./units.ts";

describe("docs/configuration.md", () => {
  it("is up to date: run `node scripts/configuration-docs.ts`", () => {
    const page = readFileSync(new URL("../../docs/configuration.md", import.meta.url), "utf8");
    assert.equal(page, configurationReference());
  });

  it("explains every key", () => {
    const unexplained = configurationReference()
      .split("\n")
      .filter((line) => /^\| `.*\| +\|$/.test(line));
    assert.deepEqual(unexplained, []);
  });

  it("has a JSON Schema beside it", () => {
    assert.equal(configJsonSchema()["additionalProperties"], false);
  });
});

describe("units", () => {
  it.each([
    ["500ms", 500],
    ["15s", 15_000],
    ["1.5s", 1_500],
    ["2m", 120_000],
    ["7d", 604_800_000],
    [250, 250],
    ["250", 250],
  ])("%s is %i ms", (text, ms) => assert.equal(parseDuration(text), ms));

  it.each(["", "s", "-1s", "1 week", "1.0001ms", "9e9d", "NaN"])("%s is no duration", (text) =>
    assert.equal(parseDuration(text), undefined),
  );

  it.each([0, 1, 999, 1_000, 90_000, 120_000, 3_600_000, 604_800_000])("%i ms reads back", (ms) =>
    assert.equal(parseDuration(formatDuration(ms)), ms),
  );

  it.each([0, 1, 1_500, 1_024, 1_048_576, 68_719_476_736])("%i bytes read back", (bytes) =>
    assert.equal(parseSize(formatSize(bytes)), bytes),
  );
});

describe("patterns", () => {
  const samples = ["a", "A.b-c_d", "", "a b", "a:b", "a@b|c/d+e", "x".repeat(128), "x".repeat(129), "é"];

  it("accept the names that the domain accepts, but for the reserved ones", () => {
    for (const sample of samples) {
      assert.equal(NAME_PATTERN.test(sample), isName(sample), sample);
      assert.equal(AGENT_ID_PATTERN.test(sample), isAgentId(sample), sample);
    }
    assert.equal(NAME_PATTERN.test("_inbox"), false);
    assert.equal(AGENT_ID_PATTERN.test("_bus"), false);
  });

  it.each(["*", "alice", "ci-*", `${"x".repeat(127)}*`, "x".repeat(128)])("%s names agents", (text) =>
    assert.equal(AGENT_PATTERN.test(text), true),
  );
  it.each(["", "a*b", "**", "_x*", "a b", "x".repeat(129)])("%s names none", (text) =>
    assert.equal(AGENT_PATTERN.test(text), false),
  );
});
