import assert from "node:assert/strict";
import { toBinary } from "@bufbuild/protobuf";
import fc from "fast-check";
import { describe, it } from "vitest";
import { MessageSchema } from "../../gen/agentbus/v1/message_pb.ts";
import { drawEnvelope } from "../../test/support/envelopes.ts";
import { createSeededRandom } from "../../test/support/seeded-random.ts";
import { DEFAULT_LIMITS } from "../core/bus-options.ts";
import { MESSAGE_TYPES } from "../core/message.ts";
import { channelName } from "../core/names.ts";
import { createMessageCodec } from "./message-codec.ts";

const codec = createMessageCodec(DEFAULT_LIMITS);
const stamp = { name: channelName("a", "b"), sender: "alice", newId: () => "id" };

describe("what filters look at", () => {
  it("S4-2d: is what the message says", () => {
    fc.assert(
      fc.property(fc.integer(), fc.integer({ min: 0, max: 300 }), (seed, hopCount) => {
        const message = drawEnvelope(createSeededRandom(seed));
        const { body } = codec.encode([codec.scan(toBinary(MessageSchema, message))], [hopCount], stamp)[0]!;
        const { metadata, ...facets } = codec.facets(body);
        assert.deepEqual(facets, {
          type: MESSAGE_TYPES[message.type - 1] ?? "MESSAGE",
          name: message.name,
          sessionId: message.sessionId,
          correlationId: message.correlationId,
          priority: message.priority,
          hopCount,
        });
        assert.deepEqual({ ...metadata }, { ...message.metadata });
      }),
    );
  });
});
