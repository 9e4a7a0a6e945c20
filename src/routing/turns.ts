/** Selections whose turn is remembered; of more, the one not used for longest starts anew. */
const MAX_KEYS = 256;

/**
 * Whose turn it is. Remembers who came last, not where in a list: agents may come and go between two turns and nobody
 * is passed over or served twice in a round because of it.
 */
export class Turns {
  readonly #last = new Map<string, string>();

  /** The next `count` of `candidates` (sorted) in turn; all of them when there are fewer. Turns of keys are apart. */
  take(key: string, candidates: readonly string[], count: number): readonly string[] {
    if (candidates.length === 0) return [];
    const taken: string[] = [];
    let at = firstAfter(candidates, this.#last.get(key) ?? "");
    for (const end = Math.min(count, candidates.length); taken.length < end; at++) {
      taken.push(candidates[at % candidates.length]!);
    }
    this.#last.delete(key);
    this.#last.set(key, taken.at(-1)!);
    if (this.#last.size > MAX_KEYS) this.#last.delete(this.#last.keys().next().value!);
    return taken;
  }
}

function firstAfter(sorted: readonly string[], id: string): number {
  let low = 0;
  let high = sorted.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (sorted[middle]! <= id) low = middle + 1;
    else high = middle;
  }
  return low;
}
