// So long an address that failed is the last choice; doubled with each failure in a row, up to the maximum. Coming back to
// one that swallows everything costs seconds, and keeping away from one that is well again costs nothing.
const AVOID_MS = 5_000;
const MAX_AVOID_MS = 60_000;

interface Address {
  readonly url: string;
  /** Since it last worked. */
  failures: number;
  /** By performance.now(). */
  avoidedUntil: number;
}

/** The addresses of the bus, of which one is in use at a time, and what is known of the others. */
export class Addresses {
  readonly #all: readonly Address[];
  #current = 0;
  #generation = 0;

  constructor(urls: readonly string[]) {
    this.#all = urls.map((url) => ({ url, failures: 0, avoidedUntil: Number.NEGATIVE_INFINITY }));
  }

  get count(): number {
    return this.#all.length;
  }

  /** The one in use. */
  get url(): string {
    return this.#all[this.#current]!.url;
  }

  /** Grows when another address is taken into use: names the one that an attempt was made on. */
  get generation(): number {
    return this.#generation;
  }

  /** The address of this generation failed or is leaving: another one is used, if one is better. */
  failed(generation: number): void {
    // Several streams on one connection notice its end; only the first of them moves on.
    if (generation !== this.#generation) return;
    const now = performance.now();
    const failed = this.#all[this.#current]!;
    failed.avoidedUntil = now + Math.min(AVOID_MS * 2 ** Math.min(failed.failures, 16), MAX_AVOID_MS);
    failed.failures++;
    const next = this.#best(now);
    if (next === this.#current) return;
    this.#current = next;
    this.#generation++;
  }

  /** The address of this generation answered. */
  worked(generation: number): void {
    if (generation !== this.#generation) return;
    const current = this.#all[this.#current]!;
    current.failures = 0;
    current.avoidedUntil = Number.NEGATIVE_INFINITY;
  }

  /** The next in turn that need not be avoided; when all are, the one whose time is over first. */
  #best(now: number): number {
    const inTurn = this.#all.map((_address, i) => (this.#current + 1 + i) % this.#all.length);
    const waitMs = (i: number) => Math.max(0, this.#all[i]!.avoidedUntil - now);
    return inTurn.reduce((best, i) => (waitMs(i) < waitMs(best) ? i : best));
  }
}
