/**
 * `npm test`: every check and every test of the repository. `--only <step>` (several times) runs some and what they
 * need, `--list` names them, `--json` prints the summary for programs. Exits 1 when a step failed. Reports and the
 * output of each step are kept in test-results/.
 */
import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { RESULTS } from "./root.ts";
import { runSteps } from "./testing/schedule.ts";
import { chooseSteps, PYTEST_REPORT, STEPS, VITEST_REPORT } from "./testing/steps.ts";
import { createProgress, summaryTable } from "./testing/terminal.ts";
import { stopTestServers } from "./testing/test-servers.ts";

const { values } = parseArgs({
  options: {
    only: { type: "string", multiple: true, default: [] },
    json: { type: "boolean", default: false },
    list: { type: "boolean", default: false },
  },
});
if (values.list) {
  for (const { name, about } of STEPS) console.log(`${name.padEnd(14)} ${about}`);
  process.exit();
}

// Hundreds of processes load the same modules; the first one compiles them for all.
process.env["NODE_COMPILE_CACHE"] ??= join(tmpdir(), "agentbus-test-compile-cache");

const steps = chooseSteps(values.only);
mkdirSync(RESULTS, { recursive: true });
// A report of an earlier run must not pass for one of this.
for (const { name } of steps) rmSync(join(RESULTS, `${name}.log`), { force: true });
if (steps.some((step) => step.name === "vitest")) rmSync(VITEST_REPORT, { force: true });
if (steps.some((step) => step.name === "pytest")) rmSync(PYTEST_REPORT, { force: true });

const interrupted = new AbortController();
for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => interrupted.abort());

const startedAt = performance.now();
const progress = createProgress(process.stderr);
const finished = await runSteps(steps, interrupted.signal, {
  onStart: (step) => progress.onStart?.(step),
  onFinish(step) {
    writeFileSync(join(RESULTS, `${step.name}.log`), step.output);
    progress.onFinish?.(step);
  },
});
progress.stop();
await stopTestServers();

const seconds = (performance.now() - startedAt) / 1000;
const failed = finished.some((step) => step.status === "failed");
const sum = (part: "passed" | "failed" | "skipped") =>
  finished.reduce((all, step) => all + (step.counts?.[part] ?? 0), 0);
const tests = { passed: sum("passed"), failed: sum("failed"), skipped: sum("skipped") };
if (values.json) {
  const summary = finished.map(({ output: _, ...step }) => step);
  console.log(
    JSON.stringify({ passed: !failed && !interrupted.signal.aborted, seconds, tests, steps: summary }, null, 2),
  );
} else {
  console.log(`\n${summaryTable(finished, seconds)}\n`);
  console.log(`tests: ${tests.passed} passed, ${tests.failed} failed, ${tests.skipped} skipped`);
}
process.exitCode = interrupted.signal.aborted ? 130 : failed ? 1 : 0;
