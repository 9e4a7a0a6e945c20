/** Counts up. `add` is a plain addition: cheap enough for every message. */
export interface Counter {
  add(n: number): void;
  readonly value: number;
}

/** Counts observations by size. `observe` is an array increment: cheap enough for every batch. */
export interface Histogram {
  observe(value: number): void;
}

export type Labels = Readonly<Record<string, string>>;

/**
 * Where the bus counts. Every counter and histogram is made once, with its labels, when what counts is made; never one
 * for each call. Labels are bounded sets: code, method, stage, strategy; never a room, an agent or an id. Asking for the
 * same name and labels again answers the same one. Names are given without the prefix "agentbus_".
 */
export interface Meters {
  counter(name: string, help: string, labels?: Labels): Counter;
  /** Upper bounds ascending; unset: seconds from 50 µs to 10 s, 0.01 and 0.05 among them. */
  histogram(name: string, help: string, labels?: Labels, buckets?: readonly number[]): Histogram;
  /** Read when somebody looks. */
  gauge(name: string, help: string, read: () => number, labels?: Labels): void;
}
