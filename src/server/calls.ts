/** The calls that run: what a drain waits for. */
export class Calls {
  #active = 0;
  #waiting: (() => void)[] = [];

  get active(): number {
    return this.#active;
  }

  opened(): void {
    this.#active++;
  }

  /** An arrow function, to be given away as a listener without making one for each call. */
  readonly closed = (): void => {
    if (--this.#active > 0) return;
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const resolve of waiting) resolve();
  };

  /** Resolves once no call runs. */
  quiet(): Promise<void> {
    return this.#active === 0 ? Promise.resolve() : new Promise((resolve) => this.#waiting.push(resolve));
  }
}
