import { SERVERS } from "../harness/catalogue.ts";
import type { Family, RunOptions } from "../harness/report.ts";
import type { ServerSpec } from "../harness/server-process.ts";
import { type JobShape, runWorkloads, type Workload } from "../harness/workloads.ts";

/** Six publishers with a channel each, spread over the nodes. */
const PUBLISH: JobShape = {
  kind: "publish",
  mode: "stream",
  connections: 6,
  batch: 32,
  inFlight: 4,
  ownChannels: true,
};
/** One publisher, readers spread over the nodes. */
const FANOUT: JobShape = {
  kind: "fanout",
  subscribers: 99,
  batch: 8,
  maxRequests: 16,
  maxLag: 256,
  check: false,
};

/** What a second and a third node bring on this machine. One of three nodes is compared with fewer. */
export const scaling: Family = {
  name: "scaling",
  summary: "1, 2 and 3 nodes on each backend: publishing to six channels, and reading one",
  async run(options) {
    return { family: "scaling", ...(await runWorkloads(workloads(options), options)) };
  },
};

function workloads(options: RunOptions): Workload[] {
  const { agentbusRedis, twoNodesRedis, threeNodesRedis } = SERVERS;
  const { agentbusPostgres, twoNodesPostgres, threeNodesPostgres } = SERVERS;
  const { agentbusMariadb, twoNodesMariadb, threeNodesMariadb } = SERVERS;
  const backends: readonly (readonly [ServerSpec, ServerSpec, ServerSpec])[] = [
    [agentbusRedis, twoNodesRedis, threeNodesRedis],
    [agentbusPostgres, twoNodesPostgres, threeNodesPostgres],
    [agentbusMariadb, twoNodesMariadb, threeNodesMariadb],
  ];
  return backends.slice(0, options.quick ? 1 : undefined).flatMap(([one, two, three]) => {
    const common = { figure: "nodes", ours: three, peers: [two, one], goals: [] };
    return [
      { ...common, text: `${one.backend}: six channels, batches of 32`, unit: "messages", shape: PUBLISH },
      { ...common, text: `${one.backend}: one channel, 99 readers`, unit: "deliveries", shape: FANOUT },
    ];
  });
}
