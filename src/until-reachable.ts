import { isBusError } from "./core/errors.ts";

const FIRST_PAUSE_MS = 100;
const MAX_PAUSE_MS = 5_000;

export interface UntilReachableOptions {
  /** Told before each pause why there is one, and how long it is. */
  readonly onAway: (problem: string, pauseMs: number) => void;
  /** Aborted: the wait rejects with its reason. */
  readonly signal: AbortSignal;
  /** From 0 to 1; spreads nodes that wait for the same storage. */
  readonly random?: () => number;
}

/**
 * Does it until it no longer fails with STORAGE_UNAVAILABLE, with pauses from 100 ms to 5 s that double. Rejects with every
 * other error at once: waiting mends no wrong setting.
 */
export async function untilReachable<T>(
  attempt: () => Promise<T>,
  { onAway, signal, random = Math.random }: UntilReachableOptions,
): Promise<T> {
  for (let pauseMs = FIRST_PAUSE_MS; ; pauseMs = Math.min(pauseMs * 2, MAX_PAUSE_MS)) {
    signal.throwIfAborted();
    try {
      return await attempt();
    } catch (error) {
      if (!isBusError(error, "STORAGE_UNAVAILABLE")) throw error;
      const spreadMs = pauseMs * (0.75 + random() / 2);
      onAway(error.message, spreadMs);
      await pause(spreadMs, signal);
    }
  }
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
