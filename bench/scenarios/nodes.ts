import { SERVERS } from "../harness/catalogue.ts";
import type { Family, RunOptions } from "../harness/report.ts";
import type { ServerSpec } from "../harness/server-process.ts";
import { runWorkloads, type Workload } from "../harness/workloads.ts";

const RATE = { messagesPerSecond: 1_000, subscribers: 10 };

/**
 * From the moment a message is handed to the socket of one node until a subscriber of another node has read it. Against
 * the same on one node, which needs no doorbell, and against one node in memory.
 */
export const nodes: Family = {
  name: "nodes",
  summary: "time from publish on one node to delivery on another, on each backend",
  async run(options) {
    return { family: "nodes", ...(await runWorkloads(workloads(options), options)) };
  },
};

function workloads(options: RunOptions): Workload[] {
  const { twoNodesRedis, twoNodesPostgres, twoNodesMariadb, agentbusRedis, agentbusPostgres, agentbusMariadb } =
    SERVERS;
  const pairs: readonly (readonly [ServerSpec, ServerSpec])[] = [
    [twoNodesRedis, agentbusRedis],
    [twoNodesPostgres, agentbusPostgres],
    [twoNodesMariadb, agentbusMariadb],
  ];
  return pairs.slice(0, options.quick ? 1 : undefined).map(([two, one]) => ({
    figure: "two nodes",
    text: `${two.backend}: 1,000 messages/s × 10 receivers on the other node`,
    unit: "deliveries",
    ours: two,
    peers: [one, SERVERS.grpcJs],
    shape: { kind: "latency", ...RATE },
    goals: [],
  }));
}
