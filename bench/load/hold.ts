/** A client process that holds many open streams and says what reached them. */
import { subscribeReading } from "../clients/bus-client.ts";
import { Http2Connection } from "../clients/http2-connection.ts";
import { sentAtOf, sharedClockMs } from "../clients/payload.ts";
import type { HoldCommand, HoldReply } from "./hold-protocol.ts";
import { LatencyRecorder } from "./latency-recorder.ts";

/** Streams that are being opened at a time: enough to be quick, few enough to be no flood. */
const OPENING_AT_ONCE = 32;

const latencies = new LatencyRecorder(sharedClockMs);
let deliveries = 0;
let lastAtMs = 0;
let unwantedEnds = 0;
let problem: string | undefined;
let awaited: { readonly deliveries: number; readonly reached: () => void } | undefined;

function onPayload(bytes: Buffer, offset: number): void {
  deliveries++;
  lastAtMs = sharedClockMs();
  latencies.record(sentAtOf(bytes, offset), lastAtMs);
  if (awaited && deliveries >= awaited.deliveries) {
    awaited.reached();
    awaited = undefined;
  }
}

function onProblem(text: string): void {
  unwantedEnds++;
  problem ??= text;
}

async function open(command: Extract<HoldCommand, { kind: "open" }>): Promise<void> {
  const connections: Http2Connection[] = [];
  await inParallel(command.connections, async () => {
    connections.push(await Http2Connection.open(command.port));
  });
  await inParallel(command.streams, (i) => {
    const connection = connections[i % connections.length]!;
    const channel = command.channels[i % command.channels.length]!;
    return subscribeReading(
      connection,
      `bench-subscriber-${command.firstSubscriber + i}`,
      channel,
      onPayload,
      onProblem,
    );
  });
}

async function inParallel(count: number, work: (index: number) => Promise<void>): Promise<void> {
  let next = 0;
  const worker = async () => {
    while (next < count) await work(next++);
  };
  await Promise.all(Array.from({ length: Math.min(OPENING_AT_ONCE, count) }, worker));
}

async function carryOut(command: HoldCommand): Promise<void> {
  switch (command.kind) {
    case "open":
      return open(command);
    case "await":
      if (deliveries >= command.deliveries) return;
      await new Promise<void>((reached) => {
        awaited = { deliveries: command.deliveries, reached };
      });
      return;
    case "record":
      latencies.start();
      return;
    case "report":
      latencies.stop();
  }
}

process.on("message", async (command: HoldCommand) => {
  await carryOut(command);
  const reply: HoldReply = {
    deliveries,
    lastAtMs,
    unwantedEnds,
    problem,
    ...(command.kind === "report" && { latencies: latencies.values() }),
  };
  process.send?.(reply);
});
