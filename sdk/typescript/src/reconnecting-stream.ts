import type { Connection } from "./connection.ts";
import { BusError } from "./errors.ts";
import { Retries } from "./retries.ts";
import { within } from "./waiting.ts";

export interface ReconnectingStreamOptions<T> {
  readonly connection: Connection;
  /** Ends the stream: `next` rejects with its reason. */
  readonly signal: AbortSignal;
  /** What is read, for people: "the subscription of alice". */
  readonly what: string;
  /** Opens the stream, from where the reader stands now. */
  readonly open: (signal: AbortSignal) => AsyncIterable<T>;
  /** How long the next response may take before the stream counts as cut, in milliseconds. */
  readonly silenceMs: () => number;
}

/** Told instead of a response: the stream was cut, and the next call of `next` opens it again after a wait. */
export class StreamCut {
  readonly error: BusError;
  readonly delayMs: number;

  constructor(error: BusError, delayMs: number) {
    this.error = error;
    this.delayMs = delayMs;
  }
}

/**
 * A server stream that is opened again when it is cut, on the next address and after a growing wait, until the bus
 * refuses it for good. One response is read at a time, and only when it is asked for: a slow reader is felt by the
 * server, through the flow control of the transport.
 */
export class ReconnectingStream<T> {
  readonly #options: ReconnectingStreamOptions<T>;
  #attempt: { responses: AsyncIterator<T>; abort: AbortController; generation: number } | undefined;
  readonly #retries: Retries;
  #cut: StreamCut | undefined;

  constructor(options: ReconnectingStreamOptions<T>) {
    this.#options = options;
    this.#retries = new Retries(options.connection, options.what);
  }

  /**
   * The next response, or the news that the stream was cut. Rejects with a BusError when the bus refuses the stream for
   * good, or with the signal's reason. Not to be called again before it settled.
   */
  async next(): Promise<T | StreamCut> {
    const { connection, signal, silenceMs, what } = this.#options;
    signal.throwIfAborted();
    if (this.#cut !== undefined) await this.#retries.wait(this.#cut.delayMs, this.#cut.error, signal);
    this.#cut = undefined;
    this.#attempt ??= this.#open();
    const { responses, generation } = this.#attempt;
    try {
      const result = await within(responses.next(), silenceMs(), signal, `no response to ${what}`);
      if (result.done) throw new BusError({ code: "UNAVAILABLE", message: `${what} was cut` });
      this.#retries.succeeded(generation);
      return result.value;
    } catch (cause) {
      this.#drop();
      signal.throwIfAborted();
      const error = BusError.from(cause);
      connection.failed(generation, error);
      if (error.retry === "NEVER") throw error;
      this.#cut = new StreamCut(error, this.#retries.failed(error));
      return this.#cut;
    }
  }

  /** Leaves the server that is about to close; the next response comes over a new stream, at best from another one. */
  moveOn(): void {
    const attempt = this.#attempt;
    this.#drop();
    if (attempt !== undefined) this.#options.connection.left(attempt.generation);
  }

  /** Ends the stream that is open, if one is. */
  close(): void {
    this.#drop();
  }

  #open() {
    const { connection, open } = this.#options;
    const abort = new AbortController();
    const responses = open(abort.signal)[Symbol.asyncIterator]();
    return { responses, abort, generation: connection.generation };
  }

  #drop(): void {
    this.#attempt?.abort.abort();
    this.#attempt = undefined;
  }
}
