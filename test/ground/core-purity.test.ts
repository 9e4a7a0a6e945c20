import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { copyFileSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, it } from "vitest";
import { ROOT } from "../../scripts/root.ts";

const biome = join(ROOT, "node_modules", ".bin", "biome");

describe("the linter keeps core pure", () => {
  // A repository of its own with our rules: the linter takes no plugin for what it reads from standard input.
  let root: string;
  beforeEach(() => {
    root = mkdtempSync(join(tmpdir(), "purity-"));
    for (const folder of ["scripts", "src/core", "src/bus"]) mkdirSync(join(root, folder), { recursive: true });
    for (const file of ["biome.json", "scripts/core-purity.grit"]) copyFileSync(join(ROOT, file), join(root, file));
  });
  afterEach(() => rmSync(root, { recursive: true }));

  function lint(file: string, text: string): string {
    writeFileSync(join(root, file), text);
    const args = ["lint", "--colors=off", "--vcs-enabled=false", file];
    const { stdout, stderr } = spawnSync(biome, args, { cwd: root, encoding: "utf8" });
    return stdout + stderr;
  }

  it.each([
    "Date.now()",
    "new Date()",
    "Math.random()",
    "performance.now()",
    "setTimeout(() => {}, 1)",
    "setInterval(() => {}, 1)",
    "setImmediate(() => {})",
    "process.env",
  ])("refuses %s in src/core, and there alone", (call) => {
    const text = `export const it = ${call};\n`;
    assert.match(lint("src/core/x.ts", text), /src\/core knows no clock, no randomness and no process/);
    assert.doesNotMatch(lint("src/core/x.test.ts", text), /src\/core knows/);
    assert.doesNotMatch(lint("src/bus/x.ts", text), /src\/core knows/);
  });
});
