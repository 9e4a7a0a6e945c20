// So many failures, or a failure so long after the row began, are more than a restart: a person should hear of it.
const MANY = 4;
const LONG_MS = 1_000;

/** Failures of the same thing, with no success between them. */
export class FailureRow {
  readonly #beganMs: number;
  #count = 0;
  #told = false;

  /** By performance.now(): when what fails was begun. */
  constructor(beganMs: number) {
    this.#beganMs = beganMs;
  }

  get count(): number {
    return this.#count;
  }

  /** One more. True once, when it is worth telling. */
  add(): boolean {
    this.#count++;
    if (this.#told || (this.#count < MANY && performance.now() - this.#beganMs < LONG_MS)) return false;
    this.#told = true;
    return true;
  }
}
