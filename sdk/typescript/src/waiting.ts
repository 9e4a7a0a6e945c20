import { BusError } from "./errors.ts";

/** Resolves after so many milliseconds; rejects with the signal's reason when that comes first. */
export function delay(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal.aborted) return reject(signal.reason);
    const onAbort = () => {
      clearTimeout(timer);
      reject(signal.reason);
    };
    const timer = setTimeout(() => {
      signal.removeEventListener("abort", onAbort);
      resolve();
    }, ms);
    signal.addEventListener("abort", onAbort, { once: true });
  });
}

/**
 * The promise's outcome, unless the signal aborts first or so many milliseconds pass (Infinity: no limit). A
 * Promise.race with the signal would keep one reaction alive for each wait as long as the signal lives.
 */
export function within<T>(promise: Promise<T>, ms: number, signal: AbortSignal, what: string): Promise<T> {
  return new Promise((resolve, reject) => {
    let timer: ReturnType<typeof setTimeout> | undefined;
    const release = () => {
      clearTimeout(timer);
      signal.removeEventListener("abort", onAbort);
    };
    const onAbort = () => {
      release();
      reject(signal.reason);
    };
    const onTimeout = () => {
      release();
      reject(new BusError({ code: "DEADLINE_EXCEEDED", message: `${what} within ${Math.round(ms)} ms` }));
    };
    promise.then(
      (value) => {
        release();
        resolve(value);
      },
      (error) => {
        release();
        reject(error);
      },
    );
    if (signal.aborted) return onAbort();
    if (ms !== Number.POSITIVE_INFINITY) timer = setTimeout(onTimeout, ms);
    signal.addEventListener("abort", onAbort, { once: true });
  });
}

/** A controller that the given signals abort too. `release` takes it off them again. */
export function linkedController(...signals: readonly (AbortSignal | undefined)[]): {
  controller: AbortController;
  release: () => void;
} {
  const controller = new AbortController();
  const undo: (() => void)[] = [];
  for (const signal of signals) {
    if (signal === undefined) continue;
    if (signal.aborted) {
      controller.abort(signal.reason);
      break;
    }
    const onAbort = () => controller.abort(signal.reason);
    signal.addEventListener("abort", onAbort, { once: true });
    undo.push(() => signal.removeEventListener("abort", onAbort));
  }
  return {
    controller,
    release: () => {
      for (const take of undo) take();
    },
  };
}
