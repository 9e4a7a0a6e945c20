import type { Clock } from "../core/clock.ts";
import type { CodeName } from "../core/errors.ts";
import type { Meters } from "../core/meters.ts";

/** Ends the measurement of one call. */
export type CallEnd = (code: CodeName | "OK") => void;

/** Counts calls by method, path and outcome, and times unary ones. */
export class CallMeter {
  readonly #meters: Meters;
  readonly #clock: Clock;

  constructor(meters: Meters, clock: Clock) {
    this.#meters = meters;
    this.#clock = clock;
  }

  /** `path` is "fast" or "portable". `method` is one of the contract's, so labels are bounded. */
  begin(method: string, path: "fast" | "portable", unary: boolean): CallEnd {
    const startedMs = this.#clock.monotonic();
    this.#meters.counter("rpc_started_total", "Calls begun.", { method, path }).add(1);
    return (code) => {
      this.#meters.counter("rpc_handled_total", "Calls ended.", { method, code }).add(1);
      if (!unary) return;
      const seconds = (this.#clock.monotonic() - startedMs) / 1_000;
      this.#meters.histogram("rpc_duration_seconds", "Time of unary calls.", { method }).observe(seconds);
    };
  }
}
