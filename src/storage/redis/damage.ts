import type { ReadResult } from "../message-log.ts";

/** Damaged sequences, met one behind another in the order of reading. */
export class Damage {
  readonly #ranges: { first: number; last: number }[] = [];

  /** Adds a range that lies behind (or, read backward, in front of) all that was added before; first > last: nothing. */
  add(first: number, last: number): void {
    if (first > last) return;
    const previous = this.#ranges.at(-1);
    if (previous !== undefined && previous.last + 1 === first) previous.last = last;
    else if (previous !== undefined && last + 1 === previous.first) previous.first = first;
    else this.#ranges.push({ first, last });
  }

  /** Ascending. */
  get ranges(): ReadResult["damaged"] {
    return [...this.#ranges].sort((a, b) => a.first - b.first);
  }
}
