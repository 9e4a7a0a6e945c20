import { setTimeout as delay } from "node:timers/promises";
import { StreamPublisher } from "../clients/bus-client.ts";
import { Http2Connection } from "../clients/http2-connection.ts";
import { sharedClockMs } from "../clients/payload.ts";
import { SERVERS } from "../harness/catalogue.ts";
import { processCpuMicros, processRssBytes } from "../harness/cpu.ts";
import { Holders } from "../harness/holders.ts";
import { checkGoal, type Family, type Row } from "../harness/report.ts";
import { type RunningServer, type ServerSpec, startServer } from "../harness/server-process.ts";
import { median } from "../harness/statistics.ts";

const CLIENT_PROCESSES = 2;
const WARM_UP_CONNECTIONS = 100;
const BROADCASTS = 9;
const CHANNEL = "everyone";
const SETTLE_STEP_MS = 250;
const SETTLE_STEPS = 20;

interface Result {
  readonly bytesPerConnection: number;
  readonly broadcastMs: number;
  readonly broadcastCpuMicros: number;
}

/** What a connection with one idle subscription costs, and how long one message takes to all of them. */
export const memory: Family = {
  name: "memory",
  summary: "memory of idle subscribers, broadcast to 5,000 connections (F10)",
  async run(options) {
    const connections = options.quick ? 500 : 5_000;
    const servers = [SERVERS.agentbus, SERVERS.rawHttp2, SERVERS.grpcJs, SERVERS.connectGenerator];
    const results = new Map<ServerSpec, Result[]>(servers.map((server) => [server, []]));
    for (let round = 1; round <= options.rounds; round++) {
      for (const server of servers) {
        options.progress(`F10 ${connections} connections: ${server.name}, round ${round} of ${options.rounds}`);
        results.get(server)!.push(await measureServer(server, connections, options.profileFolder));
      }
    }
    const ratio = (peer: ServerSpec, metric: (result: Result) => number) =>
      median(results.get(SERVERS.agentbus)!.map((ours, i) => metric(ours) / metric(results.get(peer)![i]!)));
    const text = `${connections.toLocaleString("en")} connections`;
    return {
      family: "memory",
      rows: servers.map((server) => toRow(server, text, connections, results.get(server)!, ratio)),
      goals: [
        checkGoal(
          "F10",
          `${text}: memory of each against node:http2`,
          "at most",
          1.7,
          ratio(SERVERS.rawHttp2, (result) => result.bytesPerConnection),
        ),
        checkGoal(
          "F10",
          `${text}: broadcast time against node:http2`,
          "at most",
          1.4,
          ratio(SERVERS.rawHttp2, (result) => result.broadcastMs),
        ),
      ],
    };
  },
};

async function measureServer(spec: ServerSpec, connections: number, profileFolder?: string): Promise<Result> {
  const server = await startServer(spec, profileFolder);
  const holders = new Holders(CLIENT_PROCESSES);
  try {
    await warmUp(server);
    const before = await settledRss(server);
    await holders.open({ port: server.port, connections, streams: connections, channels: [CHANNEL] });
    const publisher = await openPublisher(server.port);
    await publisher.broadcast(holders, connections);
    const bytesPerConnection = ((await settledRss(server)) - before) / connections;
    const times: number[] = [];
    const cpuBefore = processCpuMicros(server.pid);
    for (let i = 0; i < BROADCASTS; i++) times.push(await publisher.broadcast(holders, connections));
    const broadcastCpuMicros = (processCpuMicros(server.pid) - cpuBefore) / BROADCASTS;
    publisher.close();
    return { bytesPerConnection, broadcastMs: median(times), broadcastCpuMicros };
  } finally {
    holders.close();
    await server.stop();
  }
}

/** Runs the code paths once, so that what is loaded and compiled is not counted as memory of connections. */
async function warmUp(server: RunningServer): Promise<void> {
  const holders = new Holders(1);
  const options = { port: server.port, connections: WARM_UP_CONNECTIONS, streams: WARM_UP_CONNECTIONS };
  await holders.open({ ...options, channels: ["warm-up"] });
  holders.close();
}

async function openPublisher(
  port: number,
): Promise<{ broadcast(holders: Holders, streams: number): Promise<number>; close(): void }> {
  const connection = await Http2Connection.open(port);
  const { promise: failed, reject } = Promise.withResolvers<never>();
  failed.catch(() => {});
  const options = { channel: CHANNEL, batch: 1, stamp: true };
  const onProblem = (problem: string) => reject(new Error(problem));
  const publisher = StreamPublisher.open(connection, options, () => {}, onProblem);
  let sent = 0;
  return {
    /** Milliseconds until the last stream has the message. */
    async broadcast(holders, streams) {
      const sentAt = sharedClockMs();
      publisher.sendNow();
      const replies = await Promise.race([holders.everyStreamHas(++sent, streams), failed]);
      return Math.max(...replies.map((reply) => reply.lastAtMs)) - sentAt;
    },
    close: () => connection.close(),
  };
}

/** The resident memory after garbage collections, when it no longer falls. */
async function settledRss(server: RunningServer): Promise<number> {
  let rss = Number.POSITIVE_INFINITY;
  for (let step = 0; step < SETTLE_STEPS; step++) {
    server.signal("SIGUSR2");
    await delay(SETTLE_STEP_MS);
    const now = processRssBytes(server.pid);
    if (now > rss * 0.99) return Math.min(rss, now);
    rss = now;
  }
  return rss;
}

function toRow(
  server: ServerSpec,
  workload: string,
  connections: number,
  results: readonly Result[],
  ratio: (peer: ServerSpec, metric: (result: Result) => number) => number,
): Row {
  const rates = results.map((result) => (connections / result.broadcastMs) * 1_000);
  const cpu = median(results.map((result) => result.broadcastCpuMicros));
  const ms = median(results.map((result) => result.broadcastMs));
  return {
    figure: "F10",
    workload,
    server: server.name,
    unit: "deliveries",
    ratePerSecond: median(rates),
    rateRange: [Math.min(...rates), Math.max(...rates)],
    serverCpuMicrosPerOperation: cpu / connections,
    serverCores: cpu / 1_000 / ms,
    clientCores: Number.NaN,
    otherCores: Number.NaN,
    limit: "neither",
    ...(server !== SERVERS.agentbus && {
      ourRateRatio: 1 / ratio(server, (result) => result.broadcastMs),
      ourCpuRatio: ratio(server, (result) => result.broadcastCpuMicros),
    }),
    more: {
      "KiB each": median(results.map((result) => result.bytesPerConnection)) / 1_024,
      "broadcast ms": ms,
      ...(server !== SERVERS.agentbus && { "our KiB ÷ its": ratio(server, (result) => result.bytesPerConnection) }),
    },
  };
}
