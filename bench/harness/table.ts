import type { FamilyResult, GoalResult, Row } from "./report.ts";

/** A number as a person compares it: three significant digits, thousands as k and M. */
export function short(value: number): string {
  if (!Number.isFinite(value)) return "-";
  const size = Math.abs(value);
  if (size >= 999_500) return `${trim(value / 1e6)}M`;
  if (size >= 9_995) return `${trim(value / 1e3)}k`;
  if (size >= 1_000) return value.toFixed(0);
  return trim(value);
}

function trim(value: number): string {
  if (!Number.isFinite(value)) return "-";
  const size = Math.abs(value);
  return value.toFixed(size >= 100 ? 0 : size >= 10 ? 1 : 2);
}

const FIRST_COLUMNS = [
  "fig",
  "workload",
  "server",
  "rate/s",
  "range",
  "server µs/op",
  "server core",
  "client core",
  "others",
];

/** The family's rows and goals as text for a terminal, which is also good Markdown. */
export function formatFamily({ family, rows, goals }: FamilyResult): string {
  const parts = [`## ${family}`, formatRows(rows)];
  if (goals.length > 0) parts.push(formatGoals(goals));
  return `${parts.join("\n\n")}\n`;
}

function formatRows(rows: readonly Row[]): string {
  const latency = rows.some((row) => row.p50Ms !== undefined);
  const more = [...new Set(rows.flatMap((row) => Object.keys(row.more ?? {})))];
  const header = [
    ...FIRST_COLUMNS,
    "limit",
    "our rate ÷ its",
    "our µs ÷ its",
    ...(latency ? ["p50 ms", "p99 ms"] : []),
    ...more,
  ];
  const ratio = (value: number | undefined) => (value === undefined ? "" : trim(value));
  return markdownTable([
    header,
    ...rows.map((row) => [
      row.figure,
      row.workload,
      row.server,
      `${short(row.ratePerSecond)} ${row.unit}`,
      row.rateRange.map(short).join("-"),
      trim(row.serverCpuMicrosPerOperation),
      trim(row.serverCores),
      trim(row.clientCores),
      trim(row.otherCores),
      row.limit,
      ratio(row.ourRateRatio),
      ratio(row.ourCpuRatio),
      ...(latency ? [ratio(row.p50Ms), ratio(row.p99Ms)] : []),
      ...more.map((name) => (row.more?.[name] === undefined ? "" : short(row.more[name]))),
    ]),
  ]);
}

function formatGoals(goals: readonly GoalResult[]): string {
  return markdownTable([
    ["fig", "goal", "measured", ""],
    ...goals.map(({ figure, text, direction, goal, measured, met }) => [
      figure,
      `${text} ${direction === "at least" ? "≥" : "≤"} ${goal}`,
      trim(measured),
      met ? "met" : "missed",
    ]),
  ]);
}

function markdownTable(lines: readonly (readonly string[])[]): string {
  const widths = lines[0]!.map((_, column) => Math.max(...lines.map((line) => line[column]!.length), 3));
  const text = (line: readonly string[]) => `| ${line.map((cell, i) => cell.padEnd(widths[i]!)).join(" | ")} |`;
  const rule = `|${widths.map((width) => "-".repeat(width + 2)).join("|")}|`;
  return [text(lines[0]!), rule, ...lines.slice(1).map(text)].join("\n");
}
