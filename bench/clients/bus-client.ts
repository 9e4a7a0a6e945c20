import { encodeSubscribe, PATH, PublishStreamEncoder } from "./bus-requests.ts";
import { DeliveryCounter } from "./delivery-counter.ts";
import { GrpcMessageReader } from "./grpc-message-reader.ts";
import type { Http2Connection } from "./http2-connection.ts";
import { sharedClockMs } from "./payload.ts";
import { forEachField, varintAt } from "./protobuf-fields.ts";

/** Is told when a stream ends that should not. */
export type OnProblem = (problem: string) => void;

const MESSAGES_FIELD = 1;
const DATA_FIELD = 7;

/**
 * Opens a subscription over an existing connection and waits for its first response. `onDeliveries` is called with the
 * number of messages that each read completed.
 */
export function subscribe(
  connection: Http2Connection,
  agentId: string,
  channel: string,
  onDeliveries: (messages: number) => void,
  onProblem: OnProblem,
): Promise<void> {
  return new Promise((resolve) => {
    const counter = new DeliveryCounter();
    let opened = false;
    const id = connection.open(PATH.subscribe, {
      data(bytes, start, end) {
        const messages = counter.count(bytes, start, end);
        if (!opened && counter.responses > 0) {
          opened = true;
          resolve();
        }
        if (messages > 0) onDeliveries(messages);
      },
      ended: (problem) => onProblem(`a subscription ended: ${problem ?? "by the server, with a status"}`),
    });
    connection.send(id, encodeSubscribe(agentId, channel), true);
  });
}

/** The same, but every message is decoded as far as its payload, which `onPayload` gets. */
export function subscribeReading(
  connection: Http2Connection,
  agentId: string,
  channel: string,
  onPayload: (bytes: Buffer, offset: number) => void,
  onProblem: OnProblem,
): Promise<void> {
  return new Promise((resolve) => {
    const reader = new GrpcMessageReader((response) => {
      resolve();
      forEachField(response, 0, response.length, (field) => {
        if (field.number !== MESSAGES_FIELD) return;
        forEachField(response, field.start, field.end, (part) => {
          if (part.number === DATA_FIELD) onPayload(response, part.start);
        });
      });
    });
    const id = connection.open(PATH.subscribe, {
      data: (bytes, start, end) => reader.read(bytes, start, end),
      ended: (problem) => onProblem(`a subscription ended: ${problem ?? "by the server, with a status"}`),
    });
    connection.send(id, encodeSubscribe(agentId, channel), true);
  });
}

const REQUEST_ID_FIELD = 1;
const PUBLISHED_FIELD = 2;

/** A PublishStream call: batches out, answers in. */
export class StreamPublisher {
  readonly #connection: Http2Connection;
  readonly #encoder: PublishStreamEncoder;
  readonly #stamp: boolean;
  #stream = 0;

  private constructor(connection: Http2Connection, encoder: PublishStreamEncoder, stamp: boolean) {
    this.#connection = connection;
    this.#encoder = encoder;
    this.#stamp = stamp;
  }

  /** `stamp` puts time and index into each payload; without it every message is the same. */
  static open(
    connection: Http2Connection,
    options: { channel: string; batch: number; agentId?: string; stamp?: boolean },
    onAnswer: (requestId: number) => void,
    onProblem: OnProblem,
  ): StreamPublisher {
    const encoder = new PublishStreamEncoder(options.channel, options.batch, options.agentId);
    const publisher = new StreamPublisher(connection, encoder, options.stamp ?? false);
    const reader = new GrpcMessageReader((answer) => {
      let requestId = 0;
      let published = false;
      forEachField(answer, 0, answer.length, (field) => {
        if (field.number === REQUEST_ID_FIELD) requestId = varintAt(answer, field.start);
        if (field.number === PUBLISHED_FIELD) published = true;
      });
      if (published) onAnswer(requestId);
      else onProblem(`publish ${requestId} was refused: ${printable(answer)}`);
    });
    publisher.#stream = connection.open(PATH.publishStream, {
      data: (bytes, start, end) => reader.read(bytes, start, end),
      ended: (problem) => onProblem(`the publish stream ended: ${problem ?? "by the server, with a status"}`),
    });
    return publisher;
  }

  /** Sends one batch. */
  send(): void {
    this.#connection.send(this.#stream, this.#encoder.next(this.#stamp ? sharedClockMs() : undefined));
  }

  /** Sends one batch in a write of its own. */
  sendNow(): void {
    this.send();
    this.#connection.flush();
  }
}

function printable(bytes: Buffer): string {
  return bytes.toString("latin1").replace(/[^ -~]+/g, " ");
}
