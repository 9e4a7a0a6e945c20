/** Longer timers than this fire at once. */
export const MAX_TIMER_MS = 2 ** 31 - 1;

/** One timer for many deadlines: it fires at the earliest. */
export class DeadlineTimer {
  readonly #onDue: () => void;
  #earliest = Number.POSITIVE_INFINITY;
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(onDue: () => void) {
    this.#onDue = onDue;
  }

  /** A deadline by Date.now(); Infinity: none. Later ones than the earliest have to be set again when that was due. */
  set(deadline: number): void {
    if (deadline >= this.#earliest) return;
    clearTimeout(this.#timer);
    this.#earliest = deadline;
    const delayMs = Math.min(Math.max(0, deadline - Date.now()), MAX_TIMER_MS);
    this.#timer = setTimeout(() => {
      this.#earliest = Number.POSITIVE_INFINITY;
      this.#onDue();
    }, delayMs);
  }

  clear(): void {
    clearTimeout(this.#timer);
    this.#earliest = Number.POSITIVE_INFINITY;
  }
}
