/** Runs tasks of one key one after another, in the order they came; tasks of different keys do not wait for each other. */
export class Lanes {
  readonly #tails = new Map<string, Promise<unknown>>();

  /** A task that fails does not stop those behind it. A task must not wait for another one of its own key. */
  run<T>(key: string, task: () => Promise<T>): Promise<T> {
    const before = this.#tails.get(key);
    const result = before === undefined ? task() : before.then(task);
    const tail: Promise<void> = result.then(
      () => this.#leave(key, tail),
      () => this.#leave(key, tail),
    );
    this.#tails.set(key, tail);
    return result;
  }

  #leave(key: string, tail: Promise<unknown>): void {
    if (this.#tails.get(key) === tail) this.#tails.delete(key);
  }
}
