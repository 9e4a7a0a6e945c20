import assert from "node:assert/strict";
import { create, fromBinary, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import { describe, it } from "vitest";
import { EndReason, GapCause, SubscribeResponseSchema } from "../../gen/agentbus/v1/bus_service_pb.ts";
import { DEFAULT_LIMITS } from "../core/bus-options.ts";
import { type Delivery, FRAME_HEADER_BYTES } from "../core/message-codec.ts";
import { channelName, inboxOf } from "../core/names.ts";
import { createMessageCodec } from "./message-codec.ts";

const codec = createMessageCodec(DEFAULT_LIMITS);
const body = Buffer.from([0x12, 0x01, 0x61]); // id "a"
const entry = {
  sequence: 3,
  epoch: 9,
  acceptedAtMs: 1_500,
  expiresAtMs: 0,
  id: "a",
  sender: "s",
  audience: null,
  body,
};

describe("a frame", () => {
  it.each<[string, Delivery, MessageInitShape<typeof SubscribeResponseSchema>]>([
    ["nothing", {}, {}],
    [
      "messages and positions",
      { sealed: codec.seal([entry]), positions: ["a:b@00000009.3", "_inbox:bob@00000009.1"] },
      {
        messages: [{ id: "a", sequence: 3n, epoch: 9, acceptTime: { seconds: 1n, nanos: 500_000_000 } }],
        positions: ["a:b@00000009.3", "_inbox:bob@00000009.1"],
      },
    ],
    [
      "gaps",
      {
        gaps: [
          { name: channelName("a", "b"), first: 1, last: 2 ** 40, cause: "RETENTION" },
          { name: inboxOf("bob"), first: 5, last: 0, cause: "NEW_EPOCH" },
          { name: channelName("a", "b"), first: 7, last: 8, cause: "DAMAGED" },
        ],
      },
      {
        gaps: [
          { room: "a", channel: "b", firstSequence: 1n, lastSequence: 2n ** 40n, cause: GapCause.RETENTION },
          { room: "_inbox", channel: "bob", firstSequence: 5n, lastSequence: 0n, cause: GapCause.NEW_EPOCH },
          { room: "a", channel: "b", firstSequence: 7n, lastSequence: 8n, cause: GapCause.DAMAGED },
        ],
      },
    ],
    [
      "the opening",
      { opened: { nodeId: "n", agentId: "bob", heartbeatMs: 15_250 }, caughtUp: true, serverTimeMs: 1_700_000_000_123 },
      {
        opened: { nodeId: "n", agentId: "bob", heartbeatInterval: { seconds: 15n, nanos: 250_000_000 } },
        caughtUp: true,
        serverTime: { seconds: 1_700_000_000n, nanos: 123_000_000 },
      },
    ],
    ["not caught up", { caughtUp: false }, {}],
    ["the leaving of the node", { goAwayMs: 10_000 }, { goAway: { graceDuration: { seconds: 10n } } }],
    ["its leaving at once", { goAwayMs: 0 }, { goAway: { graceDuration: {} } }],
    [
      "the end",
      { end: { reason: "CHANNEL_DELETED", message: "gone 🙂", channel: "a:b" } },
      { end: { reason: EndReason.CHANNEL_DELETED, message: "gone 🙂", channel: "a:b" } },
    ],
    [
      "a plain end",
      { end: { reason: "TAKEN_OVER", message: "", channel: "" } },
      { end: { reason: EndReason.TAKEN_OVER } },
    ],
  ])("of %s is what toBinary of it decodes to", (_, delivery, expected) => {
    const frame = Buffer.from(codec.frame(delivery));
    assert.equal(frame[0], 0);
    assert.equal(frame.readUInt32BE(1), frame.length - FRAME_HEADER_BYTES);
    const decoded = fromBinary(SubscribeResponseSchema, frame.subarray(FRAME_HEADER_BYTES));
    const message = create(SubscribeResponseSchema, expected);
    assert.deepEqual(decoded, fromBinary(SubscribeResponseSchema, toBinary(SubscribeResponseSchema, message)));
  });

  it.each(["TAKEN_OVER", "CHANNEL_DELETED", "AGENT_GONE", "UNSUBSCRIBED"] as const)("ends for %s", (reason) => {
    const frame = codec.frame({ end: { reason, message: "", channel: "" } });
    const { end } = fromBinary(SubscribeResponseSchema, frame.subarray(FRAME_HEADER_BYTES));
    assert.equal(end?.reason, EndReason[reason]);
  });
});
