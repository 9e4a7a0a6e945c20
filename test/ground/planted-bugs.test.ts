import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { dirname, join, normalize } from "node:path";
import { describe, it } from "vitest";
import { PLANTED_BUGS, plantedBugTable } from "../../scripts/planted/catalogue.ts";
import { patched } from "../../scripts/planted/planted-bug.ts";
import { ROOT } from "../../scripts/root.ts";

const read = (path: string) => readFileSync(join(ROOT, path), "utf8");

/** A test file with the suites that it shares with others: what it imports of tests, and so on. */
function readSuite(path: string, seen = new Set<string>()): string {
  if (seen.has(path)) return "";
  seen.add(path);
  const source = read(path);
  const imported = [...source.matchAll(/from "(\.{1,2}\/[^"]+)"/g)].map(([, to]) =>
    normalize(join(dirname(path), to!)),
  );
  const suites = imported.filter((file) => file.startsWith("test/"));
  return [source, ...suites.map((file) => readSuite(file, seen))].join("\n");
}

// `npm run planted-bugs` plants them and runs the tests; here is only what keeps that possible.
describe("planted bugs", () => {
  it.each(PLANTED_BUGS)("$name: its anchors and its tests are there", ({ patches, caughtBy }) => {
    const sources = new Map<string, string>();
    for (const patch of patches) sources.set(patch.file, patched(sources.get(patch.file) ?? read(patch.file), patch));
    for (const { file, title } of caughtBy) {
      const parts = title.split(": ");
      // A title may be made of a pattern and its row: then its first part or its last stands elsewhere.
      const suite = readSuite(file);
      const ways = [title, parts.slice(0, -1).join(": "), parts.slice(1).join(": ")];
      const written = ways.some((way) => way !== "" && suite.includes(way));
      assert.ok(written, `${file} has no test ${title}`);
    }
  });

  it("docs/proof.md lists them", () => {
    assert.ok(read("docs/proof.md").includes(plantedBugTable()), "put plantedBugTable() into docs/proof.md");
  });
});
