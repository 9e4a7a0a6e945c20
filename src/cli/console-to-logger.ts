import { format } from "node:util";
import type { Logger } from "../core/logger.ts";

/**
 * Sends what libraries write to the console into the log. connect-node has no other way to tell of a call whose client
 * left in the middle; a person's terminal is no place for its stacks. Disposing restores the console.
 */
export function consoleToLogger(logger: Logger): Disposable {
  const { console } = globalThis;
  const original = { error: console.error, warn: console.warn };
  console.error = (...data: unknown[]) => logger.warn({ detail: format(...data) }, "a library reported an error");
  console.warn = (...data: unknown[]) => logger.warn({ detail: format(...data) }, "a library warned");
  return {
    [Symbol.dispose]() {
      Object.assign(console, original);
    },
  };
}
