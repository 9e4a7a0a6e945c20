import type { Connection } from "./connection.ts";
import { ClosedError } from "./errors.ts";
import { ReconnectingStream, StreamCut } from "./reconnecting-stream.ts";
import { linkedController } from "./waiting.ts";

export interface WatchOptions {
  /** Ends the watch: the iterator throws its reason. */
  readonly signal?: AbortSignal;
}

/**
 * What a watching stream tells, over cuts. `open` is told whether it is opened again: what happened in between has to be
 * learnt from what is current then. Finishes when the bus is closed.
 */
export async function* watch<T>(
  connection: Connection,
  what: string,
  open: (signal: AbortSignal, again: boolean) => AsyncIterable<T>,
  options: WatchOptions,
): AsyncGenerator<T, undefined, undefined> {
  const { controller, release } = linkedController(connection.signal, options.signal);
  let again = false;
  const stream = new ReconnectingStream<T>({
    connection,
    signal: controller.signal,
    what,
    // Watches have no heartbeats: a peer that vanished is noticed by the transport.
    silenceMs: () => Number.POSITIVE_INFINITY,
    open: (signal) => open(signal, again),
  });
  try {
    for (;;) {
      const response = await stream.next();
      if (response instanceof StreamCut) continue;
      again = true;
      yield response;
    }
  } catch (error) {
    if (!(connection.signal.aborted && error instanceof ClosedError)) throw error;
  } finally {
    stream.close();
    release();
  }
}
