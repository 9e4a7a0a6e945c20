import { Code, ConnectError } from "@connectrpc/connect";
import type { UniversalHandler, UniversalServerResponse } from "@connectrpc/connect/protocol";
import { type BusError, CODES, type CodeName } from "../../core/errors.ts";
import { FRAME_HEADER_BYTES } from "../../core/message-codec.ts";
import { frameOf } from "../../wire/frames.ts";
import { connectErrorJson, endingOf, HTTP_STATUS } from "../fast/protocol.ts";
import { fromConnectError } from "./error-status.ts";

const GRPC_WEB_TRAILER = 0x80;
const CONNECT_END = 0x02;

/**
 * Connect refuses some calls before any interceptor sees them: bodies that do not parse, deadlines, encodings. This gives
 * those errors a reason of the table, too, whatever the protocol, so that a client can rely on finding one.
 */
export function withReasons(handler: UniversalHandler): UniversalHandler {
  const wrapped = async (request: Parameters<UniversalHandler>[0]): Promise<UniversalServerResponse> => {
    const response = await handler(request);
    const type = response.header?.get("content-type") ?? "";
    if (type.startsWith("application/grpc-web")) return { ...response, body: eachFrame(response, patchGrpcWeb) };
    if (type.startsWith("application/grpc")) return { ...response, body: patchTrailer(response) };
    if (type.startsWith("application/connect+")) return { ...response, body: eachFrame(response, patchConnectEnd) };
    if (response.status >= 400 && type.startsWith("application/json")) return await patchUnary(response);
    return response;
  };
  return Object.assign(wrapped, handler);
}

async function* bodyOf({ body }: UniversalServerResponse): AsyncGenerator<Uint8Array> {
  if (body !== undefined) yield* body as AsyncIterable<Uint8Array>;
}

async function* patchTrailer(response: UniversalServerResponse): AsyncGenerator<Uint8Array> {
  yield* bodyOf(response);
  const { trailer } = response;
  const code = Number(trailer?.get("grpc-status") ?? 0);
  if (trailer === undefined || code === 0 || trailer.has("grpc-status-details-bin")) return;
  const ending = endingOf("grpc", reasoned(code, decodeURIComponent(trailer.get("grpc-message") ?? "")));
  if (ending.kind === "trailers") for (const [name, value] of Object.entries(ending.trailers)) trailer.set(name, value);
}

async function* eachFrame(
  response: UniversalServerResponse,
  patch: (frame: Uint8Array) => Uint8Array,
): AsyncGenerator<Uint8Array> {
  for await (const frame of bodyOf(response)) {
    const last = frame.length >= FRAME_HEADER_BYTES && (frame[0]! & (GRPC_WEB_TRAILER | CONNECT_END)) !== 0;
    yield last ? patch(frame) : frame;
  }
}

function patchGrpcWeb(frame: Uint8Array): Uint8Array {
  const text = Buffer.from(frame.subarray(FRAME_HEADER_BYTES)).toString();
  const fields = new Map(
    text
      .split("\r\n")
      .filter((line) => line !== "")
      .map((line) => [line.slice(0, line.indexOf(":")).toLowerCase(), line.slice(line.indexOf(":") + 1).trim()]),
  );
  const code = Number(fields.get("grpc-status") ?? 0);
  if (code === 0 || fields.has("grpc-status-details-bin")) return frame;
  const ending = endingOf("grpc-web", reasoned(code, decodeURIComponent(fields.get("grpc-message") ?? "")));
  return ending.kind === "frame" ? ending.frame : frame;
}

function patchConnectEnd(frame: Uint8Array): Uint8Array {
  const end = JSON.parse(Buffer.from(frame.subarray(FRAME_HEADER_BYTES)).toString()) as { error?: ConnectJson };
  if (end.error === undefined || (end.error.details?.length ?? 0) > 0) return frame;
  const error = connectErrorJson(reasoned(codeOf(end.error.code), end.error.message ?? ""));
  return frameOf(Buffer.from(JSON.stringify({ ...end, error })), CONNECT_END);
}

async function patchUnary(response: UniversalServerResponse): Promise<UniversalServerResponse> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of bodyOf(response)) chunks.push(chunk);
  const body = Buffer.concat(chunks);
  const json = JSON.parse(body.toString()) as ConnectJson;
  if ((json.details?.length ?? 0) > 0) return { ...response, body: once(body) };
  const error = reasoned(codeOf(json.code), json.message ?? "");
  const patched = Buffer.from(JSON.stringify(connectErrorJson(error)));
  response.header?.set("content-length", String(patched.length));
  return { ...response, status: HTTP_STATUS[error.code], body: once(patched) };
}

async function* once(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes;
}

interface ConnectJson {
  readonly code?: string;
  readonly message?: string;
  readonly details?: readonly unknown[];
}

function codeOf(name: string | undefined): number {
  const upper = name === "canceled" ? "CANCELLED" : (name ?? "unknown").toUpperCase();
  return CODES[upper as CodeName] ?? CODES.UNKNOWN;
}

function reasoned(code: number, message: string): BusError {
  const known = Object.values(Code).includes(code as Code) ? (code as Code) : Code.Unknown;
  return fromConnectError(new ConnectError(message, known));
}
