import { once } from "node:events";
import http from "node:http";
import http2 from "node:http2";
import { buffer } from "node:stream/consumers";
import { type Failure, failureOfJson, failureOfTrailers } from "./failure.ts";

/** A request whose bytes the test decides, unlike any client would. */
export interface RawRequest {
  readonly path: string;
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: Uint8Array | string;
}

export interface RawResponse {
  readonly status: number;
  readonly headers: Readonly<Record<string, unknown>>;
  readonly trailers: Readonly<Record<string, unknown>>;
  readonly body: Buffer;
}

export async function callHttp1(url: string, { path, method = "POST", headers = {}, body }: RawRequest) {
  const request = http.request(`${url}${path}`, { method, headers, agent: false });
  request.end(body);
  const [response] = (await once(request, "response")) as [http.IncomingMessage];
  const received = await buffer(response);
  return {
    status: response.statusCode!,
    headers: response.headers,
    trailers: response.trailers,
    body: received,
  } satisfies RawResponse;
}

export async function callHttp2(url: string, { path, method = "POST", headers = {}, body }: RawRequest) {
  const session = http2.connect(url);
  session.on("error", () => {}); // told by the stream
  try {
    const stream = session.request({ ":path": path, ":method": method, ...headers });
    let trailers: http2.IncomingHttpHeaders = {};
    stream.on("trailers", (received: http2.IncomingHttpHeaders) => {
      trailers = received;
    });
    stream.end(body === undefined ? undefined : Buffer.from(body as Uint8Array));
    const [received] = (await once(stream, "response")) as [http2.IncomingHttpHeaders];
    const bytes = await buffer(stream);
    return { status: Number(received[":status"]), headers: received, trailers, body: bytes } satisfies RawResponse;
  } finally {
    session.close();
  }
}

/** One message in the envelope of gRPC and of Connect's streams. */
export function envelope(payload: Uint8Array, flags = 0): Buffer {
  const head = Buffer.alloc(5);
  head[0] = flags;
  head.writeUInt32BE(payload.length, 1);
  return Buffer.concat([head, payload]);
}

/** What a gRPC call failed with; undefined: it went well. */
export function grpcFailure({ headers, trailers }: RawResponse): Failure | undefined {
  return failureOfTrailers("grpc-status" in trailers ? trailers : headers);
}

/** What a unary Connect call failed with; undefined: it went well. */
export function connectFailure({ status, body }: RawResponse): Failure | undefined {
  return status === 200 ? undefined : failureOfJson(body.toString());
}
