import type { Interceptor, Transport } from "@connectrpc/connect";
import type { ResolvedLinkOptions } from "./link-options.ts";

/** One server that this client may talk to. */
export interface Endpoint {
  readonly transport: Transport;
  /** Closes what is open to it. */
  close(): void;
}

/** What differs between a browser and Node. */
export interface Platform {
  /** False: request streams do not work here, so publishes go out one batch after another. */
  readonly clientStreams: boolean;
  open(
    url: string,
    interceptors: Interceptor[],
    liveness: Pick<ResolvedLinkOptions, "pingIntervalMs" | "pingTimeoutMs">,
  ): Endpoint;
}
