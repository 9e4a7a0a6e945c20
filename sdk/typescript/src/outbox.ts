import type { Connection } from "./connection.ts";
import { DeadlineTimer, MAX_TIMER_MS } from "./deadline-timer.ts";
import { BusError, ClosedError } from "./errors.ts";
import type { PublishResponse } from "./gen/agentbus/v1/bus_service_pb.ts";
import { OutboxEntry } from "./outbox-entry.ts";
import type { Outgoing } from "./outgoing.ts";
import { hasRoom, mustWait, type PublishBatch, takeBatch } from "./publish-batch.ts";
import { openStreamLink, openUnaryLink, type PublishLink } from "./publish-link.ts";
import { type Receipt, receiptsOf } from "./receipt.ts";
import { Retries } from "./retries.ts";

export interface OutboxOptions {
  readonly agentId: string;
  readonly connection: Connection;
  /** Settles before the first message goes out. */
  readonly prepare: (signal: AbortSignal) => Promise<void>;
}

export interface SubmitOptions {
  readonly signal?: AbortSignal | undefined;
  readonly timeoutMs: number;
}

// Requests on their way at one time: enough to fill a link with a round trip of 100 ms.
const MAX_OUTSTANDING_BATCHES = 32;
// Waiting behind them. Who sends faster than the bus takes, without awaiting, would fill the memory otherwise.
const MAX_QUEUED_MESSAGES = 100_000;
const MAX_QUEUED_BYTES = 64 * 1024 * 1024;
// An open stream would keep a process alive that has nothing more to say.
const IDLE_LINK_MS = 5_000;
// What refuses a whole stream with one of these refuses every message.
const REFUSES_ALL: ReadonlySet<string> = new Set(["UNAUTHENTICATED", "PERMISSION_DENIED", "UNIMPLEMENTED"]);

/**
 * Sends an agent's messages in the order in which they were given, and again after a cut, until each is stored, refused
 * or given up. Every message has an id, which is its idempotency key, so that sending it again does not store it again.
 *
 *   queued ──▶ outstanding ──▶ answered: stored, or refused for good
 *      ▲            │
 *      └────────────┘ cut, or refused for now: sent again, in order, after a wait
 *
 * A batch that is refused because of one message goes out again without it. So that nothing overtakes it then, a batch
 * follows an unanswered one of the same channel only if that one has a single message.
 */
export class Outbox {
  readonly #options: OutboxOptions;
  readonly #retries: Retries;
  #queue: OutboxEntry[] = [];
  #outstanding: PublishBatch[] = [];
  #pendingMessages = 0;
  #pendingBytes = 0;
  #link: PublishLink | undefined;
  #linkGeneration = 0;
  #opening = false;
  #pumpScheduled = false;
  #nextRequestId = 1;
  /** So many messages go out one by one, because one of them made the bus refuse the stream. */
  #oneByOne = 0;
  /** While nothing is sent after a failure. */
  #pause: AbortController | undefined;
  #linkTimer: ReturnType<typeof setTimeout> | undefined;
  readonly #deadlines = new DeadlineTimer(() => this.#sweep());
  #flushed: (() => void)[] = [];
  readonly #closing = new AbortController();

  constructor(options: OutboxOptions) {
    this.#options = options;
    this.#retries = new Retries(options.connection, `publishing of ${options.agentId}`);
  }

  /** Resolves when the message is stored. Rejects with a BusError, a ClosedError or the signal's reason. */
  submit(outgoing: Outgoing, { signal, timeoutMs }: SubmitOptions): Promise<Receipt> {
    return new Promise((resolve, reject) => {
      if (this.#closing.signal.aborted) return reject(this.#closing.signal.reason);
      if (signal?.aborted) return reject(signal.reason);
      const { bytes } = outgoing;
      if (
        this.#pendingMessages >= MAX_QUEUED_MESSAGES ||
        (this.#pendingBytes > 0 && this.#pendingBytes + bytes > MAX_QUEUED_BYTES)
      ) {
        return reject(overloaded(this.#pendingMessages, this.#options.agentId));
      }
      const onAbort = () => entry.reject(signal?.reason);
      const release = () => {
        signal?.removeEventListener("abort", onAbort);
        this.#released(bytes);
      };
      const entry = new OutboxEntry(outgoing, Date.now() + timeoutMs, { resolve, reject, release });
      signal?.addEventListener("abort", onAbort, { once: true });
      this.#pendingMessages++;
      this.#pendingBytes += bytes;
      this.#queue.push(entry);
      this.#deadlines.set(entry.deadline);
      this.#schedulePump();
    });
  }

  /** Resolves when nothing is pending: everything was stored, refused or given up. */
  flush(): Promise<void> {
    if (this.#pendingMessages === 0) return Promise.resolve();
    return new Promise((resolve) => this.#flushed.push(resolve));
  }

  /** Takes nothing more, waits so long for what is pending, and rejects the rest with a ClosedError. */
  async close(timeoutMs: number): Promise<void> {
    this.#closing.abort(new ClosedError(`the outbox of ${this.#options.agentId} was closed`));
    let timer: ReturnType<typeof setTimeout> | undefined;
    const timeout = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, Math.min(timeoutMs, MAX_TIMER_MS));
    });
    await Promise.race([this.flush(), timeout]);
    clearTimeout(timer);
    this.#rejectAll(this.#closing.signal.reason);
    this.#pause?.abort();
    this.#deadlines.clear();
    this.#closeLink();
  }

  /** Once for everything that is submitted in one go, so that it shares requests. */
  #schedulePump(): void {
    if (this.#pumpScheduled) return;
    this.#pumpScheduled = true;
    queueMicrotask(() => {
      this.#pumpScheduled = false;
      this.#pump();
    });
  }

  #pump(): void {
    if (this.#pause !== undefined || this.#outstanding.some((batch) => batch.refused)) return;
    const { agentId, connection } = this.#options;
    while (this.#queue.length > 0) {
      const window = connection.clientStreams && this.#oneByOne === 0 ? MAX_OUTSTANDING_BATCHES : 1;
      if (!hasRoom(this.#outstanding, window)) return;
      if (this.#linkGeneration !== connection.generation) {
        // The client went on to another server. What is on its way to the old one is answered first, for the order.
        if (this.#outstanding.length > 0) return;
        this.#closeLink();
      }
      if (this.#link === undefined) {
        this.#openLink();
        return;
      }
      const head = this.#queue.find((entry) => !entry.settled);
      if (head !== undefined && mustWait(this.#outstanding, head.outgoing.destination)) return;
      const batch = takeBatch(this.#queue, agentId, this.#nextRequestId, this.#oneByOne > 0 ? 1 : undefined);
      if (batch === undefined) return;
      this.#nextRequestId++;
      this.#outstanding.push(batch);
      if (this.#outstanding.length === 1) this.#watch();
      this.#link.send(batch.requestId, batch.request);
    }
  }

  #openLink(): void {
    if (this.#opening) return;
    this.#opening = true;
    const { connection, prepare } = this.#options;
    prepare(connection.signal).then(
      () => {
        this.#opening = false;
        if (this.#pendingMessages === 0) return;
        this.#linkGeneration = connection.generation;
        this.#nextRequestId = 1;
        const open = connection.clientStreams ? openStreamLink : openUnaryLink;
        this.#link = open(connection, {
          answered: (requestId, outcome) => this.#answered(requestId, outcome),
          cut: (error) => this.#cut(error),
        });
        this.#pump();
      },
      (error) => {
        this.#opening = false;
        this.#rejectAll(error);
      },
    );
  }

  #answered(requestId: number, outcome: PublishResponse | BusError): void {
    this.#watch();
    const fault = this.#settle(requestId, outcome);
    if (fault === undefined) this.#resendRefused();
    else this.#cut(fault);
    this.#pump();
  }

  /** Returns a failure that ends the link. */
  #settle(requestId: number, outcome: PublishResponse | BusError): BusError | undefined {
    const batch = this.#outstanding.find((sent) => sent.requestId === requestId && !sent.refused);
    if (batch === undefined) return broken(`an answer to request ${requestId}, which was not sent`);
    if (!(outcome instanceof BusError)) {
      if (outcome.results.length !== batch.entries.length) return broken("not one result for each message");
      this.#stored(batch, outcome);
      return undefined;
    }
    if (this.#options.connection.movesOn(outcome)) return outcome;
    if (outcome.retry === "NEVER") {
      this.#refusedForGood(batch, outcome);
      return undefined;
    }
    batch.refused = true;
    // What follows a refused request is refused with RESEND_REQUIRED: no failure of its own.
    if (outcome.reason !== "RESEND_REQUIRED" || batch === this.#outstanding[0]) this.#wait(outcome);
    return undefined;
  }

  #stored(batch: PublishBatch, response: PublishResponse): void {
    this.#retries.succeeded(this.#linkGeneration);
    this.#oneByOne = Math.max(0, this.#oneByOne - batch.entries.length);
    this.#remove(batch);
    const receipts = receiptsOf(response);
    for (const [index, entry] of batch.entries.entries()) entry.resolve(receipts[index]!);
  }

  #refusedForGood(batch: PublishBatch, error: BusError): void {
    this.#remove(batch);
    const culprit = error.index === undefined ? undefined : batch.entries[error.index];
    if (culprit === undefined) {
      // It is not about one message but about the channel, or the agent.
      for (const entry of batch.entries) entry.reject(error);
    } else {
      culprit.reject(error);
    }
    this.#oneByOne = Math.max(0, this.#oneByOne - 1);
    this.#queue.unshift(...batch.entries.filter((entry) => !entry.settled));
  }

  /** When everything that followed the refused request was refused too, and the wait is over: sends all of it again. */
  #resendRefused(): void {
    const refused = this.#outstanding.filter((batch) => batch.refused);
    if (refused.length === 0 || refused.length < this.#outstanding.length || this.#pause !== undefined) return;
    // A batch that has to shrink is another request, which a stream that waits for the old one would refuse.
    if (refused.some((batch) => batch.entries.some((entry) => entry.settled))) {
      this.#requeueOutstanding();
      this.#closeLink();
      this.#schedulePump();
      return;
    }
    this.#watch();
    for (const batch of refused) {
      batch.refused = false;
      this.#link?.send(batch.requestId, batch.request);
    }
  }

  #cut(error: BusError): void {
    this.#closeLink();
    const entries = this.#requeueOutstanding();
    this.#options.connection.failed(this.#linkGeneration, error);
    if (error.retry === "NEVER" && this.#refusedStream(error, entries)) return;
    if (this.#pendingMessages === 0) return;
    this.#wait(error);
  }

  /** The bus refused the stream for good. Returns true when nothing is left to try. */
  #refusedStream(error: BusError, entries: readonly OutboxEntry[]): boolean {
    if (REFUSES_ALL.has(error.code)) {
      this.#rejectAll(error);
      return true;
    }
    if (entries.length === 1) {
      entries[0]!.reject(error);
      this.#oneByOne = Math.max(0, this.#oneByOne - 1);
    } else {
      // Which of them it was shows when they go out one by one.
      this.#oneByOne = entries.length;
    }
    return false;
  }

  #requeueOutstanding(): OutboxEntry[] {
    const entries = this.#outstanding.flatMap((batch) => batch.entries).filter((entry) => !entry.settled);
    this.#outstanding = [];
    this.#queue.unshift(...entries);
    return entries;
  }

  /** Sends nothing until the wait that the failure calls for is over. */
  #wait(error: BusError): void {
    this.#pause?.abort();
    const pause = new AbortController();
    this.#pause = pause;
    this.#retries.wait(this.#retries.failed(error), error, pause.signal).then(
      () => {
        this.#pause = undefined;
        this.#resendRefused();
        this.#pump();
      },
      // Aborted: another wait took its place, or the outbox was closed.
      () => {},
    );
  }

  #remove(batch: PublishBatch): void {
    this.#outstanding = this.#outstanding.filter((other) => other !== batch);
    if (this.#outstanding.length === 0) this.#watch();
  }

  /** Sets the one timer of the link anew: for the next answer, or, when none is awaited, for closing it. */
  #watch(): void {
    clearTimeout(this.#linkTimer);
    const idle = this.#outstanding.length === 0 && this.#queue.length === 0;
    const answerMs = this.#options.connection.answerTimeoutMs(this.#retries.failures);
    this.#linkTimer = setTimeout(
      () => {
        if (this.#outstanding.some((batch) => !batch.refused)) {
          const message = `no answer to a publish within ${answerMs} ms`;
          this.#cut(new BusError({ code: "DEADLINE_EXCEEDED", message }));
        } else if (this.#outstanding.length === 0) {
          this.#closeLink();
        }
      },
      idle ? IDLE_LINK_MS : answerMs,
    );
  }

  #closeLink(): void {
    clearTimeout(this.#linkTimer);
    this.#link?.close();
    this.#link = undefined;
  }

  #released(bytes: number): void {
    this.#pendingMessages--;
    this.#pendingBytes -= bytes;
    if (this.#pendingMessages > 0) return;
    this.#deadlines.clear();
    for (const resolve of this.#flushed.splice(0)) resolve();
  }

  #rejectAll(error: unknown): void {
    const entries = [...this.#requeueOutstanding(), ...this.#queue];
    this.#queue = [];
    for (const entry of entries) entry.reject(error);
  }

  /** Gives up what is past its deadline. */
  #sweep(): void {
    const now = Date.now();
    for (const entry of [...this.#outstanding.flatMap((batch) => batch.entries), ...this.#queue]) {
      if (entry.settled) continue;
      if (entry.deadline <= now) entry.expire();
      else this.#deadlines.set(entry.deadline);
    }
    this.#queue = this.#queue.filter((entry) => !entry.settled);
  }
}

function overloaded(messages: number, agentId: string): BusError {
  const text = `${messages} messages of ${agentId} wait for the bus; await send() before sending more`;
  return new BusError({ code: "UNAVAILABLE", reason: "OVERLOADED", message: text });
}

function broken(what: string): BusError {
  return new BusError({ code: "INTERNAL", message: `the bus broke the publish protocol: ${what}`, retry: "RECONNECT" });
}
