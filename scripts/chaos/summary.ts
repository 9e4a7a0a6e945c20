import type { Share } from "./channel-operations.ts";
import type { ChaosReport } from "./chaos-run.ts";
import { countViolations } from "./judge.ts";

const SHOWN_VIOLATIONS = 20;
/** F15. */
const RESUME_GOAL_MS = 2_000;
/** S3-SC-008. */
const OPERATIONS_GOAL = 0.95;

/** "93.1 % of 512". */
function within({ operations, inTime }: Share): string {
  const percent = operations === 0 ? 100 : (inTime / operations) * 100;
  return `${percent.toFixed(1)} % of ${operations}`;
}

/** "12 get: late, 3 join: DEADLINE", the most first. */
function listOf(counts: Readonly<Record<string, number>>): string {
  const sorted = Object.entries(counts).toSorted(([, a], [, b]) => b - a);
  return sorted.map(([name, count]) => `${count} ${name}`).join(", ") || "none";
}

/** What a person reads at the end of a run. */
export function summaryOf(report: ChaosReport): string {
  const { checked, fleeting, operations, resumeP50Ms = 0, resumeP99Ms, violations } = report;
  const { lost, doubled, reordered, leaked, otherwise } = countViolations(violations);
  const faults = Object.entries(report.faults).map(([kind, count]) => `${count} ${kind}`);
  const resumed =
    resumeP99Ms === undefined
      ? "no node was killed alone with readers on it"
      : `${report.resumes} readers, median ${Math.round(resumeP50Ms)} ms, p99 ${Math.round(resumeP99Ms)} ms (${report.slowestResume}; F15: ${RESUME_GOAL_MS} ms)`;
  const rows: [string, string | number][] = [
    ["seed", report.seed],
    ["backend", `${report.backend}, ${report.durability}, nodes: ${report.nodes}`],
    ["ran", `${report.seconds} s`],
    ["faults", faults.join(", ")],
    ...(report.notPossible.length > 0
      ? [["not possible here", report.notPossible.join(", ")] as [string, string]]
      : []),
    ["acknowledged publishes", report.acked],
    ["lost", lost],
    ["doubled", doubled],
    ["reordered", reordered],
    ["leaked", leaked],
    ["otherwise wrong", otherwise],
    ["lost with a power cut, and told", report.lostAndTold],
    ["deliveries checked", `${checked.deliveries}, ${checked.streams} streams, ${checked.resumes} resumed`],
    ["gaps told", checked.gaps],
    ["VOLATILE", `${fleeting.acked} acknowledged, ${fleeting.deliveries} delivered, ${fleeting.gaps} gaps told`],
    ["recovery", `median ${report.medianRecoveryMs} ms, longest ${report.longestRecoveryMs} ms`],
    ["quiet until all was read", `${report.quietMs} ms`],
    ["resumed after a node's kill", resumed],
    ["SC-003", lost === 0 ? "no acknowledged message lost" : "BROKEN"],
    ["SC-008", `${within(operations)} channel operations within 1 s (goal ${OPERATIONS_GOAL * 100} %)`],
    ["of them answerable", `${within(operations.answerable)} while the storage, or the only node, was not taken away`],
    ...Object.entries(operations.byFault)
      .toSorted(([, a], [, b]) => b.operations - b.inTime - (a.operations - a.inTime))
      .map(([fault, share]): [string, string] => [`  ${fault}`, within(share)]),
    ["  misses", listOf(operations.misses)],
  ];
  const width = Math.max(...rows.map(([name]) => name.length));
  const lines = rows.map(([name, value]) => `${name.padEnd(width)}  ${value}`);
  for (const { rule, text } of violations.slice(0, SHOWN_VIOLATIONS)) lines.push(`  ${rule}: ${text}`);
  if (violations.length > SHOWN_VIOLATIONS) lines.push(`  … and ${violations.length - SHOWN_VIOLATIONS} more`);
  return lines.join("\n");
}
