import { fromBinary } from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";
import { BadRequestSchema, ErrorInfoSchema, RetryInfoSchema } from "../../gen/google/rpc/error_details_pb.ts";
import { StatusSchema } from "../../gen/google/rpc/status_pb.ts";

/** What a client learns from a failed call, the same for all protocols. */
export interface Failure {
  /** For example "INVALID_ARGUMENT". */
  readonly code: string;
  /** Of ErrorInfo; "" when there is none. */
  readonly reason: string;
  readonly domain: string;
  readonly metadata: Readonly<Record<string, string>>;
  readonly message: string;
  readonly violations: readonly string[];
  readonly hasRetryDelay: boolean;
}

type Detail = { readonly typeName: string; readonly bytes: Uint8Array };

export function failureOf(error: unknown): Failure {
  const failure = ConnectError.from(error);
  const info = failure.findDetails(ErrorInfoSchema)[0];
  const [request] = failure.findDetails(BadRequestSchema);
  return {
    code: codeName(failure.code),
    reason: info?.reason ?? "",
    domain: info?.domain ?? "",
    metadata: info?.metadata ?? {},
    message: failure.rawMessage,
    violations: request?.fieldViolations.map(({ field }) => field) ?? [],
    hasRetryDelay: failure.findDetails(RetryInfoSchema).length > 0,
  };
}

/** The failure of a call that must fail. */
export async function failed(call: Promise<unknown>): Promise<Failure> {
  let answer: unknown;
  try {
    answer = await call;
  } catch (error) {
    return failureOf(error);
  }
  throw new Error(`the call was expected to fail; it answered ${show(answer)}`);
}

/** From the headers or trailers of gRPC. Undefined: the call went well. */
export function failureOfTrailers(trailers: Readonly<Record<string, unknown>>): Failure | undefined {
  const code = Number(trailers["grpc-status"]);
  if (code === 0) return undefined;
  if (!Number.isInteger(code)) throw new Error(`no grpc-status in ${show(trailers)}`);
  const details = trailers["grpc-status-details-bin"];
  const status = typeof details === "string" ? fromBinary(StatusSchema, Buffer.from(details, "base64")) : undefined;
  const message = decodeURIComponent(String(trailers["grpc-message"] ?? ""));
  const unpacked = (status?.details ?? []).map(({ typeUrl, value }) => ({
    typeName: typeUrl.slice(typeUrl.lastIndexOf("/") + 1),
    bytes: value,
  }));
  return assemble(codeName(code), message, unpacked);
}

interface ConnectJson {
  readonly code: string;
  readonly message?: string;
  readonly details?: readonly { readonly type: string; readonly value: string }[];
}

/** From the JSON body of a failed Connect call. */
export function failureOfJson(text: string): Failure {
  const { code, message = "", details = [] } = JSON.parse(text) as ConnectJson;
  const unpacked = details.map(({ type, value }) => ({ typeName: type, bytes: Buffer.from(value, "base64") }));
  return assemble(code === "canceled" ? "CANCELLED" : code.toUpperCase(), message, unpacked);
}

function assemble(code: string, message: string, details: readonly Detail[]): Failure {
  const find = (typeName: string) => details.find((detail) => detail.typeName === typeName)?.bytes;
  const infoBytes = find(ErrorInfoSchema.typeName);
  const info = infoBytes && fromBinary(ErrorInfoSchema, infoBytes);
  const requestBytes = find(BadRequestSchema.typeName);
  return {
    code,
    message,
    reason: info?.reason ?? "",
    domain: info?.domain ?? "",
    metadata: info?.metadata ?? {},
    violations: requestBytes
      ? fromBinary(BadRequestSchema, requestBytes).fieldViolations.map(({ field }) => field)
      : [],
    hasRetryDelay: find(RetryInfoSchema.typeName) !== undefined,
  };
}

/** "INVALID_ARGUMENT" for 3. */
function codeName(code: Code): string {
  const name = Code[code] ?? String(code);
  return name === "Canceled" ? "CANCELLED" : name.replace(/(?<=[a-z])[A-Z]/g, "_$&").toUpperCase();
}

function show(value: unknown): string {
  return JSON.stringify(value, (_key, part) => (typeof part === "bigint" ? String(part) : part))?.slice(0, 500);
}
