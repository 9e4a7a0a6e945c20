import { type ChannelName, INBOX_ROOM } from "../../core/names.ts";
import type { RecordKey } from "../../storage/directory.ts";

/** The kinds of records that make up rooms and agents, in the order in which they refer to each other. */
export const RECORD_KINDS = ["room", "channel", "agent", "member"] as const;

export function roomKey(room: string): RecordKey {
  return { kind: "room", parent: "", id: room };
}

export function channelKey(name: ChannelName): RecordKey {
  return { kind: "channel", parent: name.room, id: name.channel };
}

export function agentKey(agentId: string): RecordKey {
  return { kind: "agent", parent: "", id: agentId };
}

export function memberKey(channel: string, agentId: string): RecordKey {
  return { kind: "member", parent: channel, id: agentId };
}

/** Whether a channel's record is one of an inbox. */
export function isInboxRecord(key: RecordKey): boolean {
  return key.parent === INBOX_ROOM;
}

// What nodes that share a storage tell each other. An instance is one life of a node: see NodeLease.

export function nodeKey(instance: string): RecordKey {
  return { kind: "node", parent: "", id: instance };
}

/** That an agent is present on a node. */
export function presenceKey(agentId: string, instance: string): RecordKey {
  return { kind: "presence", parent: agentId, id: instance };
}

/** What only one node does at a time. */
export function electionKey(name: string): RecordKey {
  return { kind: "lease", parent: "", id: name };
}

/** Asks a node to disconnect an agent. */
export function disconnectKey(instance: string, requestId: string): RecordKey {
  return { kind: "disconnect", parent: instance, id: requestId };
}
