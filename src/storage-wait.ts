import type { Logger } from "./core/logger.ts";

/** What is still the same is told again so often, in milliseconds. */
const REMIND_MS = 60_000;
/** What has changed is told so often at most: the texts of one failure may take turns. */
const CHANGED_MS = 10_000;

export interface StorageWaitOptions {
  readonly log: Logger;
  /** The storage's URL, without password. */
  readonly storage: string;
  /** Milliseconds of a clock that never goes back. */
  readonly monotonic: () => number;
}

/** Tells the log of a start that waits for its storage: at once, then once a minute, and when the wait is over. */
export class StorageWait {
  readonly #options: StorageWaitOptions;
  #sinceMs: number | undefined;
  #told: { readonly problem: string; readonly atMs: number } | undefined;

  constructor(options: StorageWaitOptions) {
    this.#options = options;
  }

  /** An attempt failed; another one follows. */
  away(problem: string): void {
    const { log, storage, monotonic } = this.#options;
    const nowMs = monotonic();
    this.#sinceMs ??= nowMs;
    const told = this.#told;
    if (told !== undefined) {
      const patienceMs = problem === told.problem ? REMIND_MS : CHANGED_MS;
      if (nowMs - told.atMs < patienceMs) return;
    }
    this.#told = { problem, atMs: nowMs };
    if (told === undefined) log.warn({ storage }, `the storage is away: ${problem}; trying again until it is there`);
    else log.warn({ storage, waitedSeconds: this.#waitedSeconds() }, `the storage is still away: ${problem}`);
  }

  /** It is open. */
  over(): void {
    if (this.#sinceMs === undefined) return;
    const { log, storage } = this.#options;
    log.info({ storage, waitedSeconds: this.#waitedSeconds() }, "the storage is there");
  }

  #waitedSeconds(): number {
    return Math.round((this.#options.monotonic() - this.#sinceMs!) / 1_000);
  }
}
