import type { JsonObject } from "@bufbuild/protobuf";
import { type BadRequest, BINARY_ONLY, JSON_ONLY } from "./bad-request.ts";

/** What the prepared server knows and the cases need. */
export interface Known {
  /** Position of the first message of lab:notes. */
  readonly first: string;
  /** Position of its newest message. */
  readonly head: string;
}

const LONG = "x".repeat(129);
const tooMany = (count: number, item: (i: number) => string) => Array.from({ length: count }, (_, i) => item(i));

/** Subscribe, Fetch and GetMessage. */
export function readCases({ first, head }: Known): readonly BadRequest[] {
  const subscribe = (title: string, reason: string, fields: JsonObject, field?: string): BadRequest => ({
    title: `Subscribe: ${title}`,
    reason,
    rpc: "BusService/Subscribe",
    json: { agentId: "bob", channels: ["lab:notes"], ...fields },
    ...(field === undefined ? {} : { field }),
  });
  const fetch = (title: string, reason: string, fields: JsonObject, field?: string): BadRequest => ({
    title: `Fetch: ${title}`,
    reason,
    rpc: "BusService/Fetch",
    json: { agentId: "bob", room: "lab", channel: "notes", ...fields },
    ...(field === undefined ? {} : { field }),
  });
  const get = (title: string, reason: string, fields: JsonObject): BadRequest => ({
    title: `GetMessage: ${title}`,
    reason,
    rpc: "BusService/GetMessage",
    json: { agentId: "bob", room: "lab", channel: "notes", ...fields },
  });
  const filters: readonly (readonly [title: string, filter: JsonObject])[] = [
    ["an unknown type", { types: [42] }],
    ["the type 0", { types: [0] }],
    ["101 names", { names: tooMany(101, String) }],
    ["101 senders", { senders: tooMany(101, String) }],
    ["17 keys of metadata", { metadata: Object.fromEntries(tooMany(17, String).map((key) => [key, "v"])) }],
    ["a priority of 10", { minPriority: 10 }],
    ["a negative priority", { minPriority: -1 }],
  ];
  return [
    subscribe("somebody new, and a second channel that may not be created", "CHANNEL_NOT_FOUND", {
      agentId: "stranger",
      channels: ["lab:never-made", "closed:new"],
    }),
    subscribe("no agent", "AGENT_ID_REQUIRED", { agentId: "" }),
    subscribe("an agent id with a space", "INVALID_FIELD", { agentId: "b ob" }, "agent_id"),
    subscribe("a channel without a room", "BAD_NAME", { channels: ["notes"] }),
    subscribe("a channel with a space", "BAD_NAME", { channels: ["lab:no tes"] }),
    subscribe("a wildcard among the channels", "BAD_NAME", { channels: ["lab:*"] }),
    subscribe("a channel of 261 bytes", "INVALID_FIELD", { channels: [`lab:${"x".repeat(257)}`] }),
    subscribe("1,001 channels", "INVALID_FIELD", { channels: tooMany(1_001, (i) => `lab:c${i}`) }),
    subscribe("a reserved room", "RESERVED_NAME", { channels: ["_bus:notes"] }),
    subscribe("somebody else's inbox", "INBOX_PRIVATE", { channels: ["_inbox:alice"] }),
    subscribe("a pattern over inboxes", "BAD_NAME", { patterns: ["_inbox:*"] }),
    subscribe("a pattern without a room", "BAD_NAME", { patterns: ["*"] }),
    subscribe("a pattern within a word", "BAD_NAME", { patterns: ["la*:notes"] }),
    subscribe("101 patterns", "INVALID_FIELD", { patterns: tooMany(101, (i) => `lab${i}:*`) }),
    subscribe("the last 0", "INVALID_FIELD", { last: 0 }, "last"),
    subscribe("the last -1", "INVALID_FIELD", { last: -1 }, "last"),
    subscribe("the last 1,001", "INVALID_FIELD", { last: 1_001 }, "last"),
    subscribe("a position that is none", "BAD_POSITION", { resume: { positions: ["lab:notes"] } }),
    subscribe("a position with a sign", "BAD_POSITION", { resume: { positions: ["lab:notes@00000000.-1"] } }),
    subscribe("a position beyond all numbers", "BAD_POSITION", {
      resume: { positions: [`lab:notes@00000000.${"9".repeat(17)}`] },
    }),
    subscribe("an empty position", "INVALID_FIELD", { resume: { positions: [""] } }),
    subscribe("1,001 positions", "INVALID_FIELD", { resume: { positions: tooMany(1_001, () => head) } }),
    subscribe("an unknown on_gap", "INVALID_FIELD", { onGap: 9 }),
    subscribe("an exclusive name of 129 bytes", "INVALID_FIELD", { exclusive: LONG }),
    subscribe("-1 messages a response", "INVALID_FIELD", { maxMessages: -1 }),
    subscribe("10,001 messages a response", "INVALID_FIELD", { maxMessages: 10_001 }),
    subscribe("a heartbeat every 0 s", "INVALID_FIELD", { heartbeatInterval: "0s" }),
    subscribe("a heartbeat every hour", "INVALID_FIELD", { heartbeatInterval: "3600s" }),
    subscribe("a trimmed position, and gaps fail", "GAP", {
      channels: ["lab:short"],
      resume: { positions: [first.replace("lab:notes", "lab:short")] },
      onGap: "ON_GAP_FAIL",
    }),
    subscribe("a foreign epoch, and gaps fail", "GAP", {
      resume: { positions: ["lab:notes@00000001.2"] },
      onGap: "ON_GAP_FAIL",
    }),
    ...filters.map(([title, filter]) => subscribe(`a filter with ${title}`, "INVALID_FIELD", { filter })),
    { ...subscribe("an unknown key", "MALFORMED_REQUEST", { chanels: ["lab:notes"] }), ways: JSON_ONLY },
    {
      ...subscribe("bytes that are none", "MALFORMED_REQUEST", {}),
      binary: Buffer.from([0x0a, 0x7f]),
      ways: BINARY_ONLY,
    },

    fetch("no agent", "AGENT_ID_REQUIRED", { agentId: "" }),
    fetch("neither channel nor position", "BAD_NAME", { room: "", channel: "" }),
    fetch("a room alone", "BAD_NAME", { channel: "" }),
    fetch("a room with a colon", "INVALID_FIELD", { room: "a:b" }, "room"),
    fetch("an unknown channel", "CHANNEL_NOT_FOUND", { channel: "nothing-here" }),
    fetch("somebody else's inbox", "INBOX_PRIVATE", { room: "_inbox", channel: "alice" }),
    fetch("a position that is none", "BAD_POSITION", { position: "yesterday" }),
    fetch("the position of another channel", "BAD_POSITION", { channel: "short", position: head }),
    fetch("a position of 321 bytes", "INVALID_FIELD", { position: "x".repeat(321) }, "position"),
    fetch("an unknown message id", "MESSAGE_NOT_FOUND", { messageId: "nothing-here" }),
    fetch("-1 messages", "INVALID_FIELD", { maxMessages: -1 }, "max_messages"),
    fetch("1,001 messages", "INVALID_FIELD", { maxMessages: 1_001 }, "max_messages"),
    fetch("a wait of 61 s", "INVALID_FIELD", { waitDuration: "61s" }, "wait_duration"),
    fetch("a negative wait", "INVALID_FIELD", { waitDuration: "-1s" }, "wait_duration"),
    ...filters.map(([title, filter]) => fetch(`a filter with ${title}`, "INVALID_FIELD", { filter })),
    { ...fetch("an unknown key", "MALFORMED_REQUEST", { chanel: "notes" }), ways: JSON_ONLY },
    { ...fetch("bytes that are none", "MALFORMED_REQUEST", {}), binary: Buffer.from([0x0a, 0x7f]), ways: BINARY_ONLY },

    get("neither position nor id", "INVALID_FIELD", {}),
    get("an unknown id", "MESSAGE_NOT_FOUND", { messageId: "nothing-here" }),
    get("a position beyond the head", "MESSAGE_NOT_FOUND", { position: head.replace(/\.\d+$/, ".999999") }),
    get("a foreign epoch", "MESSAGE_NOT_FOUND", { position: head.replace(/@[0-9a-f]{8}/, "@00000001") }),
    get("a message for somebody else, by its id", "MESSAGE_NOT_FOUND", { agentId: "carol", messageId: "for-bob" }),
    get("an unknown channel", "CHANNEL_NOT_FOUND", { channel: "nothing-here", messageId: "x" }),
    get("somebody else's inbox", "INBOX_PRIVATE", { room: "_inbox", channel: "alice", messageId: "x" }),
  ];
}
