import type { Connection } from "./connection.ts";
import type { BusError } from "./errors.ts";
import { FailureRow } from "./failure-row.ts";
import { delay } from "./waiting.ts";

/** The waits of one stream, or of one outbox, between its attempts to reach the bus. */
export class Retries {
  readonly #connection: Connection;
  readonly #what: string;
  #row: FailureRow | undefined;
  #hurried = false;

  /** `what` tries, for people: "the subscription of alice". */
  constructor(connection: Connection, what: string) {
    this.#connection = connection;
    this.#what = what;
  }

  /** Attempts that failed since the last one that did not. */
  get failures(): number {
    return this.#row?.count ?? 0;
  }

  /** An attempt failed. Returns how long to wait before the next one, in milliseconds. */
  failed(error: BusError): number {
    const delayMs = Math.max(this.#connection.backoffDelayMs(this.failures), error.retryDelayMs ?? 0);
    this.#row ??= new FailureRow(performance.now());
    if (this.#row.add()) this.#connection.keepsFailing(this.#what, error);
    return delayMs;
  }

  /**
   * Waits so long, or until something else of this client reached the bus, which then is back. Not twice in a row: what
   * fails for a reason of its own would otherwise be tried whenever anything else succeeds.
   */
  async wait(delayMs: number, error: BusError, signal: AbortSignal): Promise<void> {
    if (this.#hurried || error.retry !== "RECONNECT" || error.retryDelayMs !== undefined) {
      this.#hurried = false;
      await delay(delayMs, signal);
    } else {
      this.#hurried = await this.#connection.reachedWithin(delayMs, signal);
    }
  }

  /** An attempt on the server of this generation was answered. */
  succeeded(generation: number): void {
    this.#row = undefined;
    this.#hurried = false;
    this.#connection.reached(generation);
  }
}
