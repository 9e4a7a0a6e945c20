import type { BusContext } from "./bus-command.ts";

/** Prints what a watch tells until the command is stopped, which is how a watch ends. */
export async function followUntilStopped<T>(
  { signal }: BusContext,
  open: (signal: AbortSignal) => AsyncIterable<T>,
  print: (change: T) => Promise<void>,
): Promise<void> {
  try {
    for await (const change of open(signal)) await print(change);
  } catch (error) {
    if (!signal.aborted) throw error;
  }
}
