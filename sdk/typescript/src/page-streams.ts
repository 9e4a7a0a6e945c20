import { Code, ConnectError } from "@connectrpc/connect";

/**
 * A browser opens six connections to an address without TLS, for all tabs together, and every stream takes one. One is
 * left for calls: without it a publish would wait for ever, and nothing would say why.
 */
const MAX_STREAMS_WITHOUT_TLS = 5;
const STREAM_TYPE = /^application\/connect\+/;

/** What is needed of the page: its events, and where it is. */
export interface PageScope {
  readonly location?: unknown;
  addEventListener?(type: "pagehide" | "pageshow", listener: () => void): void;
}

/**
 * fetch as a page needs it for streams.
 *
 * - When the page is left, its streams are cut: a browser may keep the page for its "back" button, and with it the
 *   streams, so that its agents would look present for half a minute. They are opened again when the page is back.
 * - Over http:, a stream too many is refused with a sentence.
 *
 * In runtimes without pages it is `fetch` and nothing else.
 */
export function createPageFetch(page: PageScope, fetch: typeof globalThis.fetch): typeof globalThis.fetch {
  // Workers have the limit, too, and are not left like a page.
  if (page.location === undefined) return fetch;
  const open = new Map<string, Set<AbortController>>();
  /** Resolves when the page is back; undefined: it is there. */
  let away: Promise<void> | undefined;
  let comeBack = () => {};
  page.addEventListener?.("pagehide", () => {
    away ??= new Promise((resolve) => {
      comeBack = resolve;
    });
    for (const streams of open.values()) {
      for (const stream of [...streams]) stream.abort(new TypeError("the page was left"));
    }
  });
  page.addEventListener?.("pageshow", () => {
    away = undefined;
    comeBack();
  });

  async function openStream(request: Request): Promise<Response> {
    await away;
    const { origin, protocol } = new URL(request.url);
    const streams = open.get(origin) ?? new Set();
    open.set(origin, streams);
    if (protocol === "http:" && streams.size >= MAX_STREAMS_WITHOUT_TLS) throw tooManyStreams(origin);
    const controller = new AbortController();
    streams.add(controller);
    const end = () => void streams.delete(controller);
    controller.signal.addEventListener("abort", end, { once: true });
    const given = request.signal;
    const abort = () => controller.abort(given.reason);
    given.addEventListener("abort", abort, { once: true });
    if (given.aborted) abort();
    try {
      const response = await fetch(request, { signal: controller.signal });
      if (response.body === null) end();
      return response.body === null ? response : new Response(watchEnd(response.body, end), response);
    } catch (error) {
      end();
      throw error;
    }
  }
  return (input, init) => {
    const isStream = STREAM_TYPE.test(new Headers(init?.headers).get("content-type") ?? "");
    return isStream ? openStream(new Request(input, init)) : fetch(input, init);
  };
}

function tooManyStreams(origin: string): ConnectError {
  return new ConnectError(
    `${MAX_STREAMS_WITHOUT_TLS} streams to ${origin} are open, and over http: a browser has no connection for more: ` +
      "read several channels with one subscription, or serve the bus over https:",
    Code.FailedPrecondition,
  );
}

/** The same bytes, taken when they are asked for; `onEnd` is called once there will be no more. */
function watchEnd(body: ReadableStream<Uint8Array<ArrayBuffer>>, onEnd: () => void) {
  const reader = body.getReader();
  return new ReadableStream<Uint8Array<ArrayBuffer>>(
    {
      async pull(controller) {
        try {
          const { done, value } = await reader.read();
          if (!done) return controller.enqueue(value);
          onEnd();
          controller.close();
        } catch (error) {
          onEnd();
          throw error;
        }
      },
      cancel(reason) {
        onEnd();
        return reader.cancel(reason);
      },
    },
    { highWaterMark: 0 },
  );
}
