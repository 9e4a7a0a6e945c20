import assert from "node:assert/strict";
import { fromBinary } from "@bufbuild/protobuf";
import { Code } from "@connectrpc/connect";
import { codeToHttpStatus, errorFromJsonBytes } from "@connectrpc/connect/protocol-connect";
import { findTrailerError } from "@connectrpc/connect/protocol-grpc";
import { trailerParse } from "@connectrpc/connect/protocol-grpc-web";
import { describe, it } from "vitest";
import { BadRequestSchema, ErrorInfoSchema, RetryInfoSchema } from "../../../gen/google/rpc/error_details_pb.ts";
import { StatusSchema } from "../../../gen/google/rpc/status_pb.ts";
import { BusError, CODES, type CodeName, REASONS, type Reason } from "../../core/errors.ts";
import { FRAME_HEADER_BYTES } from "../../core/message-codec.ts";
import { endingOf, HTTP_STATUS, protocolOf, timeoutOf } from "./protocol.ts";

const error = new BusError("OVERLOADED", 'too much: 100 % of "é🙂"\n', {
  retryDelayMs: 1_500,
  index: 3,
  violations: [{ field: "messages", description: "has 0" }],
});

function trailersOf(of: BusError | undefined): Headers {
  const ending = endingOf("grpc", of);
  assert.equal(ending.kind, "trailers");
  return new Headers(ending.trailers);
}

function frameOf(protocol: "grpc-web" | "connect-stream", of: BusError | undefined, flag: number): Uint8Array {
  const ending = endingOf(protocol, of);
  assert.equal(ending.kind, "frame");
  const frame = Buffer.from(ending.frame);
  assert.deepEqual([frame[0], frame.readUInt32BE(1)], [flag, frame.length - FRAME_HEADER_BYTES]);
  return frame.subarray(FRAME_HEADER_BYTES);
}

// Connect's own parsers read what we write by hand.
describe("the end of a call that failed", () => {
  it("over gRPC is what a client reads as status, message and details", () => {
    const trailers = trailersOf(error);
    const read = findTrailerError(trailers)!;
    assert.deepEqual([read.code, read.rawMessage], [Code.Unavailable, error.message]);
    const [info] = read.findDetails(ErrorInfoSchema);
    assert.deepEqual(
      [info?.reason, info?.domain, info?.metadata],
      ["OVERLOADED", "agentbus", { retry: "SAME", index: "3" }],
    );
    const [retry] = read.findDetails(RetryInfoSchema);
    assert.deepEqual([retry?.retryDelay?.seconds, retry?.retryDelay?.nanos], [1n, 500_000_000]);
    assert.equal(read.findDetails(BadRequestSchema)[0]?.fieldViolations[0]?.field, "messages");
    assert.match(trailers.get("grpc-message")!, /^[\x20-\x7e]*$/);
    const status = fromBinary(StatusSchema, Buffer.from(trailers.get("grpc-status-details-bin")!, "base64"));
    assert.deepEqual([status.code, status.message], [14, error.message]);
  });

  it("over gRPC-Web is the same in a frame", () => {
    const read = findTrailerError(trailerParse(frameOf("grpc-web", error, 0x80)))!;
    assert.deepEqual(
      [read.code, read.rawMessage, read.findDetails(ErrorInfoSchema)[0]?.reason],
      [Code.Unavailable, error.message, "OVERLOADED"],
    );
  });

  it("over Connect is JSON in the last frame", () => {
    const body = JSON.parse(Buffer.from(frameOf("connect-stream", error, 0x02)).toString()) as { error: object };
    const bytes = Buffer.from(JSON.stringify(body.error));
    const read = errorFromJsonBytes(bytes, undefined, new (class extends Error {})() as never);
    assert.deepEqual([read.code, read.rawMessage], [Code.Unavailable, error.message]);
    assert.equal(read.findDetails(ErrorInfoSchema)[0]?.reason, "OVERLOADED");
  });

  it.each(Object.keys(REASONS) as Reason[])("S4-12: %s is told with its code, reason and retry", (reason) => {
    const read = findTrailerError(trailersOf(new BusError(reason, "why")))!;
    const [info] = read.findDetails(ErrorInfoSchema);
    assert.deepEqual(
      [read.code, info?.reason, info?.metadata["retry"]],
      [CODES[REASONS[reason].code], reason, REASONS[reason].retry],
    );
  });
});

describe("the end of a call that went well", () => {
  it("says so", () => {
    assert.deepEqual([...trailersOf(undefined)], [["grpc-status", "0"]]);
    assert.equal(trailerParse(frameOf("grpc-web", undefined, 0x80)).get("grpc-status"), "0");
    assert.equal(Buffer.from(frameOf("connect-stream", undefined, 0x02)).toString(), "{}");
  });
});

describe("HTTP statuses of failed unary calls", () => {
  it.each(Object.entries(HTTP_STATUS) as [CodeName, number][])("%s is %d, as Connect has it", (code, status) => {
    assert.equal(status, codeToHttpStatus(CODES[code] as Code));
  });
});

describe("content types", () => {
  it.each([
    ["application/grpc", "grpc"],
    ["application/grpc+proto", "grpc"],
    ["application/grpc-web+proto", "grpc-web"],
    ["application/connect+proto", "connect-stream"],
    ["application/proto", "connect-unary"],
    ["application/json", undefined],
    ["application/connect+json", undefined],
    ["application/grpc+json", undefined],
    ["application/grpc-web-text", undefined],
    ["toString", undefined],
    [undefined, undefined],
  ])("%s is %s", (type, expected) => {
    assert.equal(protocolOf(type), expected);
  });
});

describe("deadlines", () => {
  it.each<[string | undefined, string | undefined, number | null | undefined]>([
    [undefined, undefined, undefined],
    ["5S", undefined, 5_000],
    ["100m", undefined, 100],
    ["2M", undefined, 120_000],
    ["1H", undefined, 3_600_000],
    ["5000u", undefined, 5],
    ["99999999n", undefined, 99.999999],
    ["1S", "9", 1_000],
    [undefined, "250", 250],
    ["", undefined, null],
    ["5", undefined, null],
    ["-1S", undefined, null],
    ["123456789S", undefined, null],
    [undefined, "1.5", null],
    [undefined, "12345678901", null],
  ])("grpc-timeout %j and connect-timeout-ms %j are %s ms", (grpc, connect, expected) => {
    const ms = timeoutOf(grpc, connect);
    if (typeof expected === "number") assert.ok(Math.abs(ms! - expected) < 1e-6, `${ms}`);
    else assert.equal(ms, expected);
  });
});
