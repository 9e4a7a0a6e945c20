export interface BackoffOptions {
  /** The first wait, in milliseconds. Default 100; 1 to 60,000. */
  readonly initialMs?: number;
  /** No wait is longer, in milliseconds. Default 5,000, or `initialMs` if that is more; `initialMs` to 3,600,000. */
  readonly maxMs?: number;
  /** Each wait is so many times the one before. Default 2; 1 to 10. */
  readonly factor?: number;
}

export type Backoff = Required<BackoffOptions>;

export function resolveBackoff({
  initialMs = 100,
  maxMs = Math.max(5_000, initialMs),
  factor = 2,
}: BackoffOptions = {}): Backoff {
  if (!(initialMs >= 1 && initialMs <= 60_000))
    throw new RangeError(`backoff.initialMs ${initialMs} is not 1 to 60000`);
  if (!(maxMs >= initialMs && maxMs <= 3_600_000))
    throw new RangeError(`backoff.maxMs ${maxMs} is not initialMs (${initialMs}) to 3600000`);
  if (!(factor >= 1 && factor <= 10)) throw new RangeError(`backoff.factor ${factor} is not 1 to 10`);
  return { initialMs, maxMs, factor };
}

/**
 * How long to wait after so many failures in a row (from 0), in milliseconds. The factor between 0.5 and 1.5 keeps
 * clients that were cut together from coming back together; the cap holds after it, too.
 */
export function backoffDelayMs({ initialMs, maxMs, factor }: Backoff, failures: number): number {
  const planned = Math.min(initialMs * factor ** Math.min(failures, 64), maxMs);
  return Math.min(planned * (0.5 + Math.random()), maxMs);
}
