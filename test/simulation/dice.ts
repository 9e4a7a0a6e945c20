import { createSeededRandom } from "../support/seeded-random.ts";

/** All chance of one simulated run: the same seed throws the same. */
export class Dice {
  readonly #random: () => number;

  constructor(seed: number) {
    this.#random = createSeededRandom(seed);
  }

  /** 0 to below `below`, an integer. */
  below(below: number): number {
    return Math.floor(this.#random() * below);
  }

  /** From `from` to below `to`. */
  between(from: number, to: number): number {
    return from + this.#random() * (to - from);
  }

  chance(probability: number): boolean {
    return probability > 0 && this.#random() < probability;
  }

  pick<T>(items: readonly T[]): T {
    return items[this.below(items.length)]!;
  }

  /** A number that names an epoch: never 0. */
  uint32(): number {
    return Math.floor(this.#random() * (2 ** 32 - 1)) + 1;
  }

  /** A UUIDv7 for `nowMs`. */
  uuid(nowMs: number): string {
    const time = Math.floor(nowMs).toString(16).padStart(12, "0");
    const hex = this.uint32().toString(16).padStart(8, "0") + this.uint32().toString(16).padStart(8, "0");
    return `${time.slice(0, 8)}-${time.slice(8)}-7${hex.slice(0, 3)}-8${hex.slice(3, 6)}-${hex.slice(4)}`;
  }
}
