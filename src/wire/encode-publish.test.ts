import assert from "node:assert/strict";
import { create, toBinary } from "@bufbuild/protobuf";
import fc from "fast-check";
import { describe, it } from "vitest";
import {
  ConnectResponseSchema,
  PublishResponseSchema,
  PublishStreamResponseSchema,
} from "../../gen/agentbus/v1/bus_service_pb.ts";
import { Durability } from "../../gen/agentbus/v1/room_pb.ts";
import { DURABILITIES } from "../core/room.ts";
import { answerHead, encodeAnswer, encodePublishResponse } from "./encode-publish.ts";

const ascii = (maxLength: number) =>
  fc.string({
    unit: fc.integer({ min: 0x21, max: 0x7e }).map((code) => String.fromCharCode(code)),
    minLength: 1,
    maxLength,
  });
const result = fc.record({
  id: ascii(128),
  position: ascii(320),
  duplicate: fc.boolean(),
  audience: fc.option(fc.array(ascii(128), { minLength: 1, maxLength: 150 })),
});

describe("a publish's answer", () => {
  it("equals toBinary, byte for byte", () => {
    const outcome = fc.record({
      results: fc.array(result, { minLength: 1, maxLength: 20 }),
      durability: fc.constantFrom(...DURABILITIES),
      requestId: fc.constantFrom(0, 1, 127, 128, 2 ** 31, 2 ** 32 - 1),
    });
    fc.assert(
      fc.property(outcome, ({ results, durability, requestId }) => {
        const published = create(PublishResponseSchema, {
          results: results.map(({ audience, ...rest }) => ({
            ...rest,
            ...(audience && { audience: { count: audience.length, agents: audience.slice(0, 100) } }),
          })),
          durability: Durability[durability],
        });
        const encoded = encodePublishResponse(results, durability);
        assert.deepEqual(encoded, Buffer.from(toBinary(PublishResponseSchema, published)));

        const onStream = create(PublishStreamResponseSchema, {
          requestId,
          result: { case: "published", value: published },
        });
        assert.deepEqual(
          encodeAnswer(requestId, 2, encoded),
          Buffer.from(toBinary(PublishStreamResponseSchema, onStream)),
        );
        const onLine = create(ConnectResponseSchema, { requestId, response: { case: "published", value: published } });
        const line = Buffer.concat([answerHead(requestId, 3, encoded.length), encoded]);
        assert.deepEqual(line, Buffer.from(toBinary(ConnectResponseSchema, onLine)));
      }),
    );
  });
});
