import { SERVERS } from "../harness/catalogue.ts";
import { checkGoal, type Family, type RunOptions } from "../harness/report.ts";
import { runWorkloads, type Workload } from "../harness/workloads.ts";

const MAIN = { messagesPerSecond: 2_000, subscribers: 50 };
const CASES = [MAIN, { messagesPerSecond: 500, subscribers: 50 }, { messagesPerSecond: 500, subscribers: 1 }];
const P99_GOAL_MS = 5;

/** From the moment a message is handed to the socket until a subscriber has read it, at a steady rate. */
export const latency: Family = {
  name: "latency",
  summary: "time from publish to delivery at a steady rate (F9)",
  async run(options) {
    const cases = workloads(options);
    const { rows, goals } = await runWorkloads(cases, options);
    const ours = rows.find((row) => row.workload === cases[0]?.text && row.server === SERVERS.agentbus.name);
    if (ours?.p99Ms !== undefined) {
      goals.push(checkGoal("F9", `${ours.workload}: p99 in ms`, "at most", P99_GOAL_MS, ours.p99Ms));
    }
    return { family: "latency", rows, goals };
  },
};

function workloads(options: RunOptions): Workload[] {
  const { agentbus, grpcJs, rawHttp2, ws } = SERVERS;
  return CASES.slice(0, options.quick ? 1 : undefined).map(({ messagesPerSecond, subscribers }) => ({
    figure: "F9",
    text: `${messagesPerSecond.toLocaleString("en")} messages/s × ${subscribers} subscribers`,
    unit: "deliveries",
    ours: agentbus,
    peers: [grpcJs, rawHttp2, ws],
    shape: { kind: "latency", subscribers, messagesPerSecond },
    goals:
      messagesPerSecond === MAIN.messagesPerSecond
        ? [
            { peer: grpcJs, metric: "p50", direction: "at most", value: 1 },
            { peer: grpcJs, metric: "p99", direction: "at most", value: 1 },
          ]
        : [],
  }));
}
