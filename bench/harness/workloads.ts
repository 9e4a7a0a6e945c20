import type { FanoutJob, Job, LatencyJob, Measurement, PublishJob } from "../load/job.ts";
import { runJob } from "./load-process.ts";
import { Patience } from "./patience.ts";
import { checkGoal, type GoalResult, type Row, type RunOptions } from "./report.ts";
import { type ServerSpec, startServer } from "./server-process.ts";
import { median } from "./statistics.ts";

type Filled =
  | "dialect"
  | "port"
  | "ports"
  | "url"
  | "serverPids"
  | "storagePids"
  | "channel"
  | "warmUpMs"
  | "measureMs";

/** What a client does, without what depends on the server and on how the bench was started. */
export type JobShape = Omit<FanoutJob, Filled> | Omit<PublishJob, Filled> | Omit<LatencyJob, Filled>;

/** One load, put on several servers. */
export interface Workload {
  readonly figure: string;
  readonly text: string;
  readonly unit: string;
  /** Our server, that the others are compared with. */
  readonly ours: ServerSpec;
  readonly peers: readonly ServerSpec[];
  /** The load; where a server takes another one for the same work, by its name. */
  readonly shape: JobShape;
  readonly shapeFor?: Readonly<Record<string, JobShape>>;
  readonly goals: readonly WorkloadGoal[];
}

export interface WorkloadGoal {
  readonly peer: ServerSpec;
  readonly metric: "rate" | "cpu" | "p50" | "p99";
  readonly direction: GoalResult["direction"];
  readonly value: number;
}

const SATURATED_CORES = 0.95;
const CHANNEL = "load";
/** The part of "server µs/op" that the backend's processes took; the rest is the nodes'. */
const STORAGE_CPU = "of it storage";

/**
 * Runs workloads: each round takes every server once, in turn, so that a slow minute of the machine hits all alike.
 * Servers and clients are new processes each time.
 */
export async function runWorkloads(
  workloads: readonly Workload[],
  options: RunOptions,
): Promise<{ rows: Row[]; goals: GoalResult[] }> {
  const rows: Row[] = [];
  const goals: GoalResult[] = [];
  const patience = new Patience(options.patienceSeconds);
  for (const workload of workloads) {
    const measured = await runRounds(workload, patience, options);
    rows.push(...summarize(workload, measured));
    goals.push(...judge(workload, measured));
  }
  return { rows, goals };
}

type Rounds = Map<ServerSpec, Measurement[]>;

async function runRounds(workload: Workload, patience: Patience, options: RunOptions): Promise<Rounds> {
  const servers = chosenServers(workload, options.only);
  const rounds: Rounds = new Map(servers.map((server) => [server, []]));
  for (let round = 1; round <= options.rounds; round++) {
    for (const server of servers) {
      options.progress(`${workload.figure} ${workload.text}: ${server.name}, round ${round} of ${options.rounds}`);
      const shape = workload.shapeFor?.[server.name] ?? workload.shape;
      rounds.get(server)!.push(await patience.measure(() => measureOnce(server, shape, options)));
    }
  }
  return rounds;
}

/** `only` chooses workloads, or else peers: our own server stays, since the others are compared with it. */
function chosenServers({ text, ours, peers }: Workload, only: string | undefined): readonly ServerSpec[] {
  if (only === undefined || text.includes(only)) return [ours, ...peers];
  const chosen = peers.filter((peer) => peer.name.includes(only));
  return chosen.length > 0 || ours.name === only ? [ours, ...chosen] : [];
}

async function measureOnce(spec: ServerSpec, shape: JobShape, options: RunOptions): Promise<Measurement> {
  const server = await startServer(spec, options.profileFolder);
  try {
    const { warmUpMs, measureMs } = options;
    const { dialect } = spec;
    const { ports, url, pids: serverPids, storagePids } = server;
    const [port] = ports;
    const processes = { dialect, port, ports, url, serverPids, storagePids };
    const job = { ...shape, ...processes, channel: CHANNEL, warmUpMs, measureMs } as Job;
    return await runJob<Job, Measurement>(job);
  } catch (cause) {
    const text = cause instanceof Error ? cause.message : String(cause);
    throw new Error(`${spec.name}: ${text}`, { cause });
  } finally {
    await server.stop();
  }
}

const rateOf = (m: Measurement) => (m.operations / m.elapsedMs) * 1_000;
const cpuOf = (m: Measurement) => m.serverCpuMicros / m.operations;
const storageCpuOf = (m: Measurement) => m.storageCpuMicros / m.operations;
const serverCoresOf = (m: Measurement) => m.serverCpuMicros / 1_000 / m.elapsedMs;
const clientCoresOf = (m: Measurement) => m.clientCpuMicros / 1_000 / m.elapsedMs;

const METRICS = {
  rate: rateOf,
  cpu: cpuOf,
  p50: (m: Measurement) => m.p50Ms ?? Number.NaN,
  p99: (m: Measurement) => m.p99Ms ?? Number.NaN,
} as const;

function summarize(workload: Workload, rounds: Rounds): Row[] {
  return [...rounds].map(([server, measured]) => {
    const middle = (metric: (m: Measurement) => number) => median(measured.map(metric));
    const serverCores = middle(serverCoresOf);
    const clientCores = middle(clientCoresOf);
    const rates = measured.map(rateOf);
    const ours = server === workload.ours ? undefined : rounds.get(workload.ours);
    return {
      figure: workload.figure,
      workload: workload.text,
      server: server.name,
      unit: workload.unit,
      ratePerSecond: middle(rateOf),
      serverCpuMicrosPerOperation: middle(cpuOf),
      serverCores,
      clientCores,
      otherCores: middle((m) => m.otherCores),
      limit: limitOf(serverCores, clientCores),
      rateRange: [Math.min(...rates), Math.max(...rates)] as const,
      ...(ours && { ourRateRatio: ratio(ours, measured, rateOf), ourCpuRatio: ratio(ours, measured, cpuOf) }),
      ...(server.backend !== undefined &&
        server.command !== undefined && { more: { [STORAGE_CPU]: middle(storageCpuOf) } }),
      ...(measured[0]?.p50Ms !== undefined && { p50Ms: middle(METRICS.p50), p99Ms: middle(METRICS.p99) }),
    };
  });
}

function limitOf(serverCores: number, clientCores: number): Row["limit"] {
  const server = serverCores >= SATURATED_CORES;
  const client = clientCores >= SATURATED_CORES;
  if (server && client) return "both";
  if (server) return "server";
  return client ? "client" : "neither";
}

/** The median of the ratios within each round. */
function ratio(
  ours: readonly Measurement[],
  theirs: readonly Measurement[],
  metric: (m: Measurement) => number,
): number {
  return median(ours.map((m, round) => metric(m) / metric(theirs[round]!)));
}

function judge(workload: Workload, rounds: Rounds): GoalResult[] {
  const ours = rounds.get(workload.ours);
  return workload.goals.flatMap(({ peer, metric, direction, value }) => {
    const theirs = rounds.get(peer);
    if (!ours || !theirs) return [];
    const text = `${workload.text}: ${metric} against ${peer.name}`;
    return [checkGoal(workload.figure, text, direction, value, ratio(ours, theirs, METRICS[metric]))];
  });
}
