import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { PLANTED_BUGS, type PlantedBug, patched } from "./planted/catalogue.ts";
import { ROOT } from "./root.ts";
import { run } from "./run.ts";

// Plants each bug of the catalogue in a copy of the tree and requires that the tests named for it fail there.
// `node scripts/planted-bugs.ts [name part]`

const COPIED = ["src", "gen", "test", "package.json", "tsconfig.json", "tsconfig.base.json", "vitest.config.ts"];
const VITEST = join(ROOT, "node_modules", "vitest", "vitest.mjs");

interface Report {
  readonly testResults: readonly {
    readonly message: string;
    readonly assertionResults: readonly { readonly title: string; readonly status: string }[];
  }[];
}

/** What is wrong with the tests' judgement, in words; empty: the bug was caught by all that are named. */
async function judge(bug: PlantedBug, tree: string): Promise<readonly string[]> {
  const before = new Map<string, string>();
  try {
    for (const patch of bug.patches) {
      const path = join(tree, patch.file);
      const source = readFileSync(path, "utf8");
      if (!before.has(path)) before.set(path, source);
      writeFileSync(path, patched(source, patch));
    }
    const failed = await failedTests(tree, [...new Set(bug.caughtBy.map(({ file }) => file))]);
    if (typeof failed === "string") return [failed];
    return bug.caughtBy
      .filter(({ title }) => !failed.has(title))
      .map(({ file, title }) => `not noticed by ${file}: ${title}`);
  } finally {
    for (const [path, source] of before) writeFileSync(path, source);
  }
}

async function failedTests(tree: string, files: readonly string[]): Promise<ReadonlySet<string> | string> {
  const report = join(tree, "report.json");
  const args = [VITEST, "run", "--root", tree, "--reporter=json", `--outputFile.json=${report}`, ...files];
  const { output } = await run(process.execPath, args, { cwd: tree, env: { NO_COLOR: "1" } });
  let results: Report["testResults"];
  try {
    results = (JSON.parse(readFileSync(report, "utf8")) as Report).testResults;
  } catch {
    return `the tests did not run:\n${output.slice(-2_000)}`;
  } finally {
    rmSync(report, { force: true });
  }
  // A patch that does not even load proves nothing.
  const broken = results.find(({ assertionResults }) => assertionResults.length === 0);
  if (broken !== undefined || results.length !== files.length)
    return `a test file could not be loaded: ${broken?.message ?? output.slice(-2_000)}`;
  const tests = results.flatMap(({ assertionResults }) => assertionResults);
  return new Set(tests.filter(({ status }) => status === "failed").map(({ title }) => title));
}

const wanted = process.argv[2] ?? "";
const tree = mkdtempSync(join(tmpdir(), "agentbus-planted-"));
let missed = 0;
try {
  for (const path of COPIED) cpSync(join(ROOT, path), join(tree, path), { recursive: true });
  symlinkSync(join(ROOT, "node_modules"), join(tree, "node_modules"));
  for (const bug of PLANTED_BUGS.filter(({ name }) => name.includes(wanted))) {
    const faults = await judge(bug, tree);
    console.log(`${faults.length === 0 ? "caught" : "MISSED"}  ${bug.name}`);
    for (const fault of faults) console.log(`        ${fault}`);
    if (faults.length > 0) missed++;
  }
} finally {
  rmSync(tree, { recursive: true, force: true });
}
process.exitCode = missed === 0 ? 0 : 1;
