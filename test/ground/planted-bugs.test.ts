import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "vitest";
import { PLANTED_BUGS, patched, plantedBugTable } from "../../scripts/planted/catalogue.ts";
import { ROOT } from "../../scripts/root.ts";

const read = (path: string) => readFileSync(join(ROOT, path), "utf8");

// `npm run planted-bugs` plants them and runs the tests; here is only what keeps that possible.
describe("planted bugs", () => {
  it.each(PLANTED_BUGS)("$name: its anchors and its tests are there", ({ patches, caughtBy }) => {
    const sources = new Map<string, string>();
    for (const patch of patches) sources.set(patch.file, patched(sources.get(patch.file) ?? read(patch.file), patch));
    for (const { file, title } of caughtBy) {
      const parts = title.split(": ");
      // A title may be made of a pattern and its row: then its last part stands elsewhere.
      const written = read(file).includes(title) || read(file).includes(parts.slice(0, -1).join(": "));
      assert.ok(written, `${file} has no test ${title}`);
    }
  });

  it("docs/proof.md lists them", () => {
    assert.ok(read("docs/proof.md").includes(plantedBugTable()), "put plantedBugTable() into docs/proof.md");
  });
});
