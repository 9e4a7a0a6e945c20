import assert from "node:assert/strict";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { SubscribeResponseSchema } from "../../gen/agentbus/v1/bus_service_pb.ts";
import { MessageSchema } from "../../gen/agentbus/v1/message_pb.ts";
import { drawEnvelope } from "../../test/support/envelopes.ts";
import { createSeededRandom } from "../../test/support/seeded-random.ts";
import { DEFAULT_LIMITS } from "../core/bus-options.ts";
import { channelName } from "../core/names.ts";
import { SEAL_BYTES } from "./encode-message.ts";
import { createMessageCodec } from "./message-codec.ts";

const name = channelName("science", "explore");
const codec = createMessageCodec(DEFAULT_LIMITS);
const scan = codec.scan;
const stamp = { name, sender: "alice@example.org", newId: () => "01890000-0000-7000-8000-000000000000" };
const entryOf = (body: Uint8Array, part: object = {}) => ({
  sequence: 1,
  epoch: 1,
  acceptedAtMs: 0,
  expiresAtMs: 0,
  id: "",
  sender: "",
  audience: null,
  body,
  ...part,
});

describe("a message in the store", () => {
  it("S3-FR-003: is what toBinary of the expected message decodes to, for any message, sequence, epoch and time", () => {
    const batch = fc.record({
      seeds: fc.array(fc.integer(), { minLength: 1, maxLength: 5 }),
      hops: fc.constantFrom(0, 1, 127, 128, 5_000),
      sequence: fc
        .oneof(fc.maxSafeNat(), fc.constantFrom(1, 127, 128, 2 ** 28, 2 ** 35 - 10))
        .map((n) => Math.max(n - 10, 1)),
      epoch: fc.integer({ min: 1, max: 0xffff_ffff }),
      acceptedAtMs: fc.nat({ max: 253_402_300_799_999 }),
    });
    fc.assert(
      fc.property(batch, ({ seeds, hops, sequence, epoch, acceptedAtMs }) => {
        const messages = seeds.map((seed) => drawEnvelope(createSeededRandom(seed)));
        const drafts = messages.map((message) => scan(toBinary(MessageSchema, message)));
        const encoded = codec.encode(
          drafts,
          messages.map(() => hops),
          stamp,
        );
        const sealed = codec.seal(
          encoded.map(({ body }, i) => entryOf(body, { sequence: sequence + i, epoch, acceptedAtMs })),
        );
        const read = fromBinary(SubscribeResponseSchema, Uint8Array.from(Buffer.concat(sealed))).messages;
        const expected = messages.map((message, i) =>
          create(MessageSchema, {
            ...message,
            id: message.id || stamp.newId(),
            type: message.type || 1,
            room: name.room,
            channel: name.channel,
            sender: stamp.sender,
            sequence: BigInt(sequence + i),
            epoch,
            acceptTime: timestampFromMs(acceptedAtMs),
            hopCount: hops,
          }),
        );
        assert.deepEqual(
          read,
          expected.map((message) => fromBinary(MessageSchema, toBinary(MessageSchema, message))),
        );
        assert.deepEqual(
          encoded.map(({ id }) => id),
          expected.map(({ id }) => id),
        );
        for (const [i, one] of sealed.entries()) assert.ok(one.length <= encoded[i]!.body.length + SEAL_BYTES + 8);
      }),
    );
  });

  it("keeps the client's bytes, also of fields that this server does not know", () => {
    const unknown = Buffer.from([0xaa, 0x01, 0x01, 0x78]); // field 21
    const bytes = Buffer.concat([toBinary(MessageSchema, create(MessageSchema, { id: "a", type: 1 })), unknown]);
    const { body } = codec.encode([scan(bytes)], [0], stamp)[0]!;
    assert.ok(Buffer.from(body).subarray(0, bytes.length).equals(bytes));
    assert.deepEqual(
      fromBinary(MessageSchema, body).$unknown?.map(({ no }) => no),
      [21],
    );
  });

  it("is not overwritten by those that come after it", () => {
    const draft = scan(
      toBinary(MessageSchema, create(MessageSchema, { payload: { case: "text", value: "x".repeat(900) } })),
    );
    const bodies = Array.from({ length: 1_000 }, (_, i) => codec.encode([draft], [i], stamp)[0]!.body);
    const sealed = codec.seal(bodies.map((body, i) => entryOf(body, { sequence: i + 1 })));
    for (let i = 0; i < 1_000; i++) {
      const [message] = fromBinary(SubscribeResponseSchema, sealed[i]!).messages;
      assert.deepEqual([message?.hopCount, message?.sequence], [i, BigInt(i + 1)]);
    }
  });

  it("is refused when it is too large with what the server adds, and the error names it", () => {
    const drafts = [10, 500].map((size) =>
      scan(toBinary(MessageSchema, create(MessageSchema, { payload: { case: "text", value: "x".repeat(size) } }))),
    );
    const narrow = createMessageCodec({ ...DEFAULT_LIMITS, messageBytes: 550 });
    expect(() => narrow.encode(drafts, [0, 0], stamp)).toThrow(
      expect.objectContaining({ reason: "MESSAGE_TOO_LARGE", details: { index: 1 } }),
    );
  });
});
