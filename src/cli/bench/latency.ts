import { createHistogram } from "node:perf_hooks";

/** Percentiles of waiting times, in milliseconds. */
export interface LatencySummary {
  readonly p50: number;
  readonly p90: number;
  readonly p99: number;
  readonly max: number;
}

/** Counts waiting times in constant memory, to three digits. */
export class LatencyRecorder {
  // An hour, in microseconds: whoever waits longer is counted as that.
  readonly #histogram = createHistogram({ lowest: 1, highest: 3_600_000_000, figures: 3 });

  get count(): number {
    return this.#histogram.count;
  }

  record(milliseconds: number): void {
    this.#histogram.record(Math.min(3_600_000_000, Math.max(1, Math.round(milliseconds * 1_000))));
  }

  /** Undefined: nothing was recorded. */
  summary(): LatencySummary | undefined {
    if (this.count === 0) return undefined;
    const at = (percentile: number) => this.#histogram.percentile(percentile) / 1_000;
    return { p50: at(50), p90: at(90), p99: at(99), max: this.#histogram.max / 1_000 };
  }
}
