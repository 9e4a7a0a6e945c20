import type { Clock } from "../../core/clock.ts";
import { BusError } from "../../core/errors.ts";

const WINDOW_MS = 60_000;

/** Counts malformed frames of one stream: who sends too many is not understood, and is told so once. */
export class Violations {
  readonly #limit: number;
  readonly #clock: Clock;
  #timesMs: number[] = [];

  constructor(limit: number, clock: Clock) {
    this.#limit = limit;
    this.#clock = clock;
  }

  /** Answers the error that ends the stream, when this one was too many. */
  add(): BusError | undefined {
    const nowMs = this.#clock.monotonic();
    this.#timesMs = this.#timesMs.filter((timeMs) => timeMs > nowMs - WINDOW_MS);
    this.#timesMs.push(nowMs);
    if (this.#timesMs.length < this.#limit) return undefined;
    return new BusError(
      "PROTOCOL_VIOLATIONS",
      `${this.#timesMs.length} malformed frames within ${WINDOW_MS / 1_000} s (limits.protocolViolations)`,
    );
  }
}
