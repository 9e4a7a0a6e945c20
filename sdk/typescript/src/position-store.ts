/** Where a named subscription keeps how far it has read. */
export interface PositionStore {
  /** The positions last saved under the name; undefined or empty: none yet. */
  load(name: string): Promise<readonly string[] | undefined>;
  /** Replaces what is saved under the name: one position for each channel. Never called again before it settled. */
  save(name: string, positions: readonly string[]): Promise<void>;
}

/** Keeps positions as long as the process lives. */
export class MemoryPositionStore implements PositionStore {
  readonly #saved = new Map<string, readonly string[]>();

  async load(name: string): Promise<readonly string[] | undefined> {
    return this.#saved.get(name);
  }

  async save(name: string, positions: readonly string[]): Promise<void> {
    this.#saved.set(name, positions);
  }
}

/** Saves the newest positions, one save at a time; what changes meanwhile is saved next, all at once. */
export class PositionSaver {
  readonly #store: PositionStore;
  readonly #name: string;
  readonly #snapshot: () => string[];
  #saving: Promise<void> | undefined;
  #changed = false;
  #failure: unknown;

  constructor(store: PositionStore, name: string, snapshot: () => string[]) {
    this.#store = store;
    this.#name = name;
    this.#snapshot = snapshot;
  }

  load(): Promise<readonly string[] | undefined> {
    return this.#store.load(this.#name);
  }

  /** Positions moved on. Throws what an earlier save failed with. */
  touch(): void {
    this.#throwFailure();
    this.#changed = true;
    this.#saving ??= this.#save();
  }

  /** Resolves when everything is saved; rejects when a save failed. */
  async flush(): Promise<void> {
    await this.#saving;
    this.#throwFailure();
  }

  #throwFailure(): void {
    const failure = this.#failure;
    this.#failure = undefined;
    if (failure !== undefined) throw failure;
  }

  async #save(): Promise<void> {
    try {
      // One turn later, so that `#saving` is set before anything here can end, whatever the store does.
      await Promise.resolve();
      while (this.#changed) {
        this.#changed = false;
        await this.#store.save(this.#name, this.#snapshot());
      }
    } catch (error) {
      this.#failure = error;
    } finally {
      this.#saving = undefined;
    }
  }
}
