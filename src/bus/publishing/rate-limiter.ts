import { BusError } from "../../core/errors.ts";

interface Bucket {
  tokens: number;
  filledAtMs: number;
}

/** So many senders are remembered; a sender that is forgotten starts with a full bucket. */
const MAX_BUCKETS = 100_000;

/** A token bucket for each sender. */
export class RateLimiter {
  readonly #name: string;
  readonly #perSecond: number;
  readonly #burst: number;
  readonly #buckets = new Map<string, Bucket>();

  /** `name` is told to those who are too fast. `perSecond` 0: nobody is. */
  constructor(name: string, perSecond: number, burst: number) {
    this.#name = name;
    this.#perSecond = perSecond;
    this.#burst = Math.max(burst, 1);
  }

  /** Takes `count` tokens of a sender when they are there, and says whether they were. */
  allows(sender: string, count: number, nowMs: number): boolean {
    return this.#take(sender, count, nowMs) === 0;
  }

  /** Takes `count` tokens of a sender, or none: throws RATE_LIMITED with the delay after which they are there. */
  take(sender: string, count: number, nowMs: number): void {
    const retryDelayMs = this.#take(sender, count, nowMs);
    if (retryDelayMs === 0) return;
    throw new BusError(
      "RATE_LIMITED",
      `${sender} publishes faster than ${this.#perSecond} messages a second (${this.#name}); wait ${retryDelayMs} ms`,
      { retryDelayMs },
    );
  }

  /** 0: taken. Else nothing was, and so many milliseconds are to be waited. */
  #take(sender: string, count: number, nowMs: number): number {
    if (this.#perSecond === 0 || count === 0) return 0;
    let bucket = this.#buckets.get(sender);
    if (bucket === undefined) {
      bucket = { tokens: this.#burst, filledAtMs: nowMs };
      if (this.#buckets.size >= MAX_BUCKETS) this.#buckets.delete(this.#buckets.keys().next().value!);
      this.#buckets.set(sender, bucket);
    } else {
      const filled = bucket.tokens + ((nowMs - bucket.filledAtMs) / 1_000) * this.#perSecond;
      bucket.tokens = Math.min(filled, this.#burst);
      bucket.filledAtMs = nowMs;
    }
    // A batch larger than the burst passes when the bucket is full, and is paid for afterwards.
    const needed = Math.min(count, this.#burst);
    if (bucket.tokens < needed) return Math.ceil(((needed - bucket.tokens) / this.#perSecond) * 1_000);
    bucket.tokens -= count;
    return 0;
  }
}
