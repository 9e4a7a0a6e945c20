import { type DescMethod, fromJson, type JsonValue, toBinary } from "@bufbuild/protobuf";
import { AdminService } from "../../../gen/agentbus/v1/admin_service_pb.ts";
import { AgentService } from "../../../gen/agentbus/v1/agent_service_pb.ts";
import { BusService } from "../../../gen/agentbus/v1/bus_service_pb.ts";
import { RoomService } from "../../../gen/agentbus/v1/room_service_pb.ts";
import { type Failure, failureOfJson, failureOfTrailers } from "../../support/failure.ts";
import {
  callHttp1,
  callHttp2,
  connectFailure,
  envelope,
  grpcFailure,
  type RawResponse,
} from "../../support/raw-call.ts";

/** A way to send one request, and how a failure comes back on it. */
export const WAYS = ["gRPC", "gRPC-Web", "Connect binary", "Connect JSON"] as const;
export type Way = (typeof WAYS)[number];

export interface WayRequest {
  /** "BusService/Publish" */
  readonly rpc: string;
  /** The request, or the text that is sent in place of JSON. */
  readonly json: JsonValue;
  /** What is sent in binary. Unset: `json`, encoded. */
  readonly binary?: Uint8Array;
  readonly headers?: Readonly<Record<string, string>>;
}

const METHODS = new Map<string, DescMethod>(
  [BusService, AgentService, RoomService, AdminService].flatMap((service) =>
    service.methods.map((method) => [`${service.name}/${method.name}`, method] as const),
  ),
);

const END_FLAG = 0x02;
const TRAILER_FLAG = 0x80;

/** Sends a request that takes one message; answers what it failed with, undefined when it went well. */
export async function send(url: string, way: Way, request: WayRequest): Promise<Failure | undefined> {
  const method = METHODS.get(request.rpc);
  if (method === undefined) throw new Error(`there is no ${request.rpc}`);
  const path = `/${method.parent.typeName}/${method.name}`;
  const headers = request.headers ?? {};
  const streams = method.methodKind !== "unary";
  if (way === "Connect JSON") {
    const text = typeof request.json === "string" ? request.json : JSON.stringify(request.json);
    const body = streams ? envelope(Buffer.from(text)) : text;
    const type = streams ? "application/connect+json" : "application/json";
    const response = await callHttp1(url, { path, body, headers: { "content-type": type, ...headers } });
    return streams ? connectEnd(response) : connectFailure(response);
  }
  const binary = request.binary ?? toBinary(method.input, fromJson(method.input, request.json));
  if (way === "Connect binary") {
    const body = streams ? envelope(binary) : binary;
    const type = streams ? "application/connect+proto" : "application/proto";
    const response = await callHttp2(url, { path, body, headers: { "content-type": type, ...headers } });
    return streams ? connectEnd(response) : connectFailure(response);
  }
  const type = way === "gRPC" ? "application/grpc+proto" : "application/grpc-web+proto";
  const raw = { path, body: envelope(binary), headers: { "content-type": type, te: "trailers", ...headers } };
  if (way === "gRPC") return grpcFailure(await callHttp2(url, raw));
  return grpcWebFailure(await callHttp1(url, raw));
}

/** The frames of a response body. */
function* framesOf({ body }: RawResponse): Generator<{ readonly flags: number; readonly payload: Buffer }> {
  for (let at = 0; at + 5 <= body.length; ) {
    const length = body.readUInt32BE(at + 1);
    yield { flags: body[at]!, payload: body.subarray(at + 5, at + 5 + length) };
    at += 5 + length;
  }
}

function connectEnd(response: RawResponse): Failure | undefined {
  if (response.status !== 200) return failureOfJson(response.body.toString());
  const last = [...framesOf(response)].find(({ flags }) => (flags & END_FLAG) !== 0);
  if (last === undefined) throw new Error("the stream has no end");
  const { error } = JSON.parse(last.payload.toString()) as { error?: unknown };
  return error === undefined ? undefined : failureOfJson(JSON.stringify(error));
}

function grpcWebFailure(response: RawResponse): Failure | undefined {
  if ("grpc-status" in response.headers) return failureOfTrailers(response.headers);
  const last = [...framesOf(response)].find(({ flags }) => (flags & TRAILER_FLAG) !== 0);
  if (last === undefined) throw new Error(`no trailers in the body of HTTP ${response.status}`);
  const lines = last.payload.toString().split("\r\n").filter(Boolean);
  return failureOfTrailers(
    Object.fromEntries(
      lines.map((line) => [line.slice(0, line.indexOf(":")), line.slice(line.indexOf(":") + 1).trim()]),
    ),
  );
}
