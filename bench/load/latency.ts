import { StreamPublisher, subscribeReading } from "../clients/bus-client.ts";
import { encodePublishRequest } from "../clients/bus-requests.ts";
import { Http2Connection } from "../clients/http2-connection.ts";
import { createPayload, sentAtOf, sharedClockMs, stampPayload } from "../clients/payload.ts";
import { forEachField } from "../clients/protobuf-fields.ts";
import { encodeClientFrame, openWebSocket } from "../clients/websocket.ts";
import type { LatencyJob, Measurement } from "./job.ts";
import { LatencyRecorder } from "./latency-recorder.ts";
import { measure, settled } from "./sampling.ts";

const DRAIN_TIMEOUT_MS = 20_000;
const TICK_MS = 1;
const DATA_FIELD = 7;

/**
 * Publishes at a steady rate, one message a request, and takes the time to each subscriber. Where there are several nodes,
 * subscribers are on the first and the publisher is on the last.
 */
export async function runLatency(job: LatencyJob, onProblem: (problem: string) => void): Promise<Measurement> {
  const latencies = new LatencyRecorder(sharedClockMs);
  let delivered = 0;
  const onDeliveries = (messages: number) => {
    delivered += messages;
  };
  const onPayload = (bytes: Buffer, offset: number) => latencies.record(sentAtOf(bytes, offset), sharedClockMs());
  for (let i = 0; i < job.subscribers; i++) await openSubscriber(job, i, onDeliveries, onPayload, onProblem);
  const send = await openPublisher(job, onProblem);

  let sent = 0;
  const startedAt = performance.now();
  const ticker = setInterval(() => {
    const due = ((performance.now() - startedAt) * job.messagesPerSecond) / 1_000;
    for (; sent < due; sent++) send();
  }, TICK_MS);
  const measurement = await measure(
    job,
    () => delivered,
    () => latencies.start(),
  );
  latencies.stop();
  clearInterval(ticker);
  const explain = () => `of ${sent * job.subscribers} deliveries only ${delivered} came`;
  await settled(() => delivered >= sent * job.subscribers, DRAIN_TIMEOUT_MS, explain);
  return { ...measurement, ...latencies.percentiles() };
}

async function openSubscriber(
  job: LatencyJob,
  index: number,
  onDeliveries: (messages: number) => void,
  onPayload: (bytes: Buffer, offset: number) => void,
  onProblem: (problem: string) => void,
): Promise<void> {
  if (job.dialect === "ws") {
    const onFrame = (bytes: Buffer, start: number, end: number) =>
      forEachField(bytes, start, end, (entry) =>
        forEachField(bytes, entry.start, entry.end, (part) => {
          if (part.number === DATA_FIELD) onPayload(bytes, part.start);
        }),
      );
    await openWebSocket(job.port, "/subscribe", onDeliveries, onProblem, onFrame);
    return;
  }
  const connection = await Http2Connection.open(job.port);
  const onMessage = (bytes: Buffer, offset: number) => {
    onDeliveries(1);
    onPayload(bytes, offset);
  };
  await subscribeReading(connection, `bench-subscriber-${index}`, job.channel, onMessage, onProblem);
}

/** Returns what sends one message, stamped with the time. */
async function openPublisher(job: LatencyJob, onProblem: (problem: string) => void): Promise<() => void> {
  if (job.dialect === "ws") {
    const socket = await openWebSocket(job.port, "/publish", () => {}, onProblem);
    const request = encodePublishRequest(job.channel, 1);
    const payload = request.indexOf(createPayload());
    let index = 0;
    return () => {
      stampPayload(request, payload, sharedClockMs(), index++);
      socket.write(encodeClientFrame(request));
    };
  }
  const connection = await Http2Connection.open(job.ports.at(-1)!);
  const options = { channel: job.channel, batch: 1, stamp: true };
  const publisher = StreamPublisher.open(connection, options, () => {}, onProblem);
  return () => publisher.send();
}
