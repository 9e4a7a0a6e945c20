import { SERVERS } from "../harness/catalogue.ts";
import type { Family, RunOptions } from "../harness/report.ts";
import type { ServerSpec } from "../harness/server-process.ts";
import { type JobShape, runWorkloads, type Workload } from "../harness/workloads.ts";

/** Many publishers of one message each: 1,000 in flight. */
const SINGLES: JobShape = { kind: "publish", mode: "stream", connections: 1, batch: 1, inFlight: 1_000 };
/** Four publishers with eight batches of 32 each: 1,024 messages in flight. */
const BATCHES: JobShape = { kind: "publish", mode: "stream", connections: 4, batch: 32, inFlight: 8 };
/** One publisher with batches of 100. */
const HUNDREDS: JobShape = { kind: "publish", mode: "stream", connections: 1, batch: 100, inFlight: 10 };
/** Rows one by one, over sixteen connections. */
const ROWS: JobShape = { kind: "publish", mode: "stream", connections: 16, batch: 1, inFlight: 1 };
const XADD: JobShape = { kind: "publish", mode: "stream", connections: 1, batch: 1, inFlight: 1_000 };

/** Durable publish on the storages that nodes share, against what one would write by hand on the same server. */
export const backends: Family = {
  name: "backends",
  summary: "durable publish on Redis, PostgreSQL and MariaDB against doing it by hand (F8, F11)",
  async run(options) {
    return { family: "backends", ...(await runWorkloads(workloads(options), options)) };
  },
};

function workloads(options: RunOptions): Workload[] {
  const { agentbusRedis, agentbusPostgres, agentbusMariadb, redisAlways, postgresRows, mariadbRows } = SERVERS;
  const all: Workload[] = [
    workload("F8", "Redis always", agentbusRedis, redisAlways, XADD, 1),
    workload("F11", "PostgreSQL", agentbusPostgres, postgresRows, ROWS, 5),
    workload("F11", "MariaDB", agentbusMariadb, mariadbRows, ROWS, 8),
  ].flat();
  return options.quick ? all.filter(({ goals }) => goals.length > 0) : all;
}

function workload(
  figure: string,
  what: string,
  ours: ServerSpec,
  peer: ServerSpec,
  theirs: JobShape,
  goal: number,
): Workload[] {
  const common = { figure, unit: "messages", ours, peers: [peer], shapeFor: { [peer.name]: theirs } };
  const goals = [{ peer, metric: "rate", direction: "at least", value: goal }] as const;
  return [
    { ...common, text: `${what}: 4 × 8 batches of 32`, shape: BATCHES, goals },
    { ...common, text: `${what}: 1,000 × 1 in flight`, shape: SINGLES, goals: [] },
    { ...common, text: `${what}: one channel, batches of 100`, shape: HUNDREDS, goals: [] },
  ];
}
