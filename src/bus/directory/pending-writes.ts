import type { Clock, Stop } from "../../core/clock.ts";
import type { Logger } from "../../core/logger.ts";

/** Enough to fill a group commit, few enough for all others. */
const CONCURRENCY = 16;
const RETRY_MS = 1_000;

export interface PendingWritesOptions {
  readonly clock: Clock;
  readonly log: Logger;
  /** What is written, for the log. */
  readonly what: string;
  /** Makes the stored record what it should be now. Called again after a failure. */
  readonly write: (key: string) => Promise<void>;
}

/**
 * Keys whose stored records are not yet what this node wants them to be. A key that changes ten times while the storage
 * is slow or away is written once, as it is by then; nobody waits for it.
 */
export class PendingWrites {
  readonly #options: PendingWritesOptions;
  readonly #waiting = new Set<string>();
  readonly #running = new Set<string>();
  #stopPause: Stop | undefined;
  #settled: PromiseWithResolvers<void> | undefined;
  #failing = false;
  #closed = false;

  constructor(options: PendingWritesOptions) {
    this.#options = options;
  }

  add(key: string): void {
    if (this.#closed) return;
    this.#waiting.add(key);
    this.#pump();
  }

  /** Whether the storage may not have it yet. */
  has(key: string): boolean {
    return this.#waiting.has(key) || this.#running.has(key);
  }

  /** Tries everything once, at once. Never fails: what cannot be written stays for later. */
  async flush(): Promise<void> {
    this.#endPause();
    this.#settled ??= Promise.withResolvers();
    const { promise } = this.#settled;
    this.#pump();
    await promise;
  }

  close(): void {
    this.#closed = true;
    this.#waiting.clear();
    this.#endPause();
  }

  #pump(): void {
    for (const key of this.#stopPause === undefined ? this.#waiting : []) {
      if (this.#running.size >= CONCURRENCY) break;
      if (this.#running.has(key)) continue;
      this.#waiting.delete(key);
      this.#running.add(key);
      void this.#run(key);
    }
    if (this.#running.size > 0) return;
    this.#settled?.resolve();
    this.#settled = undefined;
  }

  async #run(key: string): Promise<void> {
    try {
      await this.#options.write(key);
      this.#failing &&= this.#waiting.size > 0;
    } catch (error) {
      this.#failed(key, error);
    }
    this.#running.delete(key);
    this.#pump();
  }

  #failed(key: string, error: unknown): void {
    if (this.#closed) return;
    const { clock, log, what } = this.#options;
    this.#waiting.add(key);
    if (!this.#failing) log.warn({ err: error }, `${what} could not be written; it is tried again until it is`);
    this.#failing = true;
    this.#stopPause ??= clock.after(RETRY_MS, () => {
      this.#stopPause = undefined;
      this.#pump();
    });
  }

  #endPause(): void {
    this.#stopPause?.();
    this.#stopPause = undefined;
  }
}
