import assert from "node:assert/strict";
import { create } from "@bufbuild/protobuf";
import { describe, it } from "vitest";
import { AgentKind, AgentSchema, AgentState } from "../../../gen/agentbus/v1/agent_pb.ts";
import { MessageSchema, MessageType } from "../../../gen/agentbus/v1/message_pb.ts";
import { ChannelSchema, Durability, RoutingStrategy } from "../../../gen/agentbus/v1/room_pb.ts";
import { contractJson, enumName } from "./contract-json.ts";

describe("contract JSON", () => {
  it("knows every word of the contract's enums, in the contract's order", () => {
    const enums = { kind: AgentKind, state: AgentState, type: MessageType, durability: Durability };
    for (const [field, values] of Object.entries({ ...enums, strategy: RoutingStrategy })) {
      for (const [name, number] of Object.entries(values)) {
        assert.equal(enumName(field, number), number === 0 ? undefined : name.toLowerCase(), `${field} ${name}`);
      }
    }
    assert.equal(contractJson(create(AgentSchema, { kind: 99 as AgentKind }))["kind"], 99, "of a newer server");
  });

  it("leaves out what is unset and keeps what is a number or a boolean", () => {
    assert.deepEqual(contractJson(create(AgentSchema, { agentId: "a" })), {
      agentId: "a",
      implicit: false,
      revision: 0,
    });
  });

  it("writes instants, durations, bytes and large numbers as JSON can hold them", () => {
    const config = { dedupWindow: { seconds: 90n, nanos: 500_000_000 }, retention: { maxBytes: 1n << 40n } };
    const json = contractJson(create(ChannelSchema, { config, createTime: { seconds: 0n, nanos: 5_000_000 } }));
    assert.equal(json["createTime"], "1970-01-01T00:00:00.005Z");
    const written = json["config"] as Record<string, Record<string, unknown>>;
    assert.equal(written["dedupWindow"], "90.5s");
    assert.equal(written["retention"]?.["maxBytes"], 2 ** 40);
    const data = create(MessageSchema, { payload: { case: "data", value: Uint8Array.of(1, 2, 3) } });
    assert.equal(contractJson(data)["data"], "AQID");
  });

  it("shows which payload was sent, also an empty one, and does not mistake metadata for it", () => {
    const message = create(MessageSchema, {
      payload: { case: "text", value: "" },
      metadata: { case: "x", value: "y" },
    });
    const json = contractJson(message);
    assert.equal(json["text"], "");
    assert.deepEqual(json["metadata"], { case: "x", value: "y" });
    assert.ok(!("text" in contractJson(create(MessageSchema))));
  });
});
