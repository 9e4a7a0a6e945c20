import assert from "node:assert/strict";
import { create, type DescMessage, type MessageInitShape } from "@bufbuild/protobuf";
import { describe, it } from "vitest";
import { AgentSchema } from "../../../gen/agentbus/v1/agent_pb.ts";
import { SubscribeRequestSchema } from "../../../gen/agentbus/v1/bus_service_pb.ts";
import { BusError } from "../../core/errors.ts";
import { createRequestValidator } from "./validation.ts";

const validator = createRequestValidator([SubscribeRequestSchema, AgentSchema]);

function refusal<Desc extends DescMessage>(schema: Desc, init: MessageInitShape<Desc>): BusError {
  try {
    validator.check(schema, create(schema, init));
  } catch (error) {
    assert.ok(error instanceof BusError);
    return error;
  }
  throw new Error("the request was taken");
}

describe("the rules that stand in the protos", () => {
  it("name the field and what it must be", () => {
    const { reason, details } = refusal(SubscribeRequestSchema, { maxMessages: -1, agentId: "b ob" });
    assert.equal(reason, "INVALID_FIELD");
    assert.deepEqual(details.violations?.map(({ field }) => field).sort(), ["agent_id", "max_messages"]);
    for (const { description } of details.violations ?? []) assert.notEqual(description, "");
  });

  // All of them went into a gRPC trailer, which clients refuse when it is long: they saw a broken stream.
  it("tell of 20 fields at most, and how many more there are", () => {
    const channels = Array.from({ length: 300 }, () => "x".repeat(1_000));
    const { message, details } = refusal(SubscribeRequestSchema, { channels });
    assert.equal(details.violations?.length, 20);
    assert.match(message, /\(and 299 more\)$/);
  });

  it("tell of a field in some hundred characters, however long a key of a map is", () => {
    const { message, details } = refusal(AgentSchema, { agentId: "a", labels: { ["k".repeat(100_000)]: "v" } });
    assert.match(details.violations![0]!.field, /^labels\["k{50}/);
    assert.ok(message.length < 500);
  });
});
