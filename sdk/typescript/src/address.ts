/** The room whose channels are the agents' inboxes, one each, named by the agent's id. */
export const INBOX_ROOM = "_inbox";

export interface Address {
  readonly room: string;
  readonly channel: string;
}

/** Parses "room:channel". The room has no ":", an inbox's channel (an agent's id) may have one. Throws TypeError. */
export function parseAddress(text: string): Address {
  const colon = text.indexOf(":");
  if (colon <= 0 || colon === text.length - 1) {
    throw new TypeError(`channel ${JSON.stringify(text.slice(0, 80))} must be written room:channel`);
  }
  return { room: text.slice(0, colon), channel: text.slice(colon + 1) };
}

/** "room:channel" of a position, which is "room:channel@epoch.sequence"; agent ids may contain "@", so the last counts. */
export function addressOfPosition(position: string): string {
  const at = position.lastIndexOf("@");
  if (at <= 0)
    throw new TypeError(
      `position ${JSON.stringify(position.slice(0, 80))} must be written room:channel@epoch.sequence`,
    );
  return position.slice(0, at);
}

/** The position of a message: "after this one". */
export function formatPosition(room: string, channel: string, epoch: number, sequence: bigint): string {
  return `${room}:${channel}@${epoch.toString(16).padStart(8, "0")}.${sequence}`;
}
