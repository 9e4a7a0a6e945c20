import { createConnectTransport } from "@connectrpc/connect-web";
import type { Platform } from "./platform.ts";

/** The Connect protocol over fetch: browsers, Node, Deno, Bun, edge runtimes. */
export const fetchPlatform: Platform = {
  clientStreams: false,
  open: (url, interceptors) => ({
    transport: createConnectTransport({ baseUrl: url, interceptors, useBinaryFormat: true }),
    // fetch keeps its connections itself; the streams on them are ended by their signals.
    close: () => {},
  }),
};
