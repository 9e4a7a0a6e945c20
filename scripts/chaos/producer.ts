import { create } from "@bufbuild/protobuf";
import { type PublishStreamRequest, PublishStreamRequestSchema } from "../../gen/agentbus/v1/bus_service_pb.ts";
import type { History } from "../../test/support/history.ts";
import { openClients, type WireOptions } from "../../test/support/wire-clients.ts";
import { pauseBeforeRetry } from "./retry.ts";
import { outcomeOf, outcomeOfReason } from "./wire-error.ts";
import { type Batch, recordAttempt, type Writer } from "./workload.ts";

export interface ProducerOptions {
  readonly url: string;
  readonly history: History;
  readonly writer: Writer;
  readonly next: () => Batch;
  /** Aborted: what was begun is finished, nothing new is. */
  readonly stop: AbortSignal;
  /** Aborted: the campaign failed, so nothing is finished. */
  readonly abandon: AbortSignal;
  /** Told of every acknowledged batch. */
  readonly onAck: (messages: number) => void;
  readonly wire?: WireOptions;
}

/** Batches that a stream has under way: enough to fill group commits, few enough to keep the server's answers near. */
const WINDOW = 8;
/** A call that takes longer counts as lost: a stopped server's kernel may keep a connection open. */
const CALL_MS = 5_000;

/** One batch after another by unary calls; a batch whose outcome is unknown is sent again until it is known. */
export async function runUnaryProducer(options: ProducerOptions): Promise<void> {
  const { history, writer, next, stop } = options;
  const clients = openClients(options.url, options.wire);
  try {
    while (!stop.aborted) {
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
          await pauseBeforeRetry();
          options.abandon.throwIfAborted();
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
  using clients = openClients(options.url, options.wire);
  const sent = new Map<number, Sent>();
  const again = [...unanswered];
  let wake = Promise.withResolvers<void>();
  let over = false;

  async function* requests(): AsyncGenerator<PublishStreamRequest> {
    for (let requestId = 1; !over; requestId++) {
      while (!over && sent.size >= WINDOW) await wake.promise;
      if (over) return;
      const repeated = again.shift();
      if (repeated === undefined && stop.aborted) return;
      const batch = repeated ?? next();
      if (repeated === undefined) unanswered.push(batch);
      sent.set(requestId, { batch, attempt: recordAttempt(history, writer, batch) });
      yield create(PublishStreamRequestSchema, { requestId, publish: batch.request });
    }
  }

  try {
    for await (const { requestId, result } of clients.bus.publishStream(requests())) {
      const answered = sent.get(requestId);
      if (answered === undefined) throw new Error(`the server answers request ${requestId}, which is not under way`);
      sent.delete(requestId);
      if (result.case === "published") {
        answered.attempt.acked(result.value);
        unanswered.splice(unanswered.indexOf(answered.batch), 1);
        onAck(answered.batch.messages.length);
      } else {
        const outcome = outcomeOfReason(result.value?.reason ?? "", result.value);
        if (outcome === "unknown") answered.attempt.unknown();
        else answered.attempt.refused();
        // The rest is refused with it; a new stream sends all of it again.
        return;
      }
      wake.resolve();
      wake = Promise.withResolvers<void>();
    }
    if (sent.size > 0) throw new Error(`the server ended a stream with ${sent.size} requests unanswered`);
  } finally {
    over = true;
    wake.resolve();
    for (const { attempt } of sent.values()) attempt.unknown();
  }
}
