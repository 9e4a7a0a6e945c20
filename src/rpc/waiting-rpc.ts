import type { ConnectRouter } from "@connectrpc/connect";
import { connectNodeAdapter } from "@connectrpc/connect-node";
import type { BusError } from "../core/errors.ts";
import type { Rpc, RpcOptions } from "./create-rpc.ts";
import { toConnectError } from "./errors/error-status.ts";
import { withReasons } from "./errors/reasoned-errors.ts";

/**
 * What answers before there is a bus, while a node waits for its storage: health and reflection, and a refusal for
 * everything else.
 */
export function createWaitingRpc({
  register,
  fallback,
}: Pick<RpcOptions, "register" | "fallback">): Omit<Rpc, "fastPath"> {
  const shutdown = new AbortController();
  return {
    onRequest: connectNodeAdapter({
      routes(router: ConnectRouter) {
        register(router);
        router.handlers.forEach((handler, at) => {
          router.handlers[at] = withReasons(handler);
        });
      },
      fallback: fallback as NonNullable<Parameters<typeof connectNodeAdapter>[0]["fallback"]>,
      shutdownSignal: shutdown.signal,
      compressMinBytes: 0xffffffff,
    }) as Rpc["onRequest"],
    beginDrain() {},
    endAll: (error: BusError) => shutdown.abort(toConnectError(error)),
  };
}
