import { createGrpcTransport } from "@connectrpc/connect-node";
import { LiveSessions } from "./live-sessions.ts";
import type { Platform } from "./platform.ts";

// The server answers with at most 1 MiB and a little; anything much larger is not the bus.
const READ_MAX_BYTES = 16 * 1024 * 1024;

/** gRPC over one HTTP/2 connection to each server. */
export const grpcPlatform: Platform = {
  clientStreams: true,
  open: (url, interceptors, liveness) => {
    const sessionManager = new LiveSessions(url, liveness);
    return {
      transport: createGrpcTransport({ baseUrl: url, interceptors, sessionManager, readMaxBytes: READ_MAX_BYTES }),
      close: () => sessionManager.abort(),
    };
  },
};
