import { SERVERS } from "../harness/catalogue.ts";
import type { Family, RunOptions } from "../harness/report.ts";
import { type JobShape, runWorkloads, type Workload } from "../harness/workloads.ts";

/** One message a publish, pipelined: what JetStream and Redis are given, and what we are given in the second row. */
const pipelined = (inFlight: number): JobShape => ({
  kind: "publish",
  mode: "stream",
  connections: 1,
  batch: 1,
  inFlight,
});

/** Our way in for many messages: four publishers with eight batches of 32 each, 1,024 messages in flight. */
const BATCHES: JobShape = { kind: "publish", mode: "stream", connections: 4, batch: 32, inFlight: 8 };

/**
 * Publishing to storage that survives a crash. Ours answers when its batch is synced to disk; Redis with `appendfsync
 * always` too; JetStream answers before it syncs (it does so every two minutes), which is the weaker promise.
 */
export const durable: Family = {
  name: "durable",
  summary: "durable publish on file storage against JetStream and Redis (F8)",
  async run(options) {
    return { family: "durable", ...(await runWorkloads(workloads(options), options)) };
  },
};

function workloads(options: RunOptions): Workload[] {
  const { agentbusFile, jetStream, redisAlways } = SERVERS;
  const peers = [jetStream, redisAlways];
  const many: Workload = {
    figure: "F8",
    text: "durable publish, ~1,000 in flight, ours 4 × 8 batches of 32",
    unit: "messages",
    ours: agentbusFile,
    peers,
    shape: BATCHES,
    shapeFor: { [jetStream.name]: pipelined(1_000), [redisAlways.name]: pipelined(1_000) },
    goals: [
      { peer: jetStream, metric: "rate", direction: "at least", value: 1 },
      { peer: redisAlways, metric: "rate", direction: "at least", value: 5 },
    ],
  };
  if (options.quick) return [many];
  const single = (inFlight: number): Workload => ({
    figure: "F8",
    text: `durable publish, ${inFlight.toLocaleString("en")} × 1 in flight`,
    unit: "messages",
    ours: agentbusFile,
    peers,
    shape: pipelined(inFlight),
    goals: [],
  });
  return [many, single(1_000), single(64), single(1)];
}
