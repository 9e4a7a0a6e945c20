import { SERVERS } from "../harness/catalogue.ts";
import type { Family, RunOptions } from "../harness/report.ts";
import type { ServerSpec } from "../harness/server-process.ts";
import { runWorkloads, type Workload, type WorkloadGoal } from "../harness/workloads.ts";

/** Publishing by unary calls over one connection, one message a call. */
export const unary: Family = {
  name: "unary",
  summary: "unary publish (F6)",
  async run(options) {
    return { family: "unary", ...(await runWorkloads(workloads(options), options)) };
  },
};

function workloads(options: RunOptions): Workload[] {
  const inFlight = options.quick ? [64] : [1, 16, 64];
  return inFlight.map((calls) => ({
    figure: "F6",
    text: `unary publish, ${calls} in flight`,
    unit: "calls",
    ours: SERVERS.agentbus,
    peers: [SERVERS.grpcJs, SERVERS.grpcJsRaw, SERVERS.rawHttp2, SERVERS.connectGenerator],
    shape: { kind: "publish", mode: "unary", connections: 1, batch: 1, inFlight: calls },
    goals: calls === 64 ? [against(SERVERS.grpcJs), against(SERVERS.grpcJsRaw)] : [],
  }));
}

function against(peer: ServerSpec): WorkloadGoal {
  return { peer, metric: "rate", direction: "at least", value: 0.5 };
}
