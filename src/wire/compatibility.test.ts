import assert from "node:assert/strict";
import {
  clone,
  create,
  createFileRegistry,
  type DescFile,
  type DescMessage,
  fromBinary,
  toBinary,
} from "@bufbuild/protobuf";
import { reflect } from "@bufbuild/protobuf/reflect";
import {
  type DescriptorProto,
  FieldDescriptorProto_Label,
  FieldDescriptorProto_Type,
  FieldDescriptorProtoSchema,
  FileDescriptorProtoSchema,
  FileDescriptorSetSchema,
} from "@bufbuild/protobuf/wkt";
import { describe, expect, it } from "vitest";
import { file_agentbus_v1_bus_service, SubscribeResponseSchema } from "../../gen/agentbus/v1/bus_service_pb.ts";
import { MessageSchema } from "../../gen/agentbus/v1/message_pb.ts";
import { DEFAULT_LIMITS } from "../core/bus-options.ts";
import { FRAME_HEADER_BYTES } from "../core/message-codec.ts";
import { channelName } from "../core/names.ts";
import { createMessageCodec } from "./message-codec.ts";

const codec = createMessageCodec(DEFAULT_LIMITS);
const name = channelName("science", "explore");

type Version = (typeName: string) => DescMessage;

/** The contract as it is, with messages changed: another version of it. */
function versionOf(change: Readonly<Record<string, (message: DescriptorProto) => void>>): Version {
  const files = new Map<string, DescFile>();
  const collect = (file: DescFile) => {
    if (files.has(file.name)) return;
    file.dependencies.forEach(collect);
    files.set(file.name, file);
  };
  collect(file_agentbus_v1_bus_service);
  const file = Array.from(files.values(), ({ proto }) => {
    const copy = clone(FileDescriptorProtoSchema, proto);
    for (const message of copy.messageType) if (copy.package === "agentbus.v1") change[message.name]?.(message);
    return copy;
  });
  const registry = createFileRegistry(create(FileDescriptorSetSchema, { file }));
  return (typeName) => registry.getMessage(`agentbus.v1.${typeName}`)!;
}

/** Before these fields came. Their oneofs stay where another field is in them. */
const without =
  (...names: readonly string[]) =>
  (message: DescriptorProto) => {
    message.field = message.field.filter((field) => !names.includes(field.name));
  };

/** With a field that nobody knows yet. */
const withText = (fieldName: string, number: number) => (message: DescriptorProto) => {
  const { OPTIONAL: label } = FieldDescriptorProto_Label;
  message.reservedRange = [];
  message.field.push(
    create(FieldDescriptorProtoSchema, {
      name: fieldName,
      jsonName: fieldName,
      number,
      label,
      type: FieldDescriptorProto_Type.STRING,
    }),
  );
};

/** A message of a version that is made at run time, to read and write by field name. */
function opened(schema: DescMessage, bytes: Uint8Array = new Uint8Array()) {
  const message = fromBinary(schema, bytes);
  const view = reflect(schema, message);
  const field = (fieldName: string) => schema.fields.find((one) => one.name === fieldName)!;
  return {
    get: (fieldName: string) => view.get(field(fieldName)),
    set(fieldName: string, value: never) {
      view.set(field(fieldName), value);
      return this;
    },
    bytes: () => toBinary(schema, message),
  };
}

/** What this server sends for a message that it got. */
function delivered(bytes: Uint8Array): Uint8Array {
  const encoded = codec.encode([codec.scan(bytes)], [2], { name, sender: "alice", newId: () => "id" })[0]!;
  const entry = {
    sequence: 5,
    epoch: 9,
    acceptedAtMs: 1_500,
    expiresAtMs: 0,
    id: encoded.id,
    sender: "alice",
    audience: null,
    body: encoded.body,
  };
  const frame = codec.frame({
    sealed: codec.seal([entry]),
    positions: ["science:explore@00000009.5"],
    gaps: [{ name, first: 1, last: 2, cause: "DAMAGED" }],
    serverTimeMs: 1_700_000_000_000,
    goAwayMs: 10,
    end: { reason: "UNSUBSCRIBED", message: "m", channel: "c" },
  });
  return frame.subarray(FRAME_HEADER_BYTES);
}

describe("S3-SC-009: an older client", () => {
  const older = versionOf({
    SubscribeResponse: without("gaps", "server_time", "go_away", "end"),
    Message: without("schema", "session_id", "traceparent", "hop_count", "accept_time"),
  });

  it("S3-SC-009: reads what a newer server sends, and passes over what it does not know", () => {
    const sent = toBinary(
      MessageSchema,
      create(MessageSchema, {
        id: "m",
        payload: { case: "text", value: "hi" },
        schema: "s.v2",
        sessionId: "s",
        traceparent: "t",
      }),
    );
    const response = opened(older("SubscribeResponse"), delivered(sent));
    const messages = [...(response.get("messages") as unknown as Iterable<{ message: never }>)];
    assert.equal(messages.length, 1);
    const message = opened(older("Message"), toBinary(older("Message"), messages[0]!.message));
    assert.deepEqual(["id", "text", "room", "channel", "sender", "sequence", "epoch"].map(message.get), [
      "m",
      "hi",
      "science",
      "explore",
      "alice",
      5n,
      9,
    ]);
    assert.deepEqual([...(response.get("positions") as unknown as Iterable<string>)], ["science:explore@00000009.5"]);
  });

  it("S3-SC-009: is understood by a newer server", () => {
    const bytes = opened(older("Message"))
      .set("text", "hi" as never)
      .set("id", "m" as never)
      .bytes();
    const { messages } = fromBinary(SubscribeResponseSchema, delivered(bytes));
    assert.deepEqual([messages[0]?.payload, messages[0]?.schema], [{ case: "text", value: "hi" }, ""]);
  });
});

describe("S3-SC-009: a newer client", () => {
  const newer = versionOf({
    Message: withText("mood", 21),
    Recipients: withText("everyone_but", 4),
    Selection: withText("region", 5),
    SubscribeResponse: withText("hint", 9),
  });

  it("S3-SC-009: talks to another newer client through this server", () => {
    const bytes = opened(newer("Message"))
      .set("text", "hi" as never)
      .set("mood", "glad" as never)
      .bytes();
    const response = opened(newer("SubscribeResponse"), delivered(bytes));
    const [first] = [...(response.get("messages") as unknown as Iterable<{ message: never }>)];
    assert.equal(opened(newer("Message"), toBinary(newer("Message"), first!.message)).get("mood"), "glad");
    assert.equal(response.get("hint"), "", "a response of an older server leaves its new field unset");
  });

  it.each(["Recipients", "Selection"])(
    "S3-SC-009: is refused when it narrows `to` in a way that this server does not know: %s",
    (type) => {
      const selection = opened(newer("Selection"))
        .set("region", "eu" as never)
        .bytes();
      const recipients = opened(newer("Recipients"))
        .set("everyone_but", "bob" as never)
        .bytes();
      const inner =
        type === "Recipients" ? recipients : Buffer.concat([Buffer.from([0x1a, selection.length]), selection]);
      const to = Buffer.concat([Buffer.from([0x2a, inner.length]), inner]);
      expect(() => codec.scan(to)).toThrow(expect.objectContaining({ reason: "UNKNOWN_FIELD" }));
    },
  );

  it("S3-SC-009: may read a newer server's responses with fields that this version does not know", () => {
    const bytes = opened(newer("SubscribeResponse"))
      .set("hint", "x" as never)
      .bytes();
    const response = fromBinary(SubscribeResponseSchema, bytes);
    assert.deepEqual([response.messages.length, response.$unknown?.map(({ no }) => no)], [0, [9]]);
  });
});
