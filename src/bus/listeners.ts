import type { Stop } from "../core/clock.ts";
import type { Logger } from "../core/logger.ts";

/**
 * Tells events to listeners, all in the same order: an event that a listener causes is told after the one it was being
 * told. A listener that throws is logged and keeps nobody else from hearing.
 */
export class Listeners<E> {
  readonly #listeners = new Set<(event: E) => void>();
  readonly #waiting: E[] = [];
  readonly #log: Logger;
  #telling = false;

  constructor(log: Logger) {
    this.#log = log;
  }

  add(listener: (event: E) => void): Stop {
    // A wrapper of its own, so that a listener added twice is told twice and removed once.
    const own = (event: E) => listener(event);
    this.#listeners.add(own);
    return () => this.#listeners.delete(own);
  }

  tell(event: E): void {
    this.#waiting.push(event);
    if (this.#telling) return;
    this.#telling = true;
    for (let next = this.#waiting.shift(); next !== undefined; next = this.#waiting.shift()) {
      for (const listener of this.#listeners) {
        try {
          listener(next);
        } catch (error) {
          this.#log.error({ err: error }, "a listener of the directory failed");
        }
      }
    }
    this.#telling = false;
  }
}
