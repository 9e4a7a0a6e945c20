/** `npm run bench`: measures the bus and its peers on this machine. `--help` says how. */
import { arch, availableParallelism, cpus, platform, release, totalmem } from "node:os";
import { parseArgs } from "node:util";
import type { Family, FamilyResult, RunOptions } from "./harness/report.ts";
import { formatFamily } from "./harness/table.ts";
import { backends } from "./scenarios/backends.ts";
import { connections } from "./scenarios/connections.ts";
import { durable } from "./scenarios/durable.ts";
import { endToEnd } from "./scenarios/end-to-end.ts";
import { fanout } from "./scenarios/fanout.ts";
import { latency } from "./scenarios/latency.ts";
import { memory } from "./scenarios/memory.ts";
import { nodes } from "./scenarios/nodes.ts";
import { scaling } from "./scenarios/scaling.ts";
import { stream } from "./scenarios/stream.ts";
import { unary } from "./scenarios/unary.ts";

const FAMILIES: readonly Family[] = [
  fanout,
  endToEnd,
  unary,
  stream,
  durable,
  backends,
  latency,
  nodes,
  scaling,
  memory,
  connections,
];

const FULL = { rounds: 3, warmUpMs: 1_500, measureMs: 1_500 };
const QUICK = { rounds: 1, warmUpMs: 500, measureMs: 500 };

const OPTIONS = {
  quick: { type: "boolean" },
  json: { type: "boolean" },
  check: { type: "boolean" },
  rounds: { type: "string" },
  only: { type: "string" },
  profile: { type: "string" },
  time: { type: "string" },
  patience: { type: "string" },
  help: { type: "boolean", short: "h" },
} as const;

const HELP = `Measures agentbus and its peers on this machine.

npm run bench -- [family ...] [options]

Families (all of them by default):
${FAMILIES.map(({ name, summary }) => `  ${name.padEnd(12)} ${summary}`).join("\n")}

Options:
  --quick       few short workloads, one round: shows that all works, not how fast it is
  --rounds N    how often each workload runs against each server, in turn (${FULL.rounds})
  --only TEXT   only workloads, or else servers, with this text in their name
  --check       gRPC subscribers decode every message and check its place instead of counting
  --time MS     how long each measurement takes, and its warm-up before it (${FULL.measureMs})
  --patience S  repeat what was measured while other programs used the machine, for up to S seconds in all (0)
  --profile DIR servers that run on Node leave CPU profiles there
  --json        one JSON document instead of tables

Needs Linux, and for the peers and backends their programs (Debian: nats-server, redis-server, postgresql, mariadb-server).
`;

async function main(): Promise<number> {
  const { values, positionals } = parseArgs({ options: OPTIONS, allowPositionals: true });
  if (values.help) {
    process.stdout.write(HELP);
    return 0;
  }
  const families = positionals.length === 0 ? FAMILIES : positionals.map(familyByName);
  const options = readOptions(values);
  const results: FamilyResult[] = [];
  for (const family of families) {
    const result = await family.run(options);
    clearProgress();
    results.push(result);
    if (!values.json) process.stdout.write(`${formatFamily(result)}\n`);
  }
  if (values.json) process.stdout.write(`${JSON.stringify({ machine: machine(), options, results }, undefined, 2)}\n`);
  return 0;
}

function familyByName(name: string): Family {
  const family = FAMILIES.find((candidate) => candidate.name === name);
  if (family) return family;
  throw new Error(`there is no family "${name}"; there are ${FAMILIES.map((candidate) => candidate.name).join(", ")}`);
}

interface Flags {
  readonly quick?: boolean;
  readonly check?: boolean;
  readonly rounds?: string;
  readonly only?: string;
  readonly profile?: string;
  readonly time?: string;
  readonly patience?: string;
}

function readOptions(values: Flags): RunOptions {
  const defaults = values.quick ? QUICK : FULL;
  const time = wholeNumber("--time", values.time);
  return {
    rounds: wholeNumber("--rounds", values.rounds) ?? defaults.rounds,
    warmUpMs: time ?? defaults.warmUpMs,
    measureMs: time ?? defaults.measureMs,
    quick: values.quick ?? false,
    check: values.check ?? false,
    only: values.only,
    patienceSeconds: wholeNumber("--patience", values.patience) ?? 0,
    profileFolder: values.profile,
    progress: showProgress,
  };
}

function wholeNumber(flag: string, text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const number = Number(text);
  if (!Number.isInteger(number) || number < 1) throw new Error(`${flag} must be a whole number from 1, not "${text}"`);
  return number;
}

function machine(): Record<string, string | number> {
  return {
    cpu: cpus()[0]?.model ?? "unknown",
    cores: availableParallelism(),
    memoryGiB: Math.round(totalmem() / 2 ** 30),
    system: `${platform()} ${release()} ${arch()}`,
    node: process.version,
  };
}

/** On a terminal one line that is written over, elsewhere (a log) a line each. */
function showProgress(text: string): void {
  process.stderr.write(process.stderr.isTTY ? `\r\x1b[K${text}` : `${text}\n`);
}

function clearProgress(): void {
  if (process.stderr.isTTY) process.stderr.write("\r\x1b[K");
}

try {
  process.exitCode = await main();
} catch (error) {
  clearProgress();
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 1;
}
