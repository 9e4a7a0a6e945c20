import { BusError } from "../core/errors.ts";

/**
 * Changes on their way to one watcher who reads at its own pace: at most `capacity` wait, then the watcher has missed
 * some and is told so.
 */
export class WatchQueue<T> {
  readonly #capacity: number;
  readonly #maxBatch: number;
  #waiting: T[] = [];
  #missed = false;
  #finished = false;
  #wake: (() => void) | undefined;

  /** `maxBatch`: items in one batch, at most. */
  constructor(capacity: number, maxBatch: number) {
    this.#capacity = capacity;
    this.#maxBatch = maxBatch;
  }

  push(item: T): void {
    if (this.#finished || this.#missed) return;
    if (this.#waiting.length >= this.#capacity) {
      this.#missed = true;
      this.#waiting = [];
    } else this.#waiting.push(item);
    this.#wake?.();
  }

  /** Nothing more comes; what waits is still read. */
  finish(): void {
    this.#finished = true;
    this.#wake?.();
  }

  /** For one reader. Ends when the queue is finished or the signal aborts. Throws WATCHER_TOO_SLOW. */
  async *batches(signal: AbortSignal): AsyncGenerator<readonly T[]> {
    const wake = () => this.#wake?.();
    signal.addEventListener("abort", wake);
    try {
      while (!signal.aborted) {
        if (this.#missed) {
          throw new BusError(
            "WATCHER_TOO_SLOW",
            `more than ${this.#capacity} changes waited to be read; watch again to read what is current`,
          );
        }
        if (this.#waiting.length > 0) yield this.#waiting.splice(0, this.#maxBatch);
        else if (this.#finished) return;
        else {
          await new Promise<void>((resolve) => {
            this.#wake = resolve;
          });
        }
      }
    } finally {
      signal.removeEventListener("abort", wake);
    }
  }
}
