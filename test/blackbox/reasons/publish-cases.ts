import { create, type JsonObject, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import { type BinaryWriter, WireType, BinaryWriter as Writer } from "@bufbuild/protobuf/wire";
import { PublishRequestSchema } from "../../../gen/agentbus/v1/bus_service_pb.ts";
import { MessageSchema } from "../../../gen/agentbus/v1/message_pb.ts";
import { type BadRequest, BINARY_ONLY, JSON_ONLY } from "./bad-request.ts";

const rpc = "BusService/Publish";
const to = { agentId: "alice", room: "lab", channel: "notes" };
const LONG = "x".repeat(129);

/** A Publish of one message to lab:notes, with this in the message. */
const message = (title: string, reason: string, fields: JsonObject, field?: string): BadRequest => ({
  title,
  reason,
  rpc,
  json: { ...to, messages: [{ text: "refused", ...fields }] },
  ...(field === undefined ? {} : { field }),
});

/** A Publish whose request differs. */
const request = (title: string, reason: string, fields: JsonObject): BadRequest => ({
  title,
  reason,
  rpc,
  json: { ...to, messages: [{ text: "refused" }], ...fields },
});

/** A Publish whose one message has `more` behind the fields of a good one. */
function appended(write: (writer: BinaryWriter) => void): Uint8Array {
  const writer = new Writer();
  write(writer);
  const good = toBinary(MessageSchema, create(MessageSchema, { payload: { case: "text", value: "refused" } }));
  return withMessages([Buffer.concat([good, writer.finish()])]);
}

export function withMessages(
  messages: readonly Uint8Array[],
  fields: MessageInitShape<typeof PublishRequestSchema> = to,
): Uint8Array {
  const writer = new Writer();
  for (const bytes of messages) writer.tag(4, WireType.LengthDelimited).bytes(bytes);
  return Buffer.concat([toBinary(PublishRequestSchema, create(PublishRequestSchema, fields)), writer.finish()]);
}

const submessage = (field: number, bytes: Uint8Array) => (writer: BinaryWriter) =>
  void writer.tag(field, WireType.LengthDelimited).bytes(bytes);
const text = (field: number, value: string) => (writer: BinaryWriter) =>
  void writer.tag(field, WireType.LengthDelimited).string(value);
const varint = (field: number, value: number) => (writer: BinaryWriter) =>
  void writer.tag(field, WireType.Varint).int32(value);

/** Sent as bytes that no generated code would make. */
const bytes = (title: string, reason: string, binary: Uint8Array): BadRequest => ({
  title,
  reason,
  rpc,
  json: {},
  binary,
  ways: BINARY_ONLY,
});

/** Sent as text that no generated code would make. */
const json = (title: string, text: string, reason = "MALFORMED_REQUEST"): BadRequest => ({
  title,
  reason,
  rpc,
  json: text,
  ways: JSON_ONLY,
});

const open = JSON.stringify(to).slice(0, -1);

export const PUBLISH_CASES: readonly BadRequest[] = [
  // The bytes
  json("JSON that is cut off", `${open},"messages":[{"text":"refused"`),
  json("JSON that is no object", `["publish"]`),
  json("an unknown key in the request", `${open},"mesages":[{"text":"refused"}]}`),
  json(
    "an unknown key in a message: a misspelt `to`",
    `${open},"messages":[{"text":"refused","too":{"agents":["bob"]}}]}`,
  ),
  json("an unknown key inside `to`", `${open},"messages":[{"text":"refused","to":{"agent":["bob"]}}]}`),
  json("a number where text belongs", `${open},"messages":[{"text":7}]}`),
  json("an unknown name of an enum", `${open},"messages":[{"text":"refused","type":"MESSAGE_TYPE_SHOUT"}]}`),
  json("both arms of the payload", `${open},"messages":[{"text":"refused","data":"AAAA"}]}`),
  json("data that is not base64", `${open},"messages":[{"data":"%%%"}]}`),
  json("an empty body", ""),
  bytes(
    "protobuf that is cut off within a field",
    "MALFORMED_REQUEST",
    withMessages([Buffer.from([0x32, 0x20, 0x61])]),
  ),
  bytes("a request that is cut off", "MALFORMED_REQUEST", withMessages([Buffer.alloc(64)]).subarray(0, 40)),
  bytes(
    "a group, which nobody uses any more",
    "MALFORMED_REQUEST",
    appended((w) => w.tag(6, WireType.StartGroup)),
  ),
  bytes(
    "field number 0",
    "MALFORMED_REQUEST",
    appended((w) => w.raw(Uint8Array.of(0x02, 0x00))),
  ),
  bytes("a varint where text belongs", "MALFORMED_REQUEST", appended(varint(6, 1))),
  bytes("text that is not UTF-8", "MALFORMED_REQUEST", appended(submessage(6, Uint8Array.of(0xff, 0xfe)))),
  bytes("a name that is not UTF-8", "MALFORMED_REQUEST", appended(submessage(4, Uint8Array.of(0xc0, 0x80)))),

  // The request
  request("no messages", "INVALID_FIELD", { messages: [] }),
  request("101 messages", "INVALID_FIELD", { messages: Array.from({ length: 101 }, () => ({ text: "refused" })) }),
  request("no agent and no key that names one", "AGENT_ID_REQUIRED", { agentId: "" }),
  request("an agent id with a space", "BAD_NAME", { agentId: "a lice" }),
  request("an agent id of 129 characters", "BAD_NAME", { agentId: LONG }),
  request("a reserved agent id", "RESERVED_NAME", { agentId: "_bus" }),
  request("a room with a slash", "BAD_NAME", { room: "lab/rat" }),
  request("a room with a colon", "BAD_NAME", { room: "lab:rat" }),
  request("a room of 129 characters", "BAD_NAME", { room: LONG }),
  request("a channel with a space", "BAD_NAME", { channel: "no tes" }),
  request("a channel without a room", "BAD_NAME", { room: "" }),
  request("a room without a channel", "BAD_NAME", { channel: "" }),
  request("a reserved room", "RESERVED_NAME", { room: "_inbox", channel: "bob" }),
  request("a reserved channel", "RESERVED_NAME", { channel: "_notes" }),
  request("no room, no channel, no recipient", "RECIPIENT_REQUIRED", { room: "", channel: "" }),
  request("an inbox for two", "RECIPIENT_REQUIRED", {
    room: "",
    channel: "",
    messages: [{ text: "refused", to: { agents: ["alice", "bob"] } }],
  }),
  request("two inboxes in one batch", "RECIPIENT_REQUIRED", {
    room: "",
    channel: "",
    messages: [
      { text: "refused", to: { agents: ["bob"] } },
      { text: "refused", to: { agents: ["alice"] } },
    ],
  }),
  request("the inbox of somebody unknown", "UNKNOWN_RECIPIENT", {
    room: "",
    channel: "",
    messages: [{ text: "refused", to: { agents: ["nobody-here"] } }],
  }),
  request("a good message and a bad one: both are refused", "UNSUPPORTED_VERSION", {
    messages: [{ text: "good" }, { text: "refused", version: "2.0" }],
  }),
  request("a new sender, a new room and an unknown recipient", "UNKNOWN_RECIPIENT", {
    agentId: "stranger",
    room: "never",
    channel: "made",
    messages: [{ text: "refused", to: { agents: ["nobody-here"] } }],
  }),
  request("a new sender to a new room with an empty group", "UNKNOWN_RECIPIENT", {
    agentId: "stranger",
    room: "never",
    channel: "made",
    messages: [{ text: "refused", to: { groups: ["nobody-here"] } }],
  }),
  request("a new sender to a new room for nobody who fits", "NO_CANDIDATE", {
    agentId: "stranger",
    room: "never",
    channel: "made",
    messages: [{ text: "refused", to: { select: { capabilities: ["walk-on-water"] } } }],
  }),

  // The message
  message("S3-US2.2: another major version", "UNSUPPORTED_VERSION", { version: "2.0" }),
  message("a version that is none", "UNSUPPORTED_VERSION", { version: "one" }),
  message("an id with a space", "INVALID_FIELD", { id: "a b" }, "messages[0].id"),
  message("an id of 129 characters", "INVALID_FIELD", { id: LONG }),
  message("an id beyond ASCII", "INVALID_FIELD", { id: "naïve" }),
  message("an unknown type", "INVALID_FIELD", { type: 99 }),
  message("a negative type", "INVALID_FIELD", { type: -1 }),
  message("a name of 129 bytes", "INVALID_FIELD", { name: LONG }),
  message("a content type of 129 bytes", "INVALID_FIELD", { contentType: LONG }),
  message("65 keys of metadata", "INVALID_FIELD", {
    metadata: Object.fromEntries(Array.from({ length: 65 }, (_, i) => [`k${i}`, "v"])),
  }),
  message("metadata beyond 8 KiB", "INVALID_FIELD", { metadata: { key: "v".repeat(8_192) } }),
  message("an empty key of metadata", "INVALID_FIELD", { metadata: { "": "v" } }),
  message("a key of metadata of 129 bytes", "INVALID_FIELD", { metadata: { [LONG]: "v" } }),
  message("priority 10", "INVALID_FIELD", { priority: 10 }),
  message("priority -1", "INVALID_FIELD", { priority: -1 }),
  message("an idempotency key with a space", "INVALID_FIELD", { idempotencyKey: "a b" }),
  message("an idempotency key of 129 characters", "INVALID_FIELD", { idempotencyKey: LONG }),
  message("an ordering key of 129 bytes", "INVALID_FIELD", { orderingKey: LONG }),
  message("a correlation id of 129 bytes", "INVALID_FIELD", { correlationId: LONG }),
  message("a causation that is no position", "BAD_POSITION", { causation: "yesterday" }),
  message("a causation of 321 bytes", "INVALID_FIELD", { causation: `lab:notes@00000000.1${"0".repeat(301)}` }),
  message("a reply address of 261 bytes", "INVALID_FIELD", { replyTo: "x".repeat(261) }),
  message("a time to live of 0", "INVALID_FIELD", { timeToLive: "0s" }),
  message("a negative time to live", "INVALID_FIELD", { timeToLive: "-1s" }),
  message("a time to live of 367 days", "INVALID_FIELD", { timeToLive: `${367 * 86_400}s` }),
  bytes("a timestamp beyond the year 9999", "INVALID_FIELD", appended(submessage(17, timestampOf(253_402_300_800n)))),
  message("a trace context of 129 bytes", "INVALID_FIELD", { traceparent: LONG }),
  message("a session id of 129 bytes", "INVALID_FIELD", { sessionId: LONG }),
  message("a schema of 257 bytes", "INVALID_FIELD", { schema: "x".repeat(257) }),
  message("a payload beyond limits.messageBytes", "MESSAGE_TOO_LARGE", { text: "x".repeat(1_048_576) }),
  message("a request beyond limits.requestBytes", "REQUEST_TOO_LARGE", { text: "x".repeat(2_097_152) }),

  // Who reads it
  message("an empty `to`", "EMPTY_RECIPIENTS", { to: {} }),
  message("a `to` with empty lists", "EMPTY_RECIPIENTS", { to: { agents: [], groups: [] } }),
  message("a selection of nothing", "EMPTY_RECIPIENTS", { to: { select: {} } }),
  message("a selection of nothing beside an agent", "EMPTY_RECIPIENTS", { to: { agents: ["bob"], select: {} } }),
  message("an unknown recipient", "UNKNOWN_RECIPIENT", { to: { agents: ["nobody-here"] } }),
  message("a known recipient and an unknown one", "UNKNOWN_RECIPIENT", { to: { agents: ["bob", "nobody-here"] } }),
  message("a group without agents", "UNKNOWN_RECIPIENT", { to: { groups: ["nobody-here"] } }),
  message("a recipient that is no agent id", "INVALID_FIELD", { to: { agents: ["b ob"] } }),
  message("a recipient that is empty", "INVALID_FIELD", { to: { agents: [""] } }),
  message("1,001 recipients", "INVALID_FIELD", { to: { agents: Array.from({ length: 1_001 }, (_, i) => `a${i}`) } }),
  message("a selection that nobody fits", "NO_CANDIDATE", { to: { select: { labels: { team: "none" } } } }),
  message("a selection of an unknown kind", "INVALID_FIELD", { to: { select: { kinds: [17] } } }),
  message("a selection of more than 1,000", "INVALID_FIELD", { to: { select: { capabilities: ["x"], limit: 1_001 } } }),
  bytes("an unknown field inside `to`", "UNKNOWN_FIELD", appended(submessage(5, recipients(text(9, "x"))))),
  bytes(
    "an unknown field inside `to.select`",
    "UNKNOWN_FIELD",
    appended(submessage(5, recipients(submessage(3, recipients(text(9, "x")))))),
  ),
  {
    ...message("recipients where the channel decides alone", "RECIPIENTS_NOT_ALLOWED", { to: { agents: ["bob"] } }),
    ...inChannel("decides", { to: { agents: ["bob"] } }),
  },
  { ...message("a channel for one, and nobody named", "RECIPIENT_REQUIRED", {}), ...inChannel("for-one", {}) },
  {
    ...message("a channel by capability that nobody has", "NO_CANDIDATE", {}),
    ...inChannel("by-capability", { name: "fly" }),
  },
  { ...message("S0-2.1.3d: one in turn, and nobody online", "NO_CANDIDATE", {}), ...inChannel("in-turn", {}) },

  // The same where sender and channel would come to be with the message
  ...["stranger", "bob"].flatMap((agentId) => [
    onDemand(agentId, "a room by capability that nobody has", "NO_CANDIDATE", "asks", { name: "fly" }),
    onDemand(agentId, "a room by capability, and none named", "NO_CANDIDATE", "asks", {}),
    onDemand(agentId, "a room that goes in turn, and nobody is there", "NO_CANDIDATE", "turns", {}),
    onDemand(agentId, "a room for a group without agents", "NO_CANDIDATE", "group", {}),
    onDemand(agentId, "a room for one, and nobody named", "RECIPIENT_REQUIRED", "single", {}),
    onDemand(agentId, "a room that decides alone", "RECIPIENTS_NOT_ALLOWED", "strict", { to: { agents: ["bob"] } }),
    onDemand(agentId, "a room that creates no channels", "CHANNEL_NOT_FOUND", "closed", {}),
  ]),
  request("a new sender to lab:by-capability", "NO_CANDIDATE", {
    agentId: "stranger",
    channel: "by-capability",
    messages: [{ text: "refused", name: "fly" }],
  }),
  request("a new sender to lab:in-turn", "NO_CANDIDATE", { agentId: "stranger", channel: "in-turn" }),
  request("a new sender to somebody's inbox, as a guess", "UNKNOWN_RECIPIENT", {
    agentId: "stranger",
    room: "",
    channel: "",
    messages: [{ text: "refused", to: { agents: ["nobody-here"] } }],
  }),

  // What only the server sets
  message("a room within the message", "SERVER_FIELD", { room: "lab" }),
  message("a channel within the message", "SERVER_FIELD", { channel: "notes" }),
  message("a sender of one's own choice", "SERVER_FIELD", { sender: "bob" }),
  message("a sequence", "SERVER_FIELD", { sequence: "7" }),
  message("an epoch", "SERVER_FIELD", { epoch: 7 }),
  message("an accept time", "SERVER_FIELD", { acceptTime: "2026-01-01T00:00:00Z" }),
  message("a hop count", "SERVER_FIELD", { hopCount: 1 }),
  bytes(
    "an empty server-set submessage, which would merge",
    "SERVER_FIELD",
    appended(submessage(37, new Uint8Array())),
  ),
  bytes("a field beyond all that is known", "SERVER_FIELD", appended(varint(63, 1))),
  bytes("a field of 29 bits", "SERVER_FIELD", appended(varint(536_870_911, 1))),

  // Used before
  message("the same key with other content", "IDEMPOTENCY_CONFLICT", { text: "other", idempotencyKey: "used" }),
  message("the same id with other content", "IDEMPOTENCY_CONFLICT", { text: "other", id: "used-id" }),
];

/** To a channel that is not there, of a room whose channels come to be on demand. */
function onDemand(agentId: string, title: string, reason: string, room: string, fields: JsonObject): BadRequest {
  const messages = [{ text: "refused", ...fields }];
  return request(`${agentId} to a new channel of ${title}`, reason, { agentId, room, channel: "new", messages });
}

function inChannel(channel: string, fields: JsonObject): Pick<BadRequest, "json"> {
  return { json: { ...to, channel, messages: [{ text: "refused", ...fields }] } };
}

function recipients(...writes: readonly ((writer: BinaryWriter) => void)[]): Uint8Array {
  const writer = new Writer();
  for (const write of writes) write(writer);
  return writer.finish();
}

function timestampOf(seconds: bigint): Uint8Array {
  return new Writer().tag(1, WireType.Varint).int64(seconds).finish();
}
