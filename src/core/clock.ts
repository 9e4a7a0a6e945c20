/** Stops what was scheduled. Calling it twice is harmless. */
export type Stop = () => void;

/** Time, as the bus sees it. Tests move it by hand. */
export interface Clock {
  /** Milliseconds since 1970, may step. */
  now(): number;
  /** Milliseconds since some start, never steps. */
  monotonic(): number;
  /** Runs `task` once after `ms`. Does not keep the process alive. */
  after(ms: number, task: () => void): Stop;
  /** Runs `task` every `ms`. Does not keep the process alive. */
  every(ms: number, task: () => void): Stop;
  /** Runs `task` at the end of this turn of the event loop: what comes in meanwhile is seen by one run. */
  defer(task: () => void): void;
}

/** Randomness, as the bus sees it. */
export interface Random {
  /** A UUIDv7 for `now` (milliseconds). */
  uuid(now: number): string;
  /** A random unsigned 32-bit number, never 0. */
  epoch(): number;
}
