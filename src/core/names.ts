import { BusError } from "./errors.ts";

/** Rooms that belong to the bus start so. */
export const RESERVED_PREFIX = "_";
/** The room whose channels are the agents' inboxes, one each, named by the agent's id. */
export const INBOX_ROOM = "_inbox";

const NAME = /^[A-Za-z0-9._-]{1,128}$/;
const AGENT_ID = /^[A-Za-z0-9._@|:/+-]{1,128}$/;

/** Names one channel. Rooms contain no ":", so `key` is unambiguous even for inboxes. */
export interface ChannelName {
  readonly room: string;
  readonly channel: string;
  /** "room:channel" */
  readonly key: string;
}

export function channelName(room: string, channel: string): ChannelName {
  return { room, channel, key: `${room}:${channel}` };
}

export function inboxOf(agentId: string): ChannelName {
  return channelName(INBOX_ROOM, agentId);
}

export function isInbox(name: ChannelName): boolean {
  return name.room === INBOX_ROOM;
}

export function isName(name: string): boolean {
  return NAME.test(name);
}

export function isAgentId(id: string): boolean {
  return AGENT_ID.test(id);
}

/** Checks an agent's id. Throws BAD_NAME or RESERVED_NAME. */
export function checkAgentId(id: string): void {
  if (!isAgentId(id)) {
    throw new BusError("BAD_NAME", `agent id ${quote(id)} must be 1 to 128 of A-Z a-z 0-9 . _ @ | : / + -`);
  }
  if (id.startsWith(RESERVED_PREFIX))
    throw new BusError("RESERVED_NAME", `agent id ${quote(id)}: a leading _ is reserved`);
}

/** Checks a room or channel that a client names for itself. Throws BAD_NAME or RESERVED_NAME. */
export function checkName(what: "room" | "channel", name: string): void {
  if (!isName(name)) throw new BusError("BAD_NAME", `${what} ${quote(name)} must be 1 to 128 of A-Z a-z 0-9 . _ -`);
  if (name.startsWith(RESERVED_PREFIX))
    throw new BusError("RESERVED_NAME", `${what} ${quote(name)}: a leading _ is reserved`);
}

/** Parses "room:channel", inboxes included. Throws BAD_NAME. */
export function parseChannelName(text: string): ChannelName {
  const colon = text.indexOf(":");
  const room = text.slice(0, colon);
  const channel = text.slice(colon + 1);
  const valid = colon > 0 && isName(room) && (room === INBOX_ROOM ? isAgentId(channel) : isName(channel));
  if (!valid) throw new BusError("BAD_NAME", `channel ${quote(text)} must be written room:channel`);
  return { room, channel, key: text };
}

/** For messages to people: short, and safe to print. */
export function quote(text: string): string {
  return JSON.stringify(text.length > 80 ? `${text.slice(0, 77)}...` : text);
}
