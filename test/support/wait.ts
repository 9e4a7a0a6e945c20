import { setTimeout as pause } from "node:timers/promises";

export interface WaitOptions {
  /** How long to wait before giving up, in milliseconds. Default: 30,000. */
  readonly timeoutMs?: number;
  /** The pause between two looks, in milliseconds: longer where a look asks other processes. Default: 5. */
  readonly everyMs?: number;
  /** Said when it gives up: what did not come, and what was seen instead. */
  readonly what?: string | (() => string);
  /** Ends the wait early with the signal's reason. */
  readonly signal?: AbortSignal;
}

const DEFAULT_TIMEOUT_MS = 30_000;
/** Short, so that a test is as fast as the condition; long enough that waiting costs the two cores nothing. */
const POLL_MS = 5;

/**
 * Waits until `condition` answers something other than undefined, null or false, and answers that. For conditions that
 * have no event. The time limit is only there to say what is missing: a test that passes never depends on it.
 */
export async function waitUntil<T>(
  condition: () => T | Promise<T>,
  options: WaitOptions = {},
): Promise<Exclude<T, undefined | null | false>> {
  const deadline = performance.now() + (options.timeoutMs ?? DEFAULT_TIMEOUT_MS);
  for (;;) {
    options.signal?.throwIfAborted();
    const result = await condition();
    if (result !== undefined && result !== null && result !== false) {
      return result as Exclude<T, undefined | null | false>;
    }
    if (performance.now() > deadline) throw new Error(`timed out: ${describe(options, condition)}`);
    await pause(options.everyMs ?? POLL_MS, undefined, options.signal === undefined ? {} : { signal: options.signal });
  }
}

/** Waits for a promise, but not for ever: what hangs fails here, with a sentence, and not at the suite's limit. */
export async function within<T>(promise: Promise<T>, options: WaitOptions = {}): Promise<T> {
  const timeoutMs = options.timeoutMs ?? DEFAULT_TIMEOUT_MS;
  const { promise: expired, reject } = Promise.withResolvers<never>();
  const timer = setTimeout(() => reject(new Error(`timed out: ${describe(options, "a promise")}`)), timeoutMs);
  const abort = () => reject(options.signal?.reason);
  options.signal?.addEventListener("abort", abort, { once: true });
  if (options.signal?.aborted) abort();
  try {
    return await Promise.race([promise, expired]);
  } finally {
    clearTimeout(timer);
    options.signal?.removeEventListener("abort", abort);
  }
}

function describe(options: WaitOptions, fallback: unknown): string {
  const { what } = options;
  if (typeof what === "function") return what();
  return what ?? String(fallback);
}
