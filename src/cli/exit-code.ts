/** What the program answers to the shell. */
export const EXIT = {
  OK: 0,
  /** The bus refused, cannot be reached, or something broke. */
  FAILURE: 1,
  /** The command line or the configuration is wrong: the same will never work. */
  USAGE: 2,
  /** Stopped by Ctrl-C or SIGTERM before it was done. A stream that is only read is done whenever it is stopped. */
  INTERRUPTED: 130,
} as const;

export type ExitCode = (typeof EXIT)[keyof typeof EXIT];

/** The command line cannot be carried out as it stands. */
export class UsageError extends Error {
  override readonly name = "UsageError";
}

/** A person, or a supervisor, stopped the program. */
export class Interrupted extends Error {
  override readonly name = "Interrupted";

  constructor() {
    super("stopped before it was done");
  }
}
