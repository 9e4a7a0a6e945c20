import type { Clock, Stop } from "../../src/core/clock.ts";
import type { Party, Scheduler } from "./scheduler.ts";

/** 2026-01-01T00:00:00Z: when every simulated run begins. */
export const START_MS = Date.UTC(2026, 0, 1);

/** The clock of one node: set wrong, and running a little too fast or too slow. */
export class NodeClock implements Clock {
  readonly #scheduler: Scheduler;
  readonly #party: Party;
  readonly #rate: number;
  #offsetMs: number;
  #timers = 0;

  /** `rate`: its milliseconds in one true millisecond. */
  constructor(scheduler: Scheduler, party: Party, rate: number, offsetMs: number) {
    this.#scheduler = scheduler;
    this.#party = party;
    this.#rate = rate;
    this.#offsetMs = offsetMs;
  }

  /** Timers that are scheduled. */
  get timers(): number {
    return this.#timers;
  }

  now(): number {
    return Math.floor(START_MS + this.#offsetMs + this.#scheduler.now * this.#rate);
  }

  monotonic(): number {
    return this.#scheduler.now * this.#rate;
  }

  /** Somebody sets it. */
  step(ms: number): void {
    this.#offsetMs += ms;
  }

  after(ms: number, task: () => void): Stop {
    let stop: Stop | undefined = this.#scheduler.after(ms / this.#rate, this.#party, () => {
      stop = undefined;
      this.#timers--;
      task();
    });
    this.#timers++;
    return () => {
      if (stop === undefined) return;
      stop();
      stop = undefined;
      this.#timers--;
    };
  }

  every(ms: number, task: () => void): Stop {
    let stop = () => {};
    const schedule = () => {
      stop = this.after(ms, () => {
        // Before the task, which may stop it. A pause of many periods gives one run, as with a real timer.
        schedule();
        task();
      });
    };
    schedule();
    return () => stop();
  }

  defer(task: () => void): void {
    this.#scheduler.after(0, this.#party, task);
  }
}
