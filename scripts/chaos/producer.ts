import { create } from "@bufbuild/protobuf";
import { type PublishStreamRequest, PublishStreamRequestSchema } from "../../gen/agentbus/v1/bus_service_pb.ts";
import { openClients, type WireOptions } from "../../test/support/wire-clients.ts";
import type { Recorder } from "./recorder.ts";
import { pauseBeforeRetry } from "./retry.ts";
import { outcomeOf, outcomeOfReason } from "./wire-error.ts";
import { type Batch, recordAttempt, type Writer } from "./workload.ts";

export interface ProducerOptions {
  /** Asked before each connection: where to go. */
  readonly url: () => string;
  readonly history: Recorder;
  readonly writer: Writer;
  readonly next: () => Batch;
  /** Aborted: what was begun is finished, nothing new is. */
  readonly stop: AbortSignal;
  /** Aborted: the campaign failed, so nothing is finished. */
  readonly abandon: AbortSignal;
  /** Told of every acknowledged batch. */
  readonly onAck: (messages: number) => void;
  readonly wire?: WireOptions;
  /** Awaited before each new batch. Default: as fast as answers come. */
  readonly pace?: () => Promise<void>;
}

/** Batches that a stream has under way: enough to fill group commits, few enough to keep the server's answers near. */
const WINDOW = 8;
/** A call that takes longer counts as lost: a stopped server's kernel may keep a connection open. */
const CALL_MS = 5_000;

/** One batch after another by unary calls; a batch whose outcome is unknown is sent again until it is known. */
export async function runUnaryProducer(options: ProducerOptions): Promise<void> {
  const { history, writer, next, stop } = options;
  let clients = openClients(options.url(), options.wire);
  try {
    while (!stop.aborted) {
      await options.pace?.();
      const batch = next();
      for (;;) {
        const attempt = recordAttempt(history, writer, batch);
        try {
          attempt.acked(await clients.bus.publish(batch.request, { timeoutMs: CALL_MS }));
          options.onAck(batch.messages.length);
          break;
        } catch (error) {
          if (outcomeOf(error) === "unknown") attempt.unknown();
          else attempt.refused();
          clients.close();
          await pauseBeforeRetry();
          options.abandon.throwIfAborted();
          clients = openClients(options.url(), options.wire);
        }
      }
    }
  } finally {
    clients.close();
  }
}

interface Sent {
  readonly batch: Batch;
  readonly attempt: ReturnType<typeof recordAttempt>;
}

/** Several batches under way over one PublishStream; after a cut, everything unanswered again, in order. */
export async function runStreamProducer(options: ProducerOptions): Promise<void> {
  /** Not known to be stored, oldest first. */
  const unanswered: Batch[] = [];
  while (!options.stop.aborted || unanswered.length > 0) {
    try {
      await publishOverOneStream(options, unanswered);
    } catch (error) {
      outcomeOf(error);
      await pauseBeforeRetry();
      options.abandon.throwIfAborted();
    }
  }
}

async function publishOverOneStream(options: ProducerOptions, unanswered: Batch[]): Promise<void> {
  const { history, writer, next, stop, onAck } = options;
  using clients = openClients(options.url(), options.wire);
  const sent = new Map<number, Sent>();
  const again = [...unanswered];
  let wake = Promise.withResolvers<void>();
  let over = false;
  const silent = new AbortController();
  let timer: NodeJS.Timeout | undefined;
  const awaitAnswer = () => {
    clearTimeout(timer);
    if (sent.size > 0) timer = setTimeout(() => silent.abort(new Error("no answer to a publish")), CALL_MS);
  };

  async function* requests(): AsyncGenerator<PublishStreamRequest> {
    for (let requestId = 1; !over; requestId++) {
      while (!over && sent.size >= WINDOW) await wake.promise;
      if (over) return;
      const repeated = again.shift();
      if (repeated === undefined && !stop.aborted) await options.pace?.();
      if (over || (repeated === undefined && stop.aborted)) return;
      const batch = repeated ?? next();
      if (repeated === undefined) unanswered.push(batch);
      sent.set(requestId, { batch, attempt: recordAttempt(history, writer, batch) });
      if (sent.size === 1) awaitAnswer();
      yield create(PublishStreamRequestSchema, { requestId, publish: batch.request });
    }
  }

  try {
    for await (const { requestId, result } of clients.bus.publishStream(requests(), { signal: silent.signal })) {
      const answered = sent.get(requestId);
      if (answered === undefined) throw new Error(`the server answers request ${requestId}, which is not under way`);
      sent.delete(requestId);
      awaitAnswer();
      if (result.case === "published") {
        answered.attempt.acked(result.value);
        unanswered.splice(unanswered.indexOf(answered.batch), 1);
        onAck(answered.batch.messages.length);
      } else {
        const outcome = outcomeOfReason(result.value?.reason ?? "", result.value);
        if (outcome === "unknown") answered.attempt.unknown();
        else answered.attempt.refused();
        // By the contract, what was sent behind a refused request is refused with it; a new stream sends all of it again.
        if (outcome === "refused") {
          for (const { attempt } of sent.values()) attempt.refused();
          sent.clear();
        }
        return;
      }
      wake.resolve();
      wake = Promise.withResolvers<void>();
    }
    if (sent.size > 0) throw new Error(`the server ended a stream with ${sent.size} requests unanswered`);
  } finally {
    over = true;
    clearTimeout(timer);
    wake.resolve();
    for (const { attempt } of sent.values()) attempt.unknown();
  }
}
