import { type Backoff, type BackoffOptions, resolveBackoff } from "./backoff.ts";
import { MAX_TIMER_MS } from "./deadline-timer.ts";

/** How a client notices that the bus does not answer, and how long it goes on trying. */
export interface LinkOptions {
  /**
   * How long a call may take with all its attempts, in milliseconds; `timeoutMs` of a call goes before it. Default 30,000;
   * 1 to 2,147,483,647.
   */
  readonly callTimeoutMs?: number;
  /**
   * With several addresses: how long one attempt of a call may take, and one answer to a publish, before the next address
   * is tried, in milliseconds. An attempt of a call takes at most half of the call's time, so that the
   * next one gets a turn; answers to publishes are given twice as long after each failure in a row, up to
   * `callTimeoutMs`. Default 5,000; 1 to 2,147,483,647.
   */
  readonly attemptTimeoutMs?: number;
  /**
   * While something is open to a server, it is asked for a sign of life (an HTTP/2 PING) so often, in milliseconds. Default
   * 2,000; 100 to 3,600,000. Over fetch there are no PINGs.
   */
  readonly pingIntervalMs?: number;
  /**
   * How long the sign of life may take, and opening a connection, before the connection is given up, in milliseconds. A
   * server that froze or vanished is noticed when both are over. Default 3,000; 100 to 60,000.
   */
  readonly pingTimeoutMs?: number;
  /**
   * How often a call is repeated when its failure says that this can help, as long as it has time. Streams and sends go on
   * without end. Default 3; 0 to 1,000.
   */
  readonly maxRetries?: number;
  /** The waits between attempts. Default: 100 ms, doubled up to 5 s, each times 0.5 to 1.5. */
  readonly backoff?: BackoffOptions;
}

export interface ResolvedLinkOptions {
  readonly callTimeoutMs: number;
  readonly attemptTimeoutMs: number;
  readonly pingIntervalMs: number;
  readonly pingTimeoutMs: number;
  readonly maxRetries: number;
  readonly backoff: Backoff;
}

/** Throws RangeError. */
export function resolveLinkOptions(options: LinkOptions): ResolvedLinkOptions {
  const within = (name: Exclude<keyof LinkOptions, "backoff">, fallback: number, min: number, max: number): number => {
    const value = options[name] ?? fallback;
    if (value >= min && value <= max) return value;
    throw new RangeError(`${name} ${value} is not ${min} to ${max}`);
  };
  return {
    callTimeoutMs: within("callTimeoutMs", 30_000, 1, MAX_TIMER_MS),
    attemptTimeoutMs: within("attemptTimeoutMs", 5_000, 1, MAX_TIMER_MS),
    pingIntervalMs: within("pingIntervalMs", 2_000, 100, 3_600_000),
    pingTimeoutMs: within("pingTimeoutMs", 3_000, 100, 60_000),
    maxRetries: within("maxRetries", 3, 0, 1_000),
    backoff: resolveBackoff(options.backoff),
  };
}
