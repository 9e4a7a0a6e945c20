import { createServer as createHttp1Server, type IncomingMessage, type ServerResponse } from "node:http";
import {
  constants,
  createServer as createHttp2Server,
  type Http2ServerRequest,
  type Http2ServerResponse,
  type IncomingHttpHeaders,
  type ServerHttp2Stream,
} from "node:http2";
import type { AddressInfo } from "node:net";
import { BusError } from "../core/errors.ts";
import type { Logger } from "../core/logger.ts";
import type { Meters } from "../core/meters.ts";
import { Calls } from "./calls.ts";
import { Connections } from "./connections.ts";
import { runDrain } from "./drain.ts";
import type { Endpoints } from "./endpoints.ts";
import { type AnyRequest, type AnyResponse, respondError } from "./error-response.ts";
import { createGuard, type GuardOptions } from "./guard.ts";
import type { HealthState } from "./health-state.ts";
import { createOnePort } from "./one-port.ts";
import { http2Options, trackSessions } from "./sessions.ts";
import type { TlsMaterial } from "./tls-material.ts";

/** Every field without `?` is the caller's decision; the configuration documents and defaults those that are numbers. */
export interface ServerOptions extends GuardOptions {
  readonly host: string;
  /** 0: a free one. */
  readonly port: number;
  /** Unset: plain text. */
  readonly tls?: TlsMaterial;
  readonly maxConnections: number;
  readonly maxStreamsPerConnection: number;
  readonly headersTimeoutMs: number;
  readonly requestTimeoutMs: number;
  readonly keepAliveTimeoutMs: number;
  readonly prefaceTimeoutMs: number;
  readonly pingIntervalMs: number;
  readonly pingTimeoutMs: number;

  /** The plain HTTP paths; they come after the two fast paths and before `onRequest`. */
  readonly endpoints: Endpoints;
  /**
   * Is offered each HTTP/2 stream first, once its Host and Origin are found allowed. True: the stream is the callee's, and
   * nothing else touches it. Calls of pages of other origins are not offered: their responses need headers for the browser.
   */
  readonly onHttp2Stream?: (
    stream: ServerHttp2Stream,
    headers: IncomingHttpHeaders,
    rawHeaders: readonly string[],
  ) => boolean;
  /** The same for HTTP/1.1. */
  readonly onHttp1?: (request: IncomingMessage, response: ServerResponse) => boolean;
  /** Gets what nobody else took, such as connect-node's adapter. */
  readonly onRequest: (
    request: Http2ServerRequest & IncomingMessage,
    response: Http2ServerResponse & ServerResponse,
  ) => void;

  readonly health: HealthState;
  /** Told when a drain begins: ask streams to go away, refuse new ones. */
  readonly onDrain?: () => void;
  /** Told when the grace is over: end every stream with the error. */
  readonly onAbort?: (error: BusError) => void;
  readonly meters: Meters;
  readonly log: Logger;
}

export interface ServerAddress {
  readonly host: string;
  readonly port: number;
  /** "http://127.0.0.1:7400", or https. A wildcard host is shown as a loopback one: it is meant to be called. */
  readonly url: string;
}

export interface Server {
  /** Resolves once connections are accepted. Rejects when the address is taken, not allowed or not there. */
  listen(): Promise<ServerAddress>;
  /** Undefined unless it listens. */
  readonly address: ServerAddress | undefined;
  /** Open TCP connections. */
  readonly connections: number;
  /** Calls that run. */
  readonly calls: number;
  /**
   * Leaves in good order: calls may go on for `graceMs`, then streams are ended and connections closed; 2 s later what is
   * still open is cut. Calling it again joins the first.
   */
  drain(graceMs: number): Promise<void>;
  /** Cuts everything at once. */
  close(): Promise<void>;
}

export function createServer(options: ServerOptions): Server {
  const { endpoints, onHttp2Stream, onHttp1, onRequest, health, meters, log } = options;
  const guard = createGuard(options);
  const calls = new Calls();
  let address: ServerAddress | undefined;
  let draining: Promise<void> | undefined;
  let listened = false;

  const refusedHost = meters.counter("requests_refused_total", "Requests refused by the guard.", { cause: "host" });
  const refusedOrigin = meters.counter("requests_refused_total", "Requests refused by the guard.", { cause: "origin" });
  const http1Connections = meters.counter("connections_total", "Connections that spoke.", { protocol: "http1" });
  const http2Connections = meters.counter("connections_total", "Connections that spoke.", { protocol: "http2" });
  const dropped = meters.counter("connections_dropped_total", "Connections over server.maxConnections.");
  const unresponsive = meters.counter("connections_unresponsive_total", "Connections cut for not answering a PING.");
  meters.gauge("connections", "Open TCP connections.", () => connections.size);
  meters.gauge("calls_in_flight", "Calls that run, streams included.", () => calls.active);

  const http1 = createHttp1Server({
    headersTimeout: options.headersTimeoutMs,
    requestTimeout: options.requestTimeoutMs,
    keepAliveTimeout: options.keepAliveTimeoutMs,
    // How exactly the first two are kept; Node's 30 s would make 10 s of them 40.
    connectionsCheckingInterval: Math.max(10, Math.min(5_000, options.headersTimeoutMs / 2)),
  });
  // A server that never listens tracks no connections, and so keeps no timeouts.
  http1.emit("listening");
  http1.on("request", (request, response) => {
    calls.opened();
    response.once("close", onHttp1Closed);
    if (draining !== undefined) response.setHeader("connection", "close");
    try {
      handle(request, response);
    } catch (error) {
      log.error({ error, path: request.url }, "a handler threw");
      response.destroy();
    }
  });

  function onHttp1Closed(): void {
    calls.closed();
    // A response that was begun before the drain did not say `connection: close`. It is idle a moment later.
    if (draining !== undefined) setImmediate(() => http1.closeIdleConnections());
  }

  const http2 = createHttp2Server(http2Options(options.maxStreamsPerConnection));
  const sessions = trackSessions(http2, { ...options, onUnresponsive: () => unresponsive.add(1) });
  http2.on("request", handle);
  // Node's listener that makes request and response objects: those are what a fast path saves.
  const [toRequest] = http2.listeners("stream") as [(...event: StreamEvent) => void];
  http2.removeListener("stream", toRequest);
  http2.on("stream", (stream, headers, flags, rawHeaders: string[]) => {
    calls.opened();
    stream.once("close", calls.closed);
    stream.on("error", ignore); // A broken stream closes, and that is what calls look at.
    try {
      if (onHttp2Stream !== undefined) {
        const verdict = guard.check(headers[":method"], headers);
        const mayBeFast = verdict.kind === "allowed" && verdict.corsHeaders === undefined;
        if (mayBeFast && onHttp2Stream(stream, headers, rawHeaders)) return;
      }
      toRequest.call(http2, stream, headers, flags, rawHeaders);
    } catch (error) {
      log.error({ error, path: headers[":path"] }, "a handler threw");
      stream.close(constants.NGHTTP2_INTERNAL_ERROR);
    }
  });

  function handle(request: AnyRequest, response: AnyResponse): void {
    request.on("error", ignore);
    const verdict = guard.check(request.method, request.headers);
    if (verdict.kind === "refused") {
      (verdict.cause === "host" ? refusedHost : refusedOrigin).add(1);
      respondError(request, response, new BusError("ORIGIN_NOT_ALLOWED", verdict.message));
      return;
    }
    if (verdict.kind === "preflight") {
      (response as ServerResponse).writeHead(204, verdict.headers).end();
      return;
    }
    for (const [name, value] of Object.entries(verdict.corsHeaders ?? {})) response.setHeader(name, value as string);
    const mayBeFast = request.httpVersionMajor === 1 && verdict.corsHeaders === undefined;
    if (mayBeFast && onHttp1?.(request as IncomingMessage, response as ServerResponse) === true) return;
    if (endpoints(request, response)) return;
    onRequest(request as Http2ServerRequest & IncomingMessage, response as Http2ServerResponse & ServerResponse);
  }

  const front = createOnePort({
    ...options,
    keepAliveMs: options.pingIntervalMs,
    onHttp1: (socket) => {
      connections.decided(socket);
      http1Connections.add(1);
      http1.emit("connection", socket);
      socket.resume();
    },
    onHttp2: (socket) => {
      connections.decided(socket);
      http2Connections.add(1);
      http2.emit("connection", socket);
    },
  });
  const connections = new Connections(front, options.tls !== undefined);
  front.maxConnections = options.maxConnections;
  front.on("drop", () => dropped.add(1));
  front.on("tlsClientError", (error: Error) => log.debug({ error }, "TLS handshake failed"));

  /** Answers when no connection is left. */
  function stopListening(): Promise<void> {
    address = undefined;
    // It only listens in name, but its timer of timeouts runs until it is closed.
    http1.close();
    if (front.listening) front.close();
    return listened ? connections.closed : Promise.resolve();
  }

  return {
    get address() {
      return address;
    },
    get connections() {
      return connections.size;
    },
    get calls() {
      return calls.active;
    },
    listen() {
      return new Promise((resolve, reject) => {
        front.once("error", reject);
        front.listen({ host: options.host, port: options.port }, () => {
          front.removeListener("error", reject);
          listened = true;
          front.on("error", (error) => log.error({ error }, "the listener failed"));
          address = addressOf(front.address() as AddressInfo, options.tls !== undefined);
          resolve(address);
        });
      });
    },
    drain(graceMs) {
      let ended = connections.closed;
      draining ??= runDrain(
        {
          notServing: () => health.draining(),
          stopAccepting: () => {
            ended = stopListening();
            connections.destroyUndecided();
            http1.closeIdleConnections();
          },
          goAway: () => options.onDrain?.(),
          quiet: () => calls.quiet(),
          abortStreams: () => options.onAbort?.(new BusError("DRAINING", "the node is leaving: connect again")),
          closeConnections: () => {
            for (const session of sessions) session.close();
          },
          closed: () => ended,
          destroyConnections: () => connections.destroyAll(),
        },
        graceMs,
      );
      return draining;
    },
    async close() {
      health.draining();
      const ended = stopListening();
      connections.destroyAll();
      await ended;
    },
  };
}

type StreamEvent = [stream: ServerHttp2Stream, headers: IncomingHttpHeaders, flags: number, rawHeaders: string[]];

function ignore(): void {}

function addressOf({ address, port, family }: AddressInfo, secure: boolean): ServerAddress {
  const callable = address === "0.0.0.0" ? "127.0.0.1" : address === "::" ? "::1" : address;
  const host = family === "IPv6" ? `[${callable}]` : callable;
  return { host: address, port, url: `${secure ? "https" : "http"}://${host}:${port}` };
}
