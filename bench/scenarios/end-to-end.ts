import { SERVERS } from "../harness/catalogue.ts";
import type { Family, RunOptions } from "../harness/report.ts";
import { runWorkloads, type Workload, type WorkloadGoal } from "../harness/workloads.ts";

/** Messages on their way at a time, seen from the slowest subscriber. */
const OUTSTANDING = 192;

const PEERS = [SERVERS.nats, SERVERS.redis, SERVERS.ws, SERVERS.grpcJs, SERVERS.rawHttp2Batch];

const { nats, redis, ws } = SERVERS;

const CASES: readonly { figure: string; subscribers: number; batch: number; goals: readonly WorkloadGoal[] }[] = [
  {
    figure: "F3",
    subscribers: 100,
    batch: 32,
    goals: [
      { peer: nats, metric: "rate", direction: "at least", value: 3 },
      { peer: redis, metric: "rate", direction: "at least", value: 1.2 },
      { peer: ws, metric: "rate", direction: "at least", value: 20 },
      { peer: nats, metric: "cpu", direction: "at most", value: 0.4 },
    ],
  },
  {
    figure: "F4",
    subscribers: 100,
    batch: 1,
    goals: [
      { peer: nats, metric: "rate", direction: "at least", value: 0.8 },
      { peer: ws, metric: "rate", direction: "at least", value: 5 },
    ],
  },
  {
    figure: "F5",
    subscribers: 1,
    batch: 32,
    goals: [{ peer: nats, metric: "rate", direction: "at least", value: 0.7 }],
  },
  {
    figure: "F5",
    subscribers: 1,
    batch: 1,
    goals: [{ peer: nats, metric: "rate", direction: "at least", value: 0.5 }],
  },
];

/**
 * One publisher and its subscribers, a fixed number of messages on their way. What a batch is depends on the protocol:
 * one request on ours and the reference servers, so many PUB or PUBLISH commands in one write on NATS and Redis.
 */
export const endToEnd: Family = {
  name: "endtoend",
  summary: "end to end against NATS core, Redis pub/sub and ws (F3, F4, F5)",
  async run(options) {
    return { family: "endtoend", ...(await runWorkloads(workloads(options), options)) };
  },
};

function workloads(options: RunOptions): Workload[] {
  return CASES.map(({ figure, subscribers, batch, goals }) => ({
    figure,
    text: `1 to ${subscribers}, ${batch === 1 ? "single messages" : `batches of ${batch}`}, ${OUTSTANDING} on their way`,
    unit: "deliveries",
    ours: SERVERS.agentbus,
    peers: options.quick ? PEERS.slice(0, 3) : PEERS,
    shape: { kind: "fanout", subscribers, batch, maxRequests: 0, maxLag: OUTSTANDING, check: options.check },
    goals,
  }));
}
