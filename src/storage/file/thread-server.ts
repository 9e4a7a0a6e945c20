import { type MessagePort, parentPort } from "node:worker_threads";
import { toFailure } from "./sqlite-errors.ts";
import type { ThreadReply, ThreadRequest } from "./thread-protocol.ts";

type Calls = { readonly [method: string]: (argument: never) => unknown };

/** Thrown where a transaction may have been stored although it failed. */
export class OutcomeUnknown extends Error {}

/** Answers the main thread's requests, one after another. `transfers` names what a result need not be copied for. */
export function serveThread(calls: Calls, transfers: (result: unknown) => ArrayBuffer[] = () => []): void {
  const port: MessagePort = parentPort!;
  port.on("message", ({ id, method, argument }: ThreadRequest) => {
    let reply: ThreadReply;
    let moved: ArrayBuffer[] = [];
    try {
      const result = calls[method]!(argument as never);
      moved = transfers(result);
      reply = { id, result };
    } catch (error) {
      const unknown = error instanceof OutcomeUnknown;
      reply = { id, failure: toFailure(unknown ? error.cause : error, unknown) };
    }
    port.postMessage(reply, moved);
    if (method === "close") port.close();
  });
}
