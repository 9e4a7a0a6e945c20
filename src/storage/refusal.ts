import type { BusError } from "../core/errors.ts";

/**
 * Keeps the promise that a failed append fails what is handed over before the failure was told. Whoever awaits the failed
 * append learns of it in a microtask; until those have run, the log refuses with the same error.
 */
export class Refusal {
  #error: BusError | undefined;

  /** What to refuse with now; undefined: nothing. */
  get error(): BusError | undefined {
    return this.#error;
  }

  /** Refuses from now to the end of this turn of the event loop. Answers the error, to be thrown. */
  raise(error: BusError): BusError {
    this.#error = error;
    setImmediate(() => {
      if (this.#error === error) this.#error = undefined;
    });
    return error;
  }
}
