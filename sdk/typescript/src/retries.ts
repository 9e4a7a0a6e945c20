import { backoffDelayMs } from "./backoff.ts";
import type { Connection } from "./connection.ts";
import type { BusError } from "./errors.ts";
import { delay } from "./waiting.ts";

// From so many failures in a row on it is more than a restart; a person should hear of it, once.
const WARN_AFTER_FAILURES = 4;

/** The waits of one stream, or of one outbox, between its attempts to reach the bus. */
export class Retries {
  readonly #connection: Connection;
  readonly #what: string;
  #failures = 0;
  #hurried = false;

  /** `what` tries, for people: "the subscription of alice". */
  constructor(connection: Connection, what: string) {
    this.#connection = connection;
    this.#what = what;
  }

  /** An attempt failed. Returns how long to wait before the next one, in milliseconds. */
  failed(error: BusError): number {
    const delayMs = Math.max(backoffDelayMs(this.#connection.backoff, this.#failures++), error.retryDelayMs ?? 0);
    if (this.#failures === WARN_AFTER_FAILURES) {
      const { url, warn } = this.#connection;
      warn(`${this.#what} fails again and again (${error.message}); going on trying, now ${url}`);
    }
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

  succeeded(): void {
    this.#failures = 0;
    this.#hurried = false;
    this.#connection.reached();
  }
}
