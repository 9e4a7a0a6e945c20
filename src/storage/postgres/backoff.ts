const FIRST_MS = 50;
const MAX_MS = 2_000;

/** Pauses between attempts to connect: from 50 ms to 2 s, doubling, spread by a quarter so that nodes do not march in step. */
export class Backoff {
  #nextMs = FIRST_MS;

  next(): number {
    const pauseMs = this.#nextMs * (0.75 + Math.random() / 2);
    this.#nextMs = Math.min(this.#nextMs * 2, MAX_MS);
    return pauseMs;
  }

  reset(): void {
    this.#nextMs = FIRST_MS;
  }
}
