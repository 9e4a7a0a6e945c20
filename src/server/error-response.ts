import type { IncomingMessage, OutgoingHttpHeaders, ServerResponse } from "node:http";
import type { Http2ServerRequest, Http2ServerResponse } from "node:http2";
import { type Code, ConnectError } from "@connectrpc/connect";
import { codeToHttpStatus, errorToJson } from "@connectrpc/connect/protocol-connect";
import { setTrailerStatus } from "@connectrpc/connect/protocol-grpc";
import { ErrorInfoSchema } from "../../gen/google/rpc/error_details_pb.ts";
import { type BusError, CODES } from "../core/errors.ts";

export type AnyRequest = IncomingMessage | Http2ServerRequest;
export type AnyResponse = ServerResponse | Http2ServerResponse;

/** What a response carries beside the error itself. */
export interface ErrorExtras {
  readonly headers?: OutgoingHttpHeaders;
  /** Unset: the one that Connect gives the error's code. */
  readonly httpStatus?: number;
}

/**
 * Answers a request that gets no further than the listener, in the form its protocol reads: a status in the headers for
 * gRPC and gRPC-Web, JSON with the HTTP status for Connect and everyone else.
 */
export function respondError(
  request: AnyRequest,
  response: AnyResponse,
  error: BusError,
  extras: ErrorExtras = {},
): void {
  const { headers = {} } = extras;
  const connectError = toConnectError(error);
  const contentType = request.headers["content-type"] ?? "";
  if (/^application\/grpc(?:-web)?(?:-text)?(?:\+|;|$)/i.test(contentType)) {
    const status = setTrailerStatus(new Headers(), connectError);
    respond(response, 200, { ...headers, "content-type": contentType, ...Object.fromEntries(status) }, "");
  } else {
    const httpStatus = extras.httpStatus ?? codeToHttpStatus(connectError.code);
    respondJson(response, httpStatus, errorToJson(connectError, undefined), headers);
  }
}

export function respondJson(
  response: AnyResponse,
  status: number,
  body: unknown,
  extra: OutgoingHttpHeaders = {},
): void {
  respond(response, status, { ...extra, "content-type": "application/json" }, `${JSON.stringify(body)}\n`);
}

export function respond(response: AnyResponse, status: number, headers: OutgoingHttpHeaders, body: string): void {
  // The two classes agree on these calls, but not their types.
  const http1 = response as ServerResponse;
  const all = { ...headers, "content-length": Buffer.byteLength(body), "cache-control": "no-store" };
  http1.statusCode = status;
  for (const [name, value] of Object.entries(all)) http1.setHeader(name, value as string);
  // No writeHead before, and no body: then HTTP/2 sends a single frame that ends the stream. A gRPC client finds the status
  // of a call in its first headers only if they are the last.
  if (body === "" || http1.req.method === "HEAD") http1.end();
  else http1.end(body);
}

function toConnectError(error: BusError): ConnectError {
  const info = {
    desc: ErrorInfoSchema,
    value: { reason: error.reason, domain: "agentbus", metadata: { retry: error.retry } },
  };
  return new ConnectError(error.message, CODES[error.code] as Code, undefined, [info]);
}
