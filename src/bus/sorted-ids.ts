/**
 * A set of ids that is always sorted, by UTF-16 code units as `sort()` does: pages and prefixes are found by binary
 * search, adding one among 100,000 moves memory for some microseconds instead of sorting anew.
 */
export class SortedIds {
  readonly #ids: string[] = [];

  get size(): number {
    return this.#ids.length;
  }

  /** Live: it changes with the set. Read it at once, do not keep it. */
  get all(): readonly string[] {
    return this.#ids;
  }

  has(id: string): boolean {
    return this.#ids[this.#lowerBound(id)] === id;
  }

  /** Answers whether it was not there. */
  add(id: string): boolean {
    const at = this.#lowerBound(id);
    if (this.#ids[at] === id) return false;
    this.#ids.splice(at, 0, id);
    return true;
  }

  /** Answers whether it was there. */
  delete(id: string): boolean {
    const at = this.#lowerBound(id);
    if (this.#ids[at] !== id) return false;
    this.#ids.splice(at, 1);
    return true;
  }

  /** Those that begin with `prefix` and come behind `after` ("": from the first), in order. */
  *from(after: string, prefix = ""): Generator<string> {
    let at = this.#lowerBound(after < prefix ? prefix : after);
    if (after !== "" && this.#ids[at] === after) at++;
    for (; at < this.#ids.length; at++) {
      const id = this.#ids[at]!;
      if (!id.startsWith(prefix)) return;
      yield id;
    }
  }

  countWithPrefix(prefix: string): number {
    if (prefix === "") return this.#ids.length;
    // What follows everything that begins with the prefix: the same with its last character one higher.
    const end = prefix.slice(0, -1) + String.fromCharCode(prefix.charCodeAt(prefix.length - 1) + 1);
    return this.#lowerBound(end) - this.#lowerBound(prefix);
  }

  #lowerBound(id: string): number {
    let low = 0;
    let high = this.#ids.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#ids[middle]! < id) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}
