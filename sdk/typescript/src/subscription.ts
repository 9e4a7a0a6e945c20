/// <reference lib="esnext.disposable" preserve="true" />
import { durationMs } from "@bufbuild/protobuf/wkt";
import { addressOfPosition } from "./address.ts";
import type { Connection } from "./connection.ts";
import { ClosedError, SubscriptionEnded } from "./errors.ts";
import { type End, EndReason, type SubscribeResponse } from "./gen/agentbus/v1/bus_service_pb.ts";
import type { Message as MessageProto } from "./gen/agentbus/v1/message_pb.ts";
import { Message, type Replier } from "./message.ts";
import type { PositionSaver } from "./position-store.ts";
import { ReconnectingStream, StreamCut } from "./reconnecting-stream.ts";
import { type SubscribeOptions, subscribeRequest } from "./subscribe-options.ts";
import { describeGap, eventsOf, type SubscriptionEvent } from "./subscription-event.ts";
import { linkedController } from "./waiting.ts";

/** What a subscription needs of its agent. */
export interface SubscriptionHost extends Replier {
  readonly id: string;
  /** Settles before the first stream is opened: the agent is registered. */
  prepare(signal: AbortSignal): Promise<void>;
  /** True for an answer that `ask` takes. */
  takesAnswer(message: MessageProto): boolean;
  /** The subscription is over. */
  forget(subscription: Subscription): void;
}

// Before the first response says how often one comes.
const OPENING_SILENCE_MS = 15_000;
const SILENT_INTERVALS = 2.5;

/**
 * Messages as they come: `for await (const message of subscription)`. One reader; to read twice, subscribe twice. The
 * stream is opened when the first message is asked for (or by `ready`), and again, from where it was, whenever it is
 * cut. It reads no further than what it hands out, so a slow loop costs no memory, here or on the bus.
 *
 * The loop ends when `close` is called or the bus is closed. It throws a SubscriptionEnded when the bus finished the
 * subscription, a BusError when the bus refuses it, and the signal's reason when `signal` aborts.
 */
export class Subscription implements AsyncIterableIterator<Message, undefined, undefined> {
  readonly #host: SubscriptionHost;
  readonly #options: SubscribeOptions;
  readonly #connection: Connection;
  readonly #saver: PositionSaver | undefined;
  readonly #stream: ReconnectingStream<SubscribeResponse>;
  readonly #abort: AbortController;
  readonly #release: () => void;
  /** Where to go on from; undefined until the bus told positions: start as the options say. */
  #resume: Map<string, string> | undefined;
  #silenceMs = OPENING_SILENCE_MS;
  #prepared = false;
  #opened = false;
  #caughtUp = false;
  #response: SubscribeResponse | undefined;
  #events: SubscriptionEvent[] = [];
  #cursor = 0;
  #inHand = false;
  readonly #messages = this.#read();
  #filling: Promise<void> | undefined;
  #over = false;

  constructor(
    host: SubscriptionHost,
    connection: Connection,
    options: SubscribeOptions,
    saver: ((snapshot: () => string[]) => PositionSaver) | undefined,
  ) {
    this.#host = host;
    this.#connection = connection;
    this.#options = options;
    this.#saver = saver?.(() => this.#positions(this.#inHand ? this.#cursor - 1 : this.#cursor));
    const { controller, release } = linkedController(connection.signal, options.signal);
    this.#abort = controller;
    this.#release = release;
    this.#stream = new ReconnectingStream({
      connection,
      signal: controller.signal,
      what: `the subscription of ${host.id}`,
      silenceMs: () => this.#silenceMs,
      open: (signal) => {
        this.#silenceMs = OPENING_SILENCE_MS;
        return connection.clients.bus.subscribe(this.#request(), { signal, timeoutMs: 0 });
      },
    });
  }

  /** Resolves when the stream is open: what is published from then on will be read. */
  async ready(): Promise<this> {
    while (!this.#opened && !this.#over) await this.#fill();
    return this;
  }

  /** Where to go on from after the last message that was handed out: one position for each channel. */
  positions(): string[] {
    return this.#positions(this.#cursor);
  }

  /** Calls that come before the last one settled are answered in order. */
  next(): Promise<IteratorResult<Message, undefined>> {
    return this.#messages.next();
  }

  /** Everything that the subscription tells, messages among it. Instead of iterating over the subscription itself. */
  async *events(): AsyncGenerator<SubscriptionEvent, undefined, undefined> {
    try {
      for (;;) {
        const event = await this.#nextEvent();
        if (event === undefined) return;
        yield event;
      }
    } finally {
      await this.close();
    }
  }

  /** Ends the subscription; the loop that reads it finishes. Rejects when positions could not be saved. */
  async close(): Promise<void> {
    this.#end();
    await this.#saver?.flush();
  }

  /** Called by `break` and by errors in the loop's body: the message in hand counts as not read. */
  async return(): Promise<IteratorResult<Message, undefined>> {
    await this.close();
    return { done: true, value: undefined };
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async *#read(): AsyncGenerator<Message, undefined, undefined> {
    for (;;) {
      const event = await this.#nextEvent();
      if (event === undefined) return;
      if (event.type === "message") yield event.message;
      if (event.type === "gap" && typeof this.#options.onGap !== "function") {
        this.#connection.warn(`${describeGap(event.gap)}; subscribe with onGap to handle this`);
      }
    }
  }

  async #nextEvent(): Promise<SubscriptionEvent | undefined> {
    if (this.#inHand) {
      this.#inHand = false;
      this.#saver?.touch();
    }
    while (!this.#over) {
      const event = this.#events[this.#cursor];
      if (event !== undefined) {
        this.#cursor++;
        this.#inHand = event.type === "message";
        this.#tell(event);
        return event;
      }
      await this.#fill();
    }
    return undefined;
  }

  #tell(event: SubscriptionEvent): void {
    const { onGap, onCaughtUp, onCut } = this.#options;
    if (event.type === "gap" && typeof onGap === "function") onGap(event.gap);
    if (event.type === "caught_up") onCaughtUp?.();
    if (event.type === "cut") onCut?.(event.error);
  }

  /** Reads one more response. Callers that come together share the read. */
  #fill(): Promise<void> {
    this.#filling ??= this.#readResponse().finally(() => {
      this.#filling = undefined;
    });
    return this.#filling;
  }

  async #readResponse(): Promise<void> {
    try {
      this.#finishResponse();
      if (this.#over) return;
      if (!this.#prepared) await this.#prepare();
      const response = await this.#stream.next();
      if (response instanceof StreamCut) this.#addCut(response);
      else this.#accept(response);
    } catch (error) {
      const closed = this.#over || (this.#abort.signal.aborted && error instanceof ClosedError);
      this.#end();
      await this.#saver?.flush();
      if (!closed) throw error;
    }
  }

  async #prepare(): Promise<void> {
    await this.#host.prepare(this.#abort.signal);
    const saved = (await this.#saver?.load()) ?? [];
    if (saved.length > 0) this.#resume = new Map(saved.map((position) => [addressOfPosition(position), position]));
    this.#prepared = true;
  }

  #accept(response: SubscribeResponse): void {
    const { opened } = response;
    if (opened?.heartbeatInterval !== undefined)
      this.#silenceMs = durationMs(opened.heartbeatInterval) * SILENT_INTERVALS;
    this.#opened = true;
    // From the first response on, a channel that it does not name is one that came to exist later.
    this.#resume ??= new Map(startPositions(this.#options));
    this.#response = response;
    if (response.messages.length === 0 && response.gaps.length === 0) this.#advance(response);
    for (const event of eventsOf(response, (raw) => this.#wrap(raw))) {
      // A stream that was opened again catches up again, which is of no interest to a reader.
      if (event.type === "caught_up" && this.#caughtUp) continue;
      if (event.type === "caught_up") this.#caughtUp = true;
      this.#events.push(event);
    }
  }

  /** Tells of cuts in a row as one: while the bus is away, they are many. */
  #addCut({ error }: StreamCut): void {
    if (this.#events.at(-1)?.type === "cut") this.#events.pop();
    this.#events.push({ type: "cut", error });
  }

  /** Its positions, which are past what was filtered, hold: everything in it was handed out. */
  #advance({ positions }: SubscribeResponse): void {
    for (const position of positions) this.#resume?.set(addressOfPosition(position), position);
    if (positions.length > 0) this.#saver?.touch();
  }

  #finishResponse(): void {
    if (this.#cursor < this.#events.length) return;
    this.#events = [];
    this.#cursor = 0;
    const response = this.#response;
    if (response === undefined) return;
    this.#response = undefined;
    this.#advance(response);
    if (response.end !== undefined) throw this.#ended(response.end);
    if (response.goAway !== undefined) this.#stream.moveOn();
  }

  #ended({ reason, message, channel }: End): Error {
    if (reason === EndReason.UNSUBSCRIBED) {
      this.#end();
      return new ClosedError("the subscription was ended");
    }
    const name = Object.entries(EndReason).find(([, value]) => value === reason)?.[0] ?? `reason ${reason}`;
    return new SubscriptionEnded(name, message, channel === "" ? undefined : channel);
  }

  /** Positions as they are when this many events of the current response count as read. */
  #positions(cursor: number): string[] {
    const positions = new Map(this.#resume);
    for (const event of this.#events.slice(0, cursor)) {
      if (event.type === "message") positions.set(event.message.address, event.message.position);
    }
    return [...positions.values()];
  }

  #wrap(raw: MessageProto): Message | undefined {
    if (!this.#options.answers && this.#host.takesAnswer(raw)) return undefined;
    return new Message(raw, this.#host);
  }

  #request() {
    const resume = this.#resume === undefined ? undefined : [...this.#resume.values()];
    return subscribeRequest(this.#host.id, this.#options, resume);
  }

  #end(): void {
    if (this.#over) return;
    this.#over = true;
    this.#stream.close();
    this.#abort.abort(new ClosedError("the subscription was closed"));
    this.#release();
    this.#host.forget(this);
  }
}

function startPositions({ start }: SubscribeOptions): [string, string][] {
  if (typeof start !== "object" || !("resume" in start)) return [];
  return start.resume.map((position) => [addressOfPosition(position), position]);
}
