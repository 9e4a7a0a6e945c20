import type { StorageEnvironment } from "../storage-adapter.ts";
import { integer } from "./sql-text.ts";

/**
 * Milliseconds since 1970 by the server's clock, as it is when the row is made and not when the statement began: a
 * statement that waited for a lock must not bring back the time from before the wait. Sessions run in UTC.
 */
const SERVER_CLOCK = "CAST(UNIX_TIMESTAMP(SYSDATE(3)) * 1000 AS SIGNED)";

/** The store's time: the server's, or in tests the one that is given. */
export class StoreClock {
  readonly #environment: StorageEnvironment;
  #offsetMs = 0;

  constructor(environment: StorageEnvironment) {
    this.#environment = environment;
  }

  /** An SQL expression of the time now. */
  get sql(): string {
    const { storeClock } = this.#environment;
    return storeClock === undefined ? SERVER_CLOCK : integer(storeClock());
  }

  /** A time that the server has just answered. */
  observe(serverMs: number): void {
    this.#offsetMs = serverMs - this.#environment.now();
  }

  now(): number {
    return this.#environment.storeClock?.() ?? this.#environment.now() + this.#offsetMs;
  }
}
