import { isBusError } from "./core/errors.ts";

const FIRST_PAUSE_MS = 100;
const MAX_PAUSE_MS = 5_000;

export interface UntilReachableOptions<T> {
  /** Told before each pause why there is one, and how long it is. */
  readonly onAway: (problem: string, pauseMs: number) => void;
  /** Aborted: the wait rejects with its reason, also in the middle of an attempt. */
  readonly signal: AbortSignal;
  /** Given what an attempt brings after the wait was given up, to close it. */
  readonly discard: (late: T) => void;
  /** From 0 to 1; spreads nodes that wait for the same storage. */
  readonly random?: () => number;
}

/**
 * Does it until it no longer fails with STORAGE_UNAVAILABLE, with pauses from 100 ms to 5 s that double. Rejects with every
 * other error at once: waiting mends no wrong setting.
 */
export async function untilReachable<T>(
  attempt: () => Promise<T>,
  { onAway, signal, discard, random = Math.random }: UntilReachableOptions<T>,
): Promise<T> {
  for (let pauseMs = FIRST_PAUSE_MS; ; pauseMs = Math.min(pauseMs * 2, MAX_PAUSE_MS)) {
    signal.throwIfAborted();
    try {
      return await unlessAborted(attempt(), signal, discard);
    } catch (error) {
      if (signal.aborted || !isBusError(error, "STORAGE_UNAVAILABLE")) throw error;
      const spreadMs = pauseMs * (0.75 + random() / 2);
      onAway(error.message, spreadMs);
      await pause(spreadMs, signal);
    }
  }
}

/** A server that takes a connection and says nothing holds an attempt for seconds; who was told to leave does not wait. */
function unlessAborted<T>(attempt: Promise<T>, signal: AbortSignal, discard: (late: T) => void): Promise<T> {
  return new Promise((resolve, reject) => {
    const abort = () => {
      reject(signal.reason as Error);
      attempt.then(discard, () => {});
    };
    signal.addEventListener("abort", abort, { once: true });
    const end = () => signal.removeEventListener("abort", abort);
    attempt.finally(end).then(resolve, reject);
  });
}

function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(done, ms);
    const abort = () => {
      clearTimeout(timer);
      reject(signal.reason as Error);
    };
    function done(): void {
      signal.removeEventListener("abort", abort);
      resolve();
    }
    signal.addEventListener("abort", abort, { once: true });
  });
}
