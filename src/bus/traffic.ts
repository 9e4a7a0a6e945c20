import type { Clock, Stop } from "../core/clock.ts";

const SAMPLE_MS = 5_000;
/** A minute. */
const SAMPLES = 12;

/** How fast a count has grown over the last minute. */
export class Traffic {
  readonly #read: () => number;
  readonly #clock: Clock;
  readonly #samples: { readonly atMs: number; readonly value: number }[];
  readonly #stop: Stop;

  constructor(clock: Clock, read: () => number) {
    this.#clock = clock;
    this.#read = read;
    this.#samples = [{ atMs: clock.monotonic(), value: read() }];
    this.#stop = clock.every(SAMPLE_MS, () => {
      this.#samples.push({ atMs: clock.monotonic(), value: read() });
      if (this.#samples.length > SAMPLES) this.#samples.shift();
    });
  }

  /** A second. */
  get rate(): number {
    const { atMs, value } = this.#samples[0]!;
    const seconds = (this.#clock.monotonic() - atMs) / 1_000;
    return seconds > 0 ? (this.#read() - value) / seconds : 0;
  }

  close(): void {
    this.#stop();
  }
}
