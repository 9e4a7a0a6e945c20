import assert from "node:assert/strict";
import { create, toBinary } from "@bufbuild/protobuf";
import { describe, expect, it } from "vitest";
import {
  ConnectRequestSchema,
  PublishRequestSchema,
  PublishStreamRequestSchema,
} from "../../gen/agentbus/v1/bus_service_pb.ts";
import { MessageSchema } from "../../gen/agentbus/v1/message_pb.ts";
import { scanConnectPublish, scanPublish, scanStreamPublish } from "./scan-publish.ts";

const messages = ["one", "two"].map((value) => create(MessageSchema, { payload: { case: "text", value } }));
const publish = create(PublishRequestSchema, { agentId: "alice", room: "science", channel: "explore", messages });
const scanned = {
  agentId: "alice",
  room: "science",
  channel: "explore",
  messages: messages.map((message) => Buffer.from(toBinary(MessageSchema, message))),
};
const bytes = Buffer.from(toBinary(PublishRequestSchema, publish));
const unknown = Buffer.from([0x9a, 0x06, 0x01, 0x78]); // field 99

describe("requests to publish", () => {
  it("are read without decoding their messages, and what a newer client adds is passed over", () => {
    assert.deepEqual(scanPublish(bytes), scanned);
    assert.deepEqual(scanPublish(Buffer.concat([unknown, bytes])), scanned);
    assert.deepEqual(scanPublish(Buffer.alloc(0)), { agentId: "", room: "", channel: "", messages: [] });
  });

  it("on a stream have an id, and are merged when they come in two parts", () => {
    const frame = Buffer.from(
      toBinary(PublishStreamRequestSchema, create(PublishStreamRequestSchema, { requestId: 2 ** 32 - 1, publish })),
    );
    assert.deepEqual(scanStreamPublish(frame), { requestId: 2 ** 32 - 1, publish: scanned });
    const twice = scanStreamPublish(Buffer.concat([frame, frame]));
    assert.equal(twice.publish?.messages.length, 4);
    assert.deepEqual(scanStreamPublish(Buffer.from([0x08, 0x01])), { requestId: 1, publish: undefined });
  });

  it("on a line are told from everything else", () => {
    const frame = (request: Parameters<typeof create<typeof ConnectRequestSchema>>[1]) =>
      Buffer.from(toBinary(ConnectRequestSchema, create(ConnectRequestSchema, request)));
    assert.deepEqual(scanConnectPublish(frame({ requestId: 7, request: { case: "publish", value: publish } })), {
      requestId: 7,
      publish: scanned,
    });
    assert.equal(
      scanConnectPublish(frame({ requestId: 7, request: { case: "credit", value: { bytes: 1 } } })),
      undefined,
    );
    assert.equal(scanConnectPublish(frame({ requestId: 7 })), undefined);
    const both = Buffer.concat([
      frame({ request: { case: "publish", value: publish } }),
      frame({ request: { case: "hello", value: {} } }),
    ]);
    assert.equal(scanConnectPublish(both), undefined, "the last of a oneof counts: left to the decoder");
  });

  it("S3-E.4: are refused when their bytes are not what they say", () => {
    for (let end = 1; end < bytes.length; end++) {
      let read: ReturnType<typeof scanPublish> | undefined;
      try {
        read = scanPublish(bytes.subarray(0, end));
      } catch (error) {
        assert.equal((error as { reason?: string }).reason, "MALFORMED_REQUEST");
      }
      assert.ok(read === undefined || read.messages.length < 2);
    }
    expect(() => scanPublish(Buffer.from([0x20, 0x01]))).toThrow(
      expect.objectContaining({ reason: "MALFORMED_REQUEST" }),
    );
  });
});
