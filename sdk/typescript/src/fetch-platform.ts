import { createConnectTransport } from "@connectrpc/connect-web";
import { createPageFetch, type PageScope } from "./page-streams.ts";
import type { Platform } from "./platform.ts";

/** One for all: a browser's connections are shared by everything on the page. */
let pageFetch: typeof globalThis.fetch | undefined;

/** The Connect protocol over fetch: browsers, Node, Deno, Bun, edge runtimes. */
export const fetchPlatform: Platform = {
  clientStreams: false,
  open(url, interceptors) {
    pageFetch ??= createPageFetch(globalThis as PageScope, (input, init) => globalThis.fetch(input, init));
    return {
      transport: createConnectTransport({ baseUrl: url, interceptors, useBinaryFormat: true, fetch: pageFetch }),
      // fetch keeps its connections itself; the streams on them are ended by their signals.
      close: () => {},
    };
  },
};
