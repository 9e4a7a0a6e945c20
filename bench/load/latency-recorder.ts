import { percentile } from "../harness/statistics.ts";

const INITIAL_CAPACITY = 65_536;

/** Keeps how long each operation took that began between `start` and `stop`. */
export class LatencyRecorder {
  #values = new Float64Array(INITIAL_CAPACITY);
  #count = 0;
  #from = Number.POSITIVE_INFINITY;
  #to = Number.POSITIVE_INFINITY;
  readonly #now: () => number;

  /** `now` is the clock that `record` is called with, in milliseconds. */
  constructor(now: () => number = () => performance.now()) {
    this.#now = now;
  }

  start(): void {
    this.#from = this.#now();
  }

  stop(): void {
    this.#to = this.#now();
  }

  record(startedAt: number, endedAt: number): void {
    if (startedAt < this.#from || startedAt > this.#to) return;
    if (this.#count === this.#values.length) {
      const larger = new Float64Array(this.#values.length * 2);
      larger.set(this.#values);
      this.#values = larger;
    }
    this.#values[this.#count++] = endedAt - startedAt;
  }

  get count(): number {
    return this.#count;
  }

  /** The values themselves, to be merged with those of other processes. */
  values(): Float64Array {
    return this.#values.slice(0, this.#count);
  }

  percentiles(): { readonly p50Ms: number; readonly p99Ms: number } {
    const values = this.values();
    return { p50Ms: percentile(values, 0.5), p99Ms: percentile(values, 0.99) };
  }
}
