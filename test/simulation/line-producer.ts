import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import {
  PublishRequestSchema,
  PublishStreamRequestSchema,
  type PublishStreamResponse,
  PublishStreamResponseSchema,
} from "../../gen/agentbus/v1/bus_service_pb.ts";
import { MessageSchema } from "../../gen/agentbus/v1/message_pb.ts";
import type { Bus } from "../../src/bus/bus.ts";
import { BusError, type Reason } from "../../src/core/errors.ts";
import { PublishLine } from "../../src/rpc/lines/publish-line.ts";
import { Attempt } from "./attempts.ts";
import { type Batch, Batches } from "./batches.ts";
import { type Connection, ConnectionLost, type DuplexLinks, type DuplexService, type StreamEnd } from "./connection.ts";
import { outcomeOf } from "./outcome.ts";
import type { ProducerOptions } from "./producer.ts";
import type { World } from "./world.ts";

/** Batches under way at the same time. */
const WINDOW = 4;
const MAX_WAIT_MS = 400;

interface Sent {
  readonly batch: Batch;
  readonly attempt: Attempt;
}

/**
 * Several batches under way over one PublishStream, which runs the line of src/rpc. After a failure or a cut everything
 * that is not answered goes again over another stream, in order.
 */
export async function runLineProducer(world: World, options: ProducerOptions): Promise<void> {
  const batches = new Batches(world.dice, options);
  /** Not known to be stored, oldest first. */
  let unanswered: Batch[] = [];
  while (!options.isOver() || unanswered.length > 0) {
    const connection = world.connect();
    if (connection !== undefined) {
      unanswered = await publishOver(world, connection, options, batches, unanswered);
      world.release(connection);
    }
    await world.sleep(world.dice.between(1, MAX_WAIT_MS));
  }
}

/** Until the stream breaks, or nothing is left to do. Answers what was not answered. */
function publishOver(
  world: World,
  connection: Connection,
  { pauseMs, isOver }: ProducerOptions,
  batches: Batches,
  again: readonly Batch[],
): Promise<Batch[]> {
  const { dice, history, scheduler } = world;
  const waiting = [...again];
  const sent = new Map<number, Sent>();
  let requests = 0;
  return new Promise((resolve, reject) => {
    let isDone = false;
    const done = (cause: StreamEnd, first?: number) => {
      if (isDone) return;
      isDone = true;
      line.close();
      try {
        for (const [id, { attempt }] of sent) attempt.failed(id === first ? cause : new ConnectionLost("not answered"));
        if (cause !== undefined) outcomeOf(cause);
        resolve([...[...sent.values()].map(({ batch }) => batch), ...waiting]);
      } catch (error) {
        reject(error);
      }
    };
    const line = connection.duplex<Buffer, Uint8Array>((bus, links) => serveLine(bus, links), {
      answer: (bytes) => {
        if (isDone) return;
        const answer = fromBinary(PublishStreamResponseSchema, bytes);
        const answered = sent.get(answer.requestId);
        if (answered === undefined) return reject(new Error(`request ${answer.requestId} is not under way`));
        const failure = failureOf(answer);
        if (failure !== undefined) {
          if (failure.retry !== "SAME") {
            // Nothing behind it waits for such a one, so it has no place in the line any more: it is given up.
            answered.attempt.failed(failure);
            sent.delete(answer.requestId);
          }
          return done(failure, answer.requestId);
        }
        sent.delete(answer.requestId);
        if (answer.result.case === "published") {
          const { results } = answer.result.value;
          answered.attempt.acked(results.map((result) => ({ ...result, audience: result.audience?.agents ?? null })));
          batches.answered(answered.batch, results[0]!.position);
        }
      },
      ended: (cause) => done(cause ?? new ConnectionLost("the stream ended")),
    });
    const send = () => {
      if (isDone) return;
      if (waiting.length === 0 && isOver()) {
        if (sent.size === 0) return done(undefined);
      } else if (sent.size < WINDOW) {
        const batch = waiting.shift() ?? batches.next();
        const requestId = ++requests;
        sent.set(requestId, { batch, attempt: new Attempt(history, batch) });
        line.send(requestOf(requestId, batch));
      }
      scheduler.after(dice.between(0, dice.chance(0.5) ? 5 : 2 * pauseMs), undefined, send);
    };
    send();
  });
}

function serveLine(bus: Bus, { send, end }: DuplexLinks<Uint8Array>): DuplexService<Buffer> {
  const { streamInFlight, protocolViolations } = bus.options.limits;
  const line = new PublishLine({
    publisher: bus.publisher,
    clock: bus.clock,
    logger: bus.logger,
    maxInFlight: streamInFlight,
    maxViolations: protocolViolations,
    actor: (agentId) => agentId,
    send,
    finish: (error) => end(error),
    onRelief: () => {},
  });
  return { receive: (payload) => line.receive(payload), gone: () => line.abandon() };
}

function requestOf(requestId: number, { agent, room, name, bytes }: Batch): Buffer {
  const messages = bytes.map((message) => fromBinary(MessageSchema, message));
  const publish = create(PublishRequestSchema, { agentId: agent, room, channel: name, messages });
  return Buffer.from(toBinary(PublishStreamRequestSchema, create(PublishStreamRequestSchema, { requestId, publish })));
}

function failureOf({ result }: PublishStreamResponse): BusError | undefined {
  if (result.case === "published") return undefined;
  return new BusError((result.value?.reason ?? "INTERNAL") as Reason, result.value?.message ?? "no result");
}
