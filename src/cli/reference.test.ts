import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { it } from "vitest";
import { commandLineReference } from "./reference.ts";

it("docs/cli.md is up to date: run node scripts/cli-docs.ts", () => {
  assert.equal(readFileSync(new URL("../../docs/cli.md", import.meta.url), "utf8"), commandLineReference());
});

it("every command shows itself at work", () => {
  const commands = commandLineReference().split("\n## ").slice(1);
  const withoutExamples = commands.filter((text) => !text.includes("Commands:") && !text.includes("Examples:"));
  assert.deepEqual(withoutExamples, []);
});
