import { setTimeout as pause } from "node:timers/promises";
import type { Agent, Subscription } from "agentbus/node";
import { LatencyRecorder, type LatencySummary } from "./latency.ts";
import { stampedPayload, stampOf } from "./stamp.ts";

export interface LoadOptions {
  readonly channel: string;
  /** May be the same agent several times. */
  readonly publishers: readonly Agent[];
  readonly subscribers: readonly Agent[];
  /** Of all publishers together. */
  readonly messages: number;
  readonly payloadBytes: number;
  /** Messages a second of all publishers together; undefined: as fast as answers come. */
  readonly rate: number | undefined;
  /** Messages of one publisher that wait for their answer, at most. */
  readonly outstanding: number;
  readonly signal: AbortSignal;
}

/** What one side saw. */
export interface SideResult {
  readonly messages: number;
  readonly perSecond: number;
  readonly bytesPerSecond: number;
  /** Milliseconds from `send` (with a rate, from when it was due) to the answer, or to the reader; undefined: none. */
  readonly latency: LatencySummary | undefined;
}

export interface LoadResult {
  readonly published: SideResult;
  readonly delivered: SideResult;
  /** Deliveries that did not come. */
  readonly missing: number;
}

// The server is idle by then: what has not come after this does not come.
const QUIET_MS = 5_000;

/** Publishes to a channel and reads it, and measures both. Everything shares this process, and its clock. */
export async function runLoad(options: LoadOptions): Promise<LoadResult> {
  const { publishers, subscribers, messages, payloadBytes, channel, signal } = options;
  const answers = new LatencyRecorder();
  const deliveries = new LatencyRecorder();
  // With echo: a subscriber may be a publisher, too.
  const readers = subscribers.map((agent) => agent.subscribe({ channels: [channel], observe: true, echo: true }));
  const end = Promise.withResolvers<void>();
  const expected = messages * subscribers.length;
  let lastDelivery = 0;
  const onDelivery = (stamp: number) => {
    lastDelivery = performance.now();
    deliveries.record(lastDelivery - stamp);
    if (deliveries.count >= expected) end.resolve();
  };
  signal.addEventListener("abort", () => end.reject(signal.reason), { once: true });
  end.promise.catch(() => {}); // it may come before anybody waits for it
  const reading = Promise.all(readers.map((reader) => read(reader, onDelivery)));
  reading.catch(end.reject);
  try {
    await Promise.all(readers.map((reader) => reader.ready()));
    const startedAt = performance.now();
    await Promise.all(
      publishers.map((agent, i) => publish(agent, share(messages, publishers.length, i), options, answers)),
    );
    const publishedAt = performance.now();
    if (deliveries.count < expected) await Promise.race([end.promise, quiet(() => lastDelivery, signal)]);
    const side = (recorder: LatencyRecorder, endedAt: number) =>
      sideResult(recorder, (endedAt - startedAt) / 1_000, payloadBytes);
    return {
      published: side(answers, publishedAt),
      delivered: side(deliveries, lastDelivery),
      missing: expected - deliveries.count,
    };
  } finally {
    await Promise.allSettled(readers.map((reader) => reader.close()));
    await reading.catch(() => {});
  }
}

function sideResult(recorder: LatencyRecorder, seconds: number, payloadBytes: number): SideResult {
  const perSecond = recorder.count === 0 ? 0 : recorder.count / seconds;
  return {
    messages: recorder.count,
    perSecond,
    bytesPerSecond: perSecond * payloadBytes,
    latency: recorder.summary(),
  };
}

async function read(reader: Subscription, onDelivery: (stamp: number) => void): Promise<void> {
  for await (const message of reader) onDelivery(stampOf(message.data));
}

async function publish(
  agent: Agent,
  count: number,
  { channel, payloadBytes, rate, publishers, outstanding, signal }: LoadOptions,
  answers: LatencyRecorder,
): Promise<void> {
  const intervalMs = rate === undefined ? 0 : (1_000 * publishers.length) / rate;
  const startedAt = performance.now();
  const waiting: Promise<void>[] = [];
  for (let i = 0; i < count; i++) {
    signal.throwIfAborted();
    const dueAt = startedAt + i * intervalMs;
    const early = dueAt - performance.now();
    if (early > 0) await pause(early, undefined, { signal });
    if (waiting.length >= outstanding) await waiting.shift();
    // With a rate, from when it was due: a message that had to wait for those before it waited, too.
    const sentAt = rate === undefined ? performance.now() : dueAt;
    const stored = agent
      .send(stampedPayload(payloadBytes, sentAt), { channel, signal })
      .then(() => answers.record(performance.now() - sentAt));
    stored.catch(() => {}); // told when its turn comes
    waiting.push(stored);
  }
  await Promise.all(waiting);
}

/** The part of `total` that the i-th of `parts` takes. */
function share(total: number, parts: number, i: number): number {
  return Math.floor(total / parts) + (i < total % parts ? 1 : 0);
}

/** Resolves when nothing has come for a while. */
async function quiet(lastAt: () => number, signal: AbortSignal): Promise<void> {
  const since = performance.now();
  for (;;) {
    const left = Math.max(since, lastAt()) + QUIET_MS - performance.now();
    if (left <= 0) return;
    await pause(left, undefined, { signal, ref: false });
  }
}
