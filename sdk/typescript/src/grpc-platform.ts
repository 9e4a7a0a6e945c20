import { createGrpcTransport, Http2SessionManager } from "@connectrpc/connect-node";
import type { Platform } from "./platform.ts";

// A peer that vanished without a FIN is noticed within the sum of both. Servers in front of which an idle connection is
// cut (load balancers, after a minute or more) are kept open by the first.
const PING = { pingIntervalMs: 20_000, pingTimeoutMs: 10_000 };

// The server answers with at most 1 MiB and a little; anything much larger is not the bus.
const READ_MAX_BYTES = 16 * 1024 * 1024;

/** gRPC over one HTTP/2 connection to each server. */
export const grpcPlatform: Platform = {
  clientStreams: true,
  open: (url, interceptors) => {
    const sessionManager = new Http2SessionManager(url, PING);
    return {
      transport: createGrpcTransport({ baseUrl: url, interceptors, sessionManager, readMaxBytes: READ_MAX_BYTES }),
      close: () => sessionManager.abort(),
    };
  },
};
