import { setTimeout as delay } from "node:timers/promises";
import { SERVERS } from "../harness/catalogue.ts";
import { processRssBytes } from "../harness/cpu.ts";
import { Holders } from "../harness/holders.ts";
import { checkGoal, type Family, type GoalResult, type Row, type RunOptions } from "../harness/report.ts";
import { startServer } from "../harness/server-process.ts";
import { percentile } from "../harness/statistics.ts";
import type { HoldReply } from "../load/hold-protocol.ts";
import { measure } from "../load/sampling.ts";
import { startBuiltInCalls, startPublishing } from "../load/steady.ts";

const CLIENT_PROCESSES = 5;
const RECEIVERS = 10;
const PUBLISHES_PER_SECOND = 100;
const CALLS_PER_SECOND = 50;
const FULL_MS = 30_000;
const QUICK_MS = 3_000;
/** Time for the last deliveries after the last publish. */
const DRAIN_MS = 1_000;
const MEBIBYTE = 2 ** 20;

interface Measured {
  readonly text: string;
  readonly openSeconds: number;
  readonly elapsedMs: number;
  readonly serverCpuMicros: number;
  readonly clientCpuMicros: number;
  readonly otherCores: number;
  readonly rssMiB: number;
  readonly unwantedEnds: number;
  readonly latencies: Float64Array;
  readonly callLatencies: Float64Array;
}

/** Many open streams, few of which get something, while everything else must go on as if they were not there. */
export const connections: Family = {
  name: "connections",
  summary: "5,000 streams on few and on many connections: routing and calls meanwhile (SC-001, SC-002, SC-004)",
  async run(options) {
    const streams = options.quick ? 500 : 5_000;
    const cases: Measured[] = [];
    for (const count of [streams / 100, streams]) cases.push(await measureCase(streams, count, options));
    return { family: "connections", rows: cases.map(toRow), goals: cases.flatMap(toGoals) };
  },
};

async function measureCase(streams: number, connectionCount: number, options: RunOptions): Promise<Measured> {
  const text = `${streams.toLocaleString("en")} streams on ${connectionCount.toLocaleString("en")} connections`;
  options.progress(`SC-001 ${text}: opening`);
  const channels = Array.from({ length: streams / RECEIVERS }, (_, i) => `channel-${i}`);
  const server = await startServer(SERVERS.agentbus, options.profileFolder);
  const holders = new Holders(CLIENT_PROCESSES);
  try {
    const openingAt = performance.now();
    await holders.open({ port: server.port, connections: connectionCount, streams, channels });
    const openSeconds = (performance.now() - openingAt) / 1_000;

    const publishing = await startPublishing(server.port, channels, PUBLISHES_PER_SECOND);
    const calls = await startBuiltInCalls(server.port, CALLS_PER_SECOND);
    await delay(options.warmUpMs);
    options.progress(`SC-001 ${text}: ${PUBLISHES_PER_SECOND} publishes/s × ${RECEIVERS} receivers`);
    await holders.all({ kind: "record" });
    calls.record();
    const measurement = await measure(
      { serverPids: [server.pid], warmUpMs: 0, measureMs: options.quick ? QUICK_MS : FULL_MS },
      () => 0,
    );
    const rssMiB = processRssBytes(server.pid) / MEBIBYTE;
    const published = publishing.stop();
    const callLatencies = calls.stop();
    await delay(DRAIN_MS);
    const replies = await holders.all({ kind: "report" });

    const delivered = sum(replies, (reply) => reply.deliveries);
    if (delivered !== published * RECEIVERS) {
      throw new Error(`${text}: ${delivered} deliveries came of ${published * RECEIVERS}`);
    }
    const unwantedEnds = sum(replies, (reply) => reply.unwantedEnds);
    return {
      ...measurement,
      text,
      openSeconds,
      rssMiB,
      unwantedEnds,
      latencies: mergeLatencies(replies),
      callLatencies,
    };
  } finally {
    holders.close();
    await server.stop();
  }
}

function toRow(measured: Measured): Row {
  const { text, elapsedMs, serverCpuMicros, clientCpuMicros, latencies } = measured;
  const ratePerSecond = (latencies.length / elapsedMs) * 1_000;
  return {
    figure: "SC-001",
    workload: text,
    server: SERVERS.agentbus.name,
    unit: "deliveries",
    ratePerSecond,
    rateRange: [ratePerSecond, ratePerSecond],
    serverCpuMicrosPerOperation: serverCpuMicros / latencies.length,
    serverCores: serverCpuMicros / 1_000 / elapsedMs,
    clientCores: clientCpuMicros / 1_000 / elapsedMs,
    otherCores: measured.otherCores,
    limit: "neither",
    p50Ms: percentile(latencies, 0.5),
    p99Ms: percentile(latencies, 0.99),
    more: {
      "calls p99 ms": percentile(measured.callLatencies, 0.99),
      "RSS MiB": measured.rssMiB,
      "open s": measured.openSeconds,
      "unwanted ends": measured.unwantedEnds,
    },
  };
}

function toGoals({ text, unwantedEnds, latencies, callLatencies, rssMiB }: Measured): GoalResult[] {
  return [
    checkGoal("SC-001", `${text}: unwanted ends`, "at most", 0, unwantedEnds),
    checkGoal("SC-002", `${text}: routing p99 in ms`, "at most", 50, percentile(latencies, 0.99)),
    checkGoal("SC-004", `${text}: built-in calls p99 in ms`, "at most", 100, percentile(callLatencies, 0.99)),
    checkGoal("F12", `${text}: RSS in MiB`, "at most", 400, rssMiB),
  ];
}

function sum(replies: readonly HoldReply[], of: (reply: HoldReply) => number): number {
  return replies.reduce((total, reply) => total + of(reply), 0);
}

function mergeLatencies(replies: readonly HoldReply[]): Float64Array {
  const all = new Float64Array(sum(replies, ({ latencies }) => latencies?.length ?? 0));
  let offset = 0;
  for (const { latencies } of replies) {
    if (!latencies) continue;
    all.set(latencies, offset);
    offset += latencies.length;
  }
  return all;
}
