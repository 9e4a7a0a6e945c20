/** Nodes that are remembered, each by its last number. */
const MAX_ORIGINS = 1_000;
/** A node that was silent for so long is forgotten: numbers that are missing then are told to nobody. */
const FORGET_MS = 86_400_000;

interface Origin {
  number: number;
  heardMs: number;
}

/** Numbers of other nodes' packets, to find what is missing. */
export class RelayOrigins {
  /** The one that was silent longest comes first. */
  readonly #origins = new Map<string, Origin>();

  /**
   * A packet came; `isBeat`: it has no content, and the number of the last one that had some. Answers whether it is new,
   * and whether others before it were lost. The first of a node is no loss: nobody knows what went before.
   */
  heard(
    id: string,
    number: number,
    isBeat: boolean,
    nowMs: number,
  ): { readonly isNew: boolean; readonly lost: boolean } {
    const known = this.#origins.get(id);
    this.#origins.delete(id);
    this.#origins.set(id, { number: Math.max(number, known?.number ?? 0), heardMs: nowMs });
    this.#forget(nowMs);
    if (known === undefined) return { isNew: !isBeat, lost: false };
    if (isBeat) return { isNew: false, lost: number > known.number };
    return { isNew: number > known.number, lost: number > known.number + 1 };
  }

  get size(): number {
    return this.#origins.size;
  }

  #forget(nowMs: number): void {
    for (const [id, { heardMs }] of this.#origins) {
      if (this.#origins.size <= MAX_ORIGINS && nowMs - heardMs < FORGET_MS) return;
      this.#origins.delete(id);
    }
  }
}
