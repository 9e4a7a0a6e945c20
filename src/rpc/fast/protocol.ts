import { create, toBinary } from "@bufbuild/protobuf";
import { StatusSchema } from "../../../gen/google/rpc/status_pb.ts";
import { type BusError, CODES, type CodeName } from "../../core/errors.ts";
import { frameOf } from "../../wire/frames.ts";
import { errorDetails } from "../errors/error-status.ts";

/** The three protocols in binary. They share the frames; they differ in how a call ends. */
export type ProtocolName = "grpc" | "grpc-web" | "connect-stream" | "connect-unary";

/** A Map, since the client chooses what is looked up: an object would know "constructor", too. */
const BY_CONTENT_TYPE: ReadonlyMap<string | undefined, ProtocolName> = new Map([
  ["application/grpc", "grpc"],
  ["application/grpc+proto", "grpc"],
  ["application/grpc-web", "grpc-web"],
  ["application/grpc-web+proto", "grpc-web"],
  ["application/connect+proto", "connect-stream"],
  ["application/proto", "connect-unary"],
]);

const GRPC_WEB_TRAILER = 0x80;
const CONNECT_END = 0x02;

/** Undefined: JSON, or something that this path does not speak. */
export function protocolOf(contentType: string | undefined): ProtocolName | undefined {
  return BY_CONTENT_TYPE.get(contentType);
}

/** What goes at the end: headers of their own for gRPC, a last frame for the others. */
export type Ending =
  | { readonly kind: "trailers"; readonly trailers: Record<string, string> }
  | { readonly kind: "frame"; readonly frame: Uint8Array };

export function endingOf(protocol: ProtocolName, error: BusError | undefined): Ending {
  if (protocol === "connect-stream") {
    const body = error === undefined ? {} : { error: connectErrorJson(error) };
    return { kind: "frame", frame: frameOf(Buffer.from(JSON.stringify(body)), CONNECT_END) };
  }
  const trailers = grpcTrailers(error);
  if (protocol === "grpc") return { kind: "trailers", trailers };
  const text = Object.entries(trailers)
    .map(([name, value]) => `${name}: ${value}\r\n`)
    .join("");
  return { kind: "frame", frame: frameOf(Buffer.from(text), GRPC_WEB_TRAILER) };
}

function grpcTrailers(error: BusError | undefined): Record<string, string> {
  if (error === undefined) return { "grpc-status": "0" };
  const code = CODES[error.code];
  const status = create(StatusSchema, { code, message: error.message, details: errorDetails(error) });
  return {
    "grpc-status": String(code),
    "grpc-message": percentEncode(error.message),
    "grpc-status-details-bin": Buffer.from(toBinary(StatusSchema, status)).toString("base64").replace(/=+$/, ""),
  };
}

/** The grpc-message header allows printable ASCII; everything else, and "%", is percent-encoded UTF-8. */
function percentEncode(text: string): string {
  let encoded = "";
  for (const byte of Buffer.from(text)) {
    const plain = byte >= 0x20 && byte <= 0x7e && byte !== 0x25;
    encoded += plain ? String.fromCharCode(byte) : `%${byte.toString(16).toUpperCase().padStart(2, "0")}`;
  }
  return encoded;
}

/** An error as Connect has it: the body of a failed unary call, or within the end of a stream. */
export function connectErrorJson(error: BusError): object {
  return {
    code: error.code === "CANCELLED" ? "canceled" : error.code.toLowerCase(),
    message: error.message,
    details: errorDetails(error).map(({ typeUrl, value }) => ({
      type: typeUrl.slice(typeUrl.lastIndexOf("/") + 1),
      value: Buffer.from(value).toString("base64").replace(/=+$/, ""),
    })),
  };
}

/** HTTP statuses of failed unary Connect calls, as its specification has them. */
export const HTTP_STATUS: Readonly<Record<CodeName, number>> = {
  CANCELLED: 499,
  UNKNOWN: 500,
  INVALID_ARGUMENT: 400,
  DEADLINE_EXCEEDED: 504,
  NOT_FOUND: 404,
  ALREADY_EXISTS: 409,
  PERMISSION_DENIED: 403,
  RESOURCE_EXHAUSTED: 429,
  FAILED_PRECONDITION: 400,
  ABORTED: 409,
  OUT_OF_RANGE: 400,
  UNIMPLEMENTED: 501,
  INTERNAL: 500,
  UNAVAILABLE: 503,
  DATA_LOSS: 500,
  UNAUTHENTICATED: 401,
};

const GRPC_UNIT_MS: Readonly<Record<string, number>> = { H: 3_600_000, M: 60_000, S: 1_000, m: 1, u: 1e-3, n: 1e-6 };

/** The call's deadline in milliseconds from now; undefined: none was sent, null: it is malformed. */
export function timeoutOf(
  grpcTimeout: string | undefined,
  connectTimeout: string | undefined,
): number | null | undefined {
  if (grpcTimeout !== undefined) {
    const parts = /^(\d{1,8})([HMSmun])$/.exec(grpcTimeout);
    return parts === null ? null : Number(parts[1]) * GRPC_UNIT_MS[parts[2]!]!;
  }
  if (connectTimeout === undefined) return undefined;
  return /^\d{1,10}$/.test(connectTimeout) ? Number(connectTimeout) : null;
}
