import { SERVERS } from "../harness/catalogue.ts";
import type { Family, RunOptions } from "../harness/report.ts";
import { runWorkloads, type Workload, type WorkloadGoal } from "../harness/workloads.ts";

const SINGLE = 1;
const BURST = 32;
/**
 * Requests in flight. One for single messages, so that there is nothing to batch. Two for bursts, so that the server has
 * the next one when it is done and never waits for the client.
 */
const IN_FLIGHT = { [SINGLE]: 1, [BURST]: 2 };
/** How far the publisher may be ahead of the slowest subscriber, in messages. */
const MAX_LAG = 256;

const PEERS = [
  SERVERS.rawHttp2,
  SERVERS.rawHttp2Batch,
  SERVERS.grpcJs,
  SERVERS.grpcJsBatch,
  SERVERS.connectGenerator,
  SERVERS.ws,
];

const against = (peer: WorkloadGoal["peer"], value: number): WorkloadGoal => ({
  peer,
  metric: "rate",
  direction: "at least",
  value,
});

const GOALS: Readonly<Record<string, readonly WorkloadGoal[]>> = {
  "1/100": [against(SERVERS.rawHttp2, 0.8)],
  "1/1000": [against(SERVERS.rawHttp2, 0.7)],
  "32/100": [against(SERVERS.rawHttp2, 2), against(SERVERS.connectGenerator, 50)],
  "32/1000": [against(SERVERS.rawHttp2, 1.6), against(SERVERS.connectGenerator, 50)],
};

/** One publisher, subscribers with a connection each: the server meets one message at a time, or one burst. */
export const fanout: Family = {
  name: "fanout",
  summary: "fan-out of single messages and of bursts (F1, F2)",
  async run(options) {
    return { family: "fanout", ...(await runWorkloads(workloads(options), options)) };
  },
};

function workloads(options: RunOptions): Workload[] {
  const counts = options.quick ? [10, 100] : [1, 10, 100, 1_000];
  return ([SINGLE, BURST] as const).flatMap((batch) =>
    counts.map((subscribers) => ({
      figure: batch === SINGLE ? "F1" : "F2",
      text: `1 to ${subscribers.toLocaleString("en")}, ${batch === SINGLE ? "one at a time" : `bursts of ${batch}`}`,
      unit: "deliveries",
      ours: SERVERS.agentbus,
      peers: options.quick ? [SERVERS.rawHttp2, SERVERS.connectGenerator] : PEERS,
      shape: {
        kind: "fanout",
        subscribers,
        batch,
        maxRequests: IN_FLIGHT[batch],
        maxLag: MAX_LAG,
        check: options.check,
      },
      goals: GOALS[`${batch}/${subscribers}`] ?? [],
    })),
  );
}
