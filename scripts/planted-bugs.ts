import { cpSync, mkdtempSync, readFileSync, realpathSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, relative } from "node:path";
import { PLANTED_BUGS } from "./planted/catalogue.ts";
import { type PlantedBug, patched } from "./planted/planted-bug.ts";
import { ROOT } from "./root.ts";
import { run } from "./run.ts";

// Plants each bug of the catalogue in a copy of the tree and requires that the tests named for it, which pass without it,
// fail there. `node scripts/planted-bugs.ts [name part]`. Bugs of the adapters need Redis, PostgreSQL and MariaDB, which
// are started from the machine's programs.

const COPIED = [
  "src",
  "gen",
  "test",
  "scripts",
  "package.json",
  "tsconfig.json",
  "tsconfig.base.json",
  "vitest.config.ts",
];
const VITEST = join(ROOT, "node_modules", "vitest", "vitest.mjs");

interface Report {
  readonly testResults: readonly {
    /** The file's path. */
    readonly name: string;
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
    const statuses = await runNamed(tree, bug.caughtBy);
    if (typeof statuses === "string") return [statuses];
    return bug.caughtBy.map(nameOf).flatMap((test) => {
      const status = statuses.get(test);
      if (status === "failed") return [];
      return [status === "passed" ? `not noticed by ${test}` : `not run: ${test}`];
    });
  } finally {
    for (const [path, source] of before) writeFileSync(path, source);
  }
}

type NamedTest = PlantedBug["caughtBy"][number];

function nameOf({ file, title }: NamedTest): string {
  return `${file}: ${title}`;
}

/** Runs the named tests and no others of their files; answers the status of each by its name, or why there is none. */
async function runNamed(tree: string, named: readonly NamedTest[]): Promise<ReadonlyMap<string, string> | string> {
  const files = [...new Set(named.map(({ file }) => file))];
  const titles = named.map(({ title }) => RegExp.escape(title)).join("|");
  const report = join(tree, "report.json");
  const args = [
    VITEST,
    "run",
    "--root",
    tree,
    "--reporter=json",
    `--outputFile.json=${report}`,
    "-t",
    titles,
    ...files,
  ];
  const { output } = await run(process.execPath, args, {
    cwd: tree,
    env: { NO_COLOR: "1", AGENTBUS_TEST_REQUIRE: "1" },
  });
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
  const statuses = new Map<string, string>();
  for (const { name, assertionResults } of results) {
    for (const { title, status } of assertionResults) {
      const test = nameOf({ file: relative(tree, name), title });
      // Two suites of a file may have a test of one name.
      if (statuses.get(test) !== "failed") statuses.set(test, status);
    }
  }
  return statuses;
}

/** Tests that do not pass in the tree as it is could not tell a planted bug. */
async function alreadyFailing(bugs: readonly PlantedBug[], tree: string): Promise<readonly string[]> {
  const named = bugs.flatMap(({ caughtBy }) => caughtBy);
  const statuses = await runNamed(tree, named);
  if (typeof statuses === "string") return [statuses];
  const tests = new Set(named.map(nameOf));
  return [...tests].filter((test) => statuses.get(test) !== "passed").map((test) => `${test} (${statuses.get(test)})`);
}

const wanted = process.argv[2] ?? "";
const bugs = PLANTED_BUGS.filter(({ name }) => name.includes(wanted));
const tree = realpathSync(mkdtempSync(join(tmpdir(), "agentbus-planted-")));
let missed = 0;
try {
  for (const path of COPIED) cpSync(join(ROOT, path), join(tree, path), { recursive: true });
  symlinkSync(join(ROOT, "node_modules"), join(tree, "node_modules"));
  const failing = await alreadyFailing(bugs, tree);
  if (failing.length > 0) throw new Error(`these tests do not pass without any bug:\n${failing.join("\n")}`);
  for (const bug of bugs) {
    const faults = await judge(bug, tree);
    console.log(`${faults.length === 0 ? "caught" : "MISSED"}  ${bug.name}`);
    for (const fault of faults) console.log(`        ${fault}`);
    if (faults.length > 0) missed++;
  }
} finally {
  rmSync(tree, { recursive: true, force: true });
}
process.exitCode = missed === 0 ? 0 : 1;
