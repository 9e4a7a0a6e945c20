import type { JsonObject, JsonValue } from "@bufbuild/protobuf";
import { type BadRequest, BINARY_ONLY } from "./bad-request.ts";

const LONG = "x".repeat(129);

const bad = (rpc: string, title: string, reason: string, json: JsonValue, field?: string): BadRequest => ({
  title: `${rpc.slice(rpc.indexOf("/") + 1)}: ${title}`,
  rpc,
  reason,
  json,
  ...(field === undefined ? {} : { field }),
});

const room = (method: string, title: string, reason: string, json: JsonObject) =>
  bad(`RoomService/${method}`, title, reason, json);
const agent = (method: string, title: string, reason: string, json: JsonObject) =>
  bad(`AgentService/${method}`, title, reason, json);
const channel = (fields: JsonObject) => ({ channel: { room: "lab", channel: "fresh", ...fields } });

const NOISE = { binary: Buffer.from([0x0a, 0x7f]), ways: BINARY_ONLY };

/** RoomService, AgentService and AdminService. */
export const DIRECTORY_CASES: readonly BadRequest[] = [
  room("CreateRoom", "no room", "INVALID_FIELD", {}),
  room("CreateRoom", "an empty name", "INVALID_FIELD", { room: {} }),
  room("CreateRoom", "a name with a space", "INVALID_FIELD", { room: { room: "a b" } }),
  room("CreateRoom", "a reserved name", "INVALID_FIELD", { room: { room: "_lab" } }),
  room("CreateRoom", "a name of 129 characters", "INVALID_FIELD", { room: { room: LONG } }),
  room("CreateRoom", "another configuration", "ROOM_EXISTS", { room: { room: "lab", description: "another" } }),
  room("CreateRoom", "a field of the server", "SERVER_FIELD", { room: { room: "fresh", revision: "3" } }),
  room("CreateRoom", "an unknown custom routing", "UNKNOWN_STRATEGY", {
    room: { room: "fresh", defaults: { routing: { strategy: "ROUTING_STRATEGY_CUSTOM", custom: "none" } } },
  }),
  room("UpdateRoom", "no mask", "INVALID_FIELD", { room: { room: "lab" } }),
  room("UpdateRoom", "an unknown path", "INVALID_FIELD", { room: { room: "lab" }, updateMask: "revision" }),
  room("UpdateRoom", "an unknown room", "ROOM_NOT_FOUND", { room: { room: "none" }, updateMask: "description" }),
  room("GetRoom", "an unknown room", "ROOM_NOT_FOUND", { room: "none" }),
  room("GetRoom", "a reserved room", "RESERVED_NAME", { room: "_inbox" }),
  room("ListRooms", "-1 rooms a page", "INVALID_FIELD", { pageSize: -1 }),
  room("ListRooms", "1,001 rooms a page", "INVALID_FIELD", { pageSize: 1_001 }),
  room("ListRooms", "a page token of one's own", "INVALID_FIELD", { pageToken: "next, please" }),
  room("ListRooms", "a bad pattern", "BAD_NAME", { pattern: "la*" }),
  room("DeleteRoom", "an unknown room", "ROOM_NOT_FOUND", { room: "none" }),
  room("DeleteRoom", "one with channels, without force", "ROOM_NOT_EMPTY", { room: "lab" }),

  room("CreateChannel", "another configuration", "CHANNEL_EXISTS", {
    channel: { room: "lab", channel: "notes", description: "another" },
  }),
  room("CreateChannel", "an unknown room", "ROOM_NOT_FOUND", { channel: { room: "none", channel: "fresh" } }),
  room("CreateChannel", "a reserved name", "INVALID_FIELD", channel({ channel: "_fresh" })),
  room("CreateChannel", "a field of the server", "SERVER_FIELD", channel({ headSequence: "5" })),
  room("CreateChannel", "a durability that memory has not", "DURABILITY_UNAVAILABLE", {
    ...channel({ config: { durability: "DURABILITY_SYNCED" } }),
  }),
  room("CreateChannel", "an unknown durability", "INVALID_FIELD", channel({ config: { durability: 9 } })),
  room("CreateChannel", "-1 members", "INVALID_FIELD", channel({ config: { maxMembers: -1 } })),
  room(
    "CreateChannel",
    "retention of no time",
    "INVALID_FIELD",
    channel({ config: { retention: { maxAgeDuration: "0s" } } }),
  ),
  room(
    "CreateChannel",
    "retention of -1 messages",
    "INVALID_FIELD",
    channel({ config: { retention: { maxMessages: "-1" } } }),
  ),
  room("CreateChannel", "a dedup window of an hour", "INVALID_FIELD", channel({ config: { dedupWindow: "3600s" } })),
  room("CreateChannel", "a subgroup of nobody", "EMPTY_RECIPIENTS", {
    ...channel({ config: { routing: { strategy: "ROUTING_STRATEGY_SUBGROUP", recipients: {} } } }),
  }),
  room("CreateChannel", "an unknown strategy", "INVALID_FIELD", channel({ config: { routing: { strategy: 42 } } })),
  room("CreateChannel", "metadata beyond 8 KiB", "INVALID_FIELD", channel({ metadata: { key: "v".repeat(8_192) } })),
  room("UpdateChannel", "an unknown channel", "CHANNEL_NOT_FOUND", {
    channel: { room: "lab", channel: "none" },
    updateMask: "description",
  }),
  room("GetChannel", "an unknown channel", "CHANNEL_NOT_FOUND", { room: "lab", channel: "none" }),
  room("GetChannel", "somebody's inbox", "RESERVED_NAME", { room: "_inbox", channel: "alice" }),
  room("ListChannels", "a bad pattern", "BAD_NAME", { pattern: "lab" }),
  room("ListChannels", "-1 channels a page", "INVALID_FIELD", { pageSize: -1 }),
  room("DeleteChannel", "an unknown channel", "CHANNEL_NOT_FOUND", { room: "lab", channel: "none" }),
  room("DeleteChannel", "somebody's inbox", "RESERVED_NAME", { room: "_inbox", channel: "alice" }),
  room("JoinChannel", "no agent", "AGENT_ID_REQUIRED", { room: "lab", channel: "notes" }),
  room("JoinChannel", "S3-E.1: a full channel", "CHANNEL_FULL", { agentId: "bob", room: "lab", channel: "full" }),
  room("JoinChannel", "a full channel, by somebody new", "CHANNEL_FULL", {
    agentId: "stranger",
    room: "lab",
    channel: "full",
  }),
  room("JoinChannel", "a channel that may not be created, by somebody new", "CHANNEL_NOT_FOUND", {
    agentId: "stranger",
    room: "closed",
    channel: "new",
  }),
  room("JoinChannel", "a reserved room", "RESERVED_NAME", { agentId: "bob", room: "_inbox", channel: "bob" }),
  room("JoinChannel", "an agent id with a space", "INVALID_FIELD", { agentId: "b ob", room: "lab", channel: "notes" }),
  room("LeaveChannel", "an unknown channel", "CHANNEL_NOT_FOUND", { agentId: "bob", room: "lab", channel: "none" }),
  room("ListMembers", "an unknown channel", "CHANNEL_NOT_FOUND", { room: "lab", channel: "none" }),
  room("WatchRoom", "an unknown room", "ROOM_NOT_FOUND", { room: "none" }),
  room("WatchRoom", "an empty name", "INVALID_FIELD", { room: "" }),
  { ...room("WatchRoom", "bytes that are none", "MALFORMED_REQUEST", {}), ...NOISE },
  { ...room("CreateRoom", "bytes that are none", "MALFORMED_REQUEST", {}), ...NOISE },

  agent("RegisterAgent", "nothing", "INVALID_FIELD", {}),
  agent("RegisterAgent", "an id with a space", "INVALID_FIELD", { agent: { agentId: "b ob" } }),
  agent("RegisterAgent", "a reserved id", "INVALID_FIELD", { agent: { agentId: "_bus" } }),
  agent("RegisterAgent", "a state, which the server sets", "SERVER_FIELD", {
    agent: { agentId: "fresh", state: "AGENT_STATE_ONLINE" },
  }),
  agent("RegisterAgent", "an unknown kind", "INVALID_FIELD", { agent: { agentId: "fresh", kind: 9 } }),
  agent("RegisterAgent", "101 groups", "INVALID_FIELD", {
    agent: { agentId: "fresh", groups: Array.from({ length: 101 }, (_, i) => `g${i}`) },
  }),
  agent("RegisterAgent", "a screen name of 129 bytes", "INVALID_FIELD", {
    agent: { agentId: "fresh", screenName: LONG },
  }),
  agent("RegisterAgent", "metadata beyond 8 KiB", "INVALID_FIELD", {
    agent: { agentId: "fresh", metadata: { key: "v".repeat(8_192) } },
  }),
  agent("RegisterAgent", "a capability without a name", "INVALID_FIELD", {
    agent: { agentId: "fresh", capabilities: [{ description: "?" }] },
  }),
  agent("UpdateAgent", "an unknown agent", "AGENT_NOT_FOUND", { agent: { agentId: "nobody" }, updateMask: "avatar" }),
  agent("UpdateAgent", "no mask", "INVALID_FIELD", { agent: { agentId: "alice" } }),
  agent("UpdateAgent", "an unknown path", "INVALID_FIELD", { agent: { agentId: "alice" }, updateMask: "state" }),
  agent("Heartbeat", "an unknown agent", "AGENT_NOT_FOUND", { agentId: "nobody" }),
  agent("Heartbeat", "offline", "INVALID_FIELD", { agentId: "alice", state: "AGENT_STATE_OFFLINE" }),
  agent("Heartbeat", "an unknown state", "INVALID_FIELD", { agentId: "alice", state: 99 }),
  agent("DisconnectAgent", "an unknown agent", "AGENT_NOT_FOUND", { agentId: "nobody" }),
  agent("DeleteAgent", "an unknown agent", "AGENT_NOT_FOUND", { agentId: "nobody" }),
  agent("DeleteAgent", "no agent", "AGENT_ID_REQUIRED", {}),
  agent("GetAgent", "an unknown agent", "AGENT_NOT_FOUND", { agentId: "nobody" }),
  agent("GetAgent", "an empty id", "INVALID_FIELD", { agentId: "" }),
  agent("ListAgents", "an unknown kind", "INVALID_FIELD", { kinds: [9] }),
  agent("ListAgents", "1,001 agents a page", "INVALID_FIELD", { pageSize: 1_001 }),
  agent("ListAgents", "a page token of one's own", "INVALID_FIELD", { pageToken: "next, please" }),
  agent("WatchAgents", "1,001 agents", "INVALID_FIELD", { agentIds: Array.from({ length: 1_001 }, (_, i) => `a${i}`) }),

  bad("AdminService/Ping", "a payload of 1,025 bytes", "INVALID_FIELD", { payload: "x".repeat(1_025) }, "payload"),
  bad("AdminService/GetStatus", "-1 channels", "INVALID_FIELD", { maxChannels: -1 }, "max_channels"),
  bad("AdminService/GetStatus", "1,001 channels", "INVALID_FIELD", { maxChannels: 1_001 }, "max_channels"),
  bad("AdminService/Drain", "a grace of an hour", "INVALID_FIELD", { graceDuration: "3600s" }, "grace_duration"),
  bad("AdminService/Drain", "a negative grace", "INVALID_FIELD", { graceDuration: "-1s" }, "grace_duration"),
];
