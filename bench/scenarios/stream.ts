import { SERVERS } from "../harness/catalogue.ts";
import type { Family, RunOptions } from "../harness/report.ts";
import type { ServerSpec } from "../harness/server-process.ts";
import { runWorkloads, type Workload, type WorkloadGoal } from "../harness/workloads.ts";

/** Batches in flight, and messages in each. */
const CASES = [
  { inFlight: 64, batch: 1 },
  { inFlight: 8, batch: 16 },
  { inFlight: 3, batch: 64 },
] as const;

/** Publishing over one PublishStream; nobody reads. */
export const stream: Family = {
  name: "stream",
  summary: "publishing over a stream (F7)",
  async run(options) {
    return { family: "stream", ...(await runWorkloads(workloads(options), options)) };
  },
};

function workloads(options: RunOptions): Workload[] {
  const cases = options.quick ? CASES.slice(1, 2) : CASES;
  return cases.map(({ inFlight, batch }) => ({
    figure: "F7",
    text: `stream publish, ${inFlight} × ${batch} in flight`,
    unit: "messages",
    ours: SERVERS.agentbus,
    peers: [SERVERS.grpcJs, SERVERS.grpcJsRaw, SERVERS.rawHttp2, SERVERS.connectGenerator],
    shape: { kind: "publish", mode: "stream", connections: 1, batch, inFlight },
    goals: batch >= 16 ? [against(SERVERS.grpcJs), against(SERVERS.grpcJsRaw)] : [],
  }));
}

function against(peer: ServerSpec): WorkloadGoal {
  return { peer, metric: "rate", direction: "at least", value: 0.7 };
}
