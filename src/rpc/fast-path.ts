import type { IncomingMessage, ServerResponse } from "node:http";
import type { IncomingHttpHeaders, ServerHttp2Stream } from "node:http2";
import { fastConnect } from "./fast/connect.ts";
import type { FastContext } from "./fast/context.ts";
import { type ProtocolName, protocolOf } from "./fast/protocol.ts";
import { fastPublish } from "./fast/publish.ts";
import { fastPublishStream } from "./fast/publish-stream.ts";
import { type FastMethod, runCall } from "./fast/run-call.ts";
import { Http1Sink, Http2Sink } from "./fast/sink.ts";
import { fastSubscribe } from "./fast/subscribe.ts";

const METHODS: Readonly<Record<string, FastMethod>> = Object.fromEntries(
  [fastPublish, fastPublishStream, fastSubscribe, fastConnect].map((method) => [`/agentbus.v1.${method.name}`, method]),
);
const CLIENT_STREAMS: ReadonlySet<FastMethod> = new Set([fastPublishStream, fastConnect]);

/**
 * Binary, uncompressed calls of the hot methods, taken before connect-node makes objects of them. Everything else (JSON,
 * compression, GET, all other methods) goes the portable way, through connect-node. Why, and what it gains: ADR 0003.
 */
export interface FastPath {
  /** True: the stream is taken. */
  onHttp2Stream(stream: ServerHttp2Stream, headers: IncomingHttpHeaders): boolean;
  onHttp1(request: IncomingMessage, response: ServerResponse): boolean;
}

export function createFastPath(context: FastContext): FastPath {
  return {
    onHttp2Stream(stream, headers) {
      const method = METHODS[headers[":path"] as string];
      if (method === undefined || headers[":method"] !== "POST") return false;
      const protocol = eligible(method, headers);
      if (protocol === undefined) return false;
      runCall(method, protocol, new Http2Sink(stream, headers, {}), context);
      return true;
    },
    onHttp1(request, response) {
      const method = METHODS[request.url ?? ""];
      if (method === undefined || request.method !== "POST" || CLIENT_STREAMS.has(method)) return false;
      const protocol = eligible(method, request.headers);
      if (protocol === undefined || protocol === "grpc") return false;
      runCall(method, protocol, new Http1Sink(request, response, {}), context);
      return true;
    },
  };
}

function eligible(method: FastMethod, headers: IncomingHttpHeaders): ProtocolName | undefined {
  const protocol = protocolOf(headers["content-type"]);
  if (protocol === undefined) return undefined;
  const fits = protocol === "grpc" || protocol === "grpc-web" || (protocol === "connect-unary") === method.unary;
  const encoding =
    headers["grpc-encoding"] ?? headers["connect-content-encoding"] ?? headers["content-encoding"] ?? "identity";
  return fits && encoding === "identity" ? protocol : undefined;
}
