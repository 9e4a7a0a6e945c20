import assert from "node:assert/strict";
import { create, toBinary } from "@bufbuild/protobuf";
import { beforeAll, describe, it } from "vitest";
import { PublishRequestSchema, SubscribeRequestSchema } from "../../../gen/agentbus/v1/bus_service_pb.ts";
import type { Failure } from "../../support/failure.ts";
import {
  callHttp1,
  callHttp2,
  connectFailure,
  envelope,
  grpcFailure,
  type RawRequest,
} from "../../support/raw-call.ts";
import { openClients, type WireClients } from "../../support/wire-clients.ts";
import { useBus } from "../shared-bus.ts";
import { assertReason } from "./provoked.ts";
import { STEADY, snapshot } from "./snapshot.ts";

const PUBLISH = "/agentbus.v1.BusService/Publish";
const good = toBinary(
  PublishRequestSchema,
  create(PublishRequestSchema, {
    agentId: "alice",
    room: "lab",
    channel: "notes",
    messages: [{ payload: { case: "text", value: "refused" } }],
  }),
);
const subscribe = toBinary(SubscribeRequestSchema, create(SubscribeRequestSchema, { agentId: "bob" }));
const grpc = { "content-type": "application/grpc+proto", te: "trailers" };
const json = { "content-type": "application/json" };

interface Malformed extends RawRequest {
  readonly title: string;
  readonly reason: string;
}

const MALFORMED = { reason: "MALFORMED_REQUEST" } as const;

/** gRPC requests, sent over HTTP/2. */
const GRPC_REQUESTS: readonly Malformed[] = [
  {
    title: "a frame that is cut off",
    path: PUBLISH,
    body: envelope(good).subarray(0, -3),
    headers: grpc,
    ...MALFORMED,
  },
  { title: "no frame at all", path: PUBLISH, body: "", headers: grpc, ...MALFORMED },
  { title: "half of a frame's head", path: PUBLISH, body: Buffer.alloc(3), headers: grpc, ...MALFORMED },
  {
    title: "two frames where one belongs",
    path: PUBLISH,
    body: Buffer.concat([envelope(good), envelope(good)]),
    headers: grpc,
    ...MALFORMED,
  },
  {
    title: "a compressed frame without an encoding",
    path: PUBLISH,
    body: envelope(good, 1),
    headers: grpc,
    ...MALFORMED,
  },
  {
    title: "a compressed frame without an encoding, of a method off the fast path",
    path: "/agentbus.v1.BusService/Fetch",
    body: envelope(new Uint8Array(), 1),
    headers: grpc,
    ...MALFORMED,
  },
  {
    title: "a compressed frame without an encoding, of a stream off the fast path",
    path: "/agentbus.v1.RoomService/WatchRoom",
    body: envelope(new Uint8Array(), 1),
    headers: grpc,
    ...MALFORMED,
  },
  {
    title: "a frame that says it has 4 GiB",
    path: PUBLISH,
    body: Buffer.from([0, 0xff, 0xff, 0xff, 0xff, 1, 2, 3]),
    headers: grpc,
    reason: "REQUEST_TOO_LARGE",
  },
  {
    title: "a deadline that is none",
    path: PUBLISH,
    body: envelope(good),
    headers: { ...grpc, "grpc-timeout": "soon" },
    ...MALFORMED,
  },
  {
    title: "an unknown method",
    path: "/agentbus.v1.BusService/Shout",
    body: envelope(good),
    headers: grpc,
    reason: "METHOD_NOT_FOUND",
  },
  {
    title: "an unknown service",
    path: "/agentbus.v1.ShoutService/Publish",
    body: envelope(good),
    headers: grpc,
    reason: "METHOD_NOT_FOUND",
  },
  {
    title: "a stream of two Subscribe requests",
    path: "/agentbus.v1.BusService/Subscribe",
    body: Buffer.concat([envelope(subscribe), envelope(subscribe)]),
    headers: grpc,
    ...MALFORMED,
  },
];

/** Requests that HTTP itself refuses, with their status. */
const HTTP_REQUESTS: readonly (RawRequest & { readonly title: string; readonly status: number })[] = [
  { title: "GET of what has side effects", method: "GET", path: PUBLISH, status: 405 },
  { title: "PUT", method: "PUT", path: PUBLISH, headers: json, body: "{}", status: 405 },
  {
    title: "an unknown content type",
    path: PUBLISH,
    headers: { "content-type": "text/csv" },
    body: "a,b",
    status: 415,
  },
  { title: "no content type", path: PUBLISH, body: "{}", status: 415 },
  { title: "a path that is nothing", method: "GET", path: "/nothing/here/at/all", status: 404 },
  { title: "POST to a page", path: "/health", status: 405 },
];

/** What breaks below the messages. */
export function describeTransport(): void {
  const bus = useBus({ args: STEADY });
  let clients: WireClients;

  beforeAll(() => {
    clients = openClients(bus().url);
    return () => clients.close();
  });

  async function untouched(task: () => Promise<void>): Promise<void> {
    const before = await snapshot(bus().url, clients);
    await task();
    assert.deepEqual(await snapshot(bus().url, clients), before, "the request left a trace");
  }

  describe("S3-FR-009: the transport refuses, without a trace,", () => {
    it.each(GRPC_REQUESTS)("gRPC: $title: $reason", (request) =>
      untouched(async () => {
        assertReason(grpcFailure(await callHttp2(bus().url, request)), request.reason);
      }),
    );

    it.each(HTTP_REQUESTS)("HTTP: $title: $status", (request) =>
      untouched(async () => {
        for (const call of [callHttp1, callHttp2]) {
          const { status } = await call(bus().url, request);
          assert.equal(status, request.status);
        }
      }),
    );

    it("Connect: an unknown method: METHOD_NOT_FOUND", () =>
      untouched(async () => {
        const request = { path: "/agentbus.v1.BusService/Shout", headers: json, body: "{}" };
        const failure = connectFailure(await callHttp1(bus().url, request));
        assertReason(failure, "METHOD_NOT_FOUND");
      }));

    it("Connect: a compressed body without saying how", () =>
      untouched(async () => {
        const body = Buffer.from([0x1f, 0x8b, 0x08, 0, 0, 0, 0, 0]);
        const failure = connectFailure(await callHttp1(bus().url, { path: PUBLISH, headers: json, body }));
        assertReason(failure, "MALFORMED_REQUEST");
      }));

    it("gRPC: a compression that the server does not know", () =>
      untouched(async () => {
        const headers = { ...grpc, "grpc-encoding": "zstd" };
        const failure = grpcFailure(await callHttp2(bus().url, { path: PUBLISH, body: envelope(good, 1), headers }));
        assert.equal(failure?.code, "UNIMPLEMENTED", failure?.message);
        assert.match(failure.message, /compression|encoding/i);
      }));

    it("gRPC: a compressed frame that is none: MALFORMED_REQUEST", () =>
      untouched(async () => {
        const headers = { ...grpc, "grpc-encoding": "gzip" };
        const failure = grpcFailure(await callHttp2(bus().url, { path: PUBLISH, body: envelope(good, 1), headers }));
        assertReason(failure, "MALFORMED_REQUEST");
      }));

    it("S1-6b: a Host or an Origin that is not ours: ORIGIN_NOT_ALLOWED", () =>
      untouched(async () => {
        for (const headers of [{ host: "evil.example" }, { origin: "https://evil.example" }]) {
          const request: RawRequest = { path: PUBLISH, headers: { ...json, ...headers }, body: "{}" };
          const overHttp1 = connectFailure(await callHttp1(bus().url, request));
          assertReason(overHttp1, "ORIGIN_NOT_ALLOWED");
        }
        const headers = { ...grpc, origin: "https://evil.example" };
        const overGrpc: Failure | undefined = grpcFailure(
          await callHttp2(bus().url, { path: PUBLISH, headers, body: envelope(good) }),
        );
        assertReason(overGrpc, "ORIGIN_NOT_ALLOWED");
      }));
  });
}
