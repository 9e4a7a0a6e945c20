/**
 * Runs the bus in virtual time, three nodes over one storage that an adversary has, one run for each seed:
 *
 *   npm run simulate -- --seeds 1000 --from 1
 *   npm run simulate -- --seeds 1 --from 4711 --without fail-overs,clocks
 *
 * Stops at the first seed that breaks a promise, prints how to run it again and what happened last, and ends with 1; the
 * history is then in test-results/simulation.jsonl. Without --from it begins at a number of its own. `--keep-going` runs all seeds and lists those that failed.
 */
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { describeFailure } from "../test/simulation/describe-failure.ts";
import { FAULT_KINDS, type FaultKind, KNOWN_KINDS } from "../test/simulation/faults.ts";
import { simulate } from "../test/simulation/simulate.ts";
import { RESULTS } from "./root.ts";

const { values } = parseArgs({
  options: {
    seeds: { type: "string", default: "100" },
    from: { type: "string", default: String(Date.now() % 1_000_000_000) },
    without: { type: "string", default: "" },
    only: { type: "string", default: FAULT_KINDS.join() },
    "keep-going": { type: "boolean", default: false },
  },
});
const seeds = Number(values.seeds);
const from = Number(values.from);
if (!Number.isInteger(seeds) || seeds < 1 || !Number.isInteger(from)) throw new Error("--seeds and --from are numbers");
const kindsOf = (list: string) =>
  list
    .split(",")
    .filter((kind) => kind !== "")
    .map((kind) => {
      if (!KNOWN_KINDS.includes(kind as FaultKind))
        throw new Error(`${kind} is no fault; known are ${KNOWN_KINDS.join(", ")}`);
      return kind as FaultKind;
    });
const without = new Set(kindsOf(values.without));
const allowed = new Set(kindsOf(values.only).filter((kind) => !without.has(kind)));

console.log(`simulation: ${seeds} seeds from ${from}`);
const startedMs = performance.now();
const totals = { seeds: 0, events: 0, acknowledged: 0, deliveries: 0, gaps: 0, resumes: 0 };
const failed: number[] = [];
for (let seed = from; seed < from + seeds; seed++) {
  const report = await simulate({ seed, allowed });
  totals.seeds++;
  totals.events += report.events;
  totals.acknowledged += report.checked.acked;
  totals.deliveries += report.checked.deliveries;
  totals.gaps += report.checked.gaps;
  totals.resumes += report.checked.resumes;
  if (report.violations.length === 0) continue;
  failed.push(seed);
  process.exitCode = 1;
  if (values["keep-going"]) {
    console.log(`seed ${seed} (${report.kinds.join(", ")}): ${report.violations[0]!.split("\n")[0]}`);
    continue;
  }
  console.error(describeFailure(report));
  mkdirSync(RESULTS, { recursive: true });
  writeFileSync(join(RESULTS, "simulation.jsonl"), report.history.toJsonLines());
  break;
}
console.table(totals);
console.log(
  `${Math.round(performance.now() - startedMs)} ms; ${failed.length} seeds failed${failed.length > 0 ? `: ${failed.join(", ")}` : ""}`,
);
