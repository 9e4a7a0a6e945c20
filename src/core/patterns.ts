import { BusError } from "./errors.ts";
import { type ChannelName, channelName, isName, quote, RESERVED_PREFIX } from "./names.ts";

// Grammar, the same for rooms and channels, because both may be dotted:
//   name     one segment after another, joined by "."
//   *        stands for exactly one segment
//   **       only at the end: one segment or more
// A channel part that is nothing but "*" is any channel, dotted or not: "science:*" is all of science. "**" alone is
// every channel of every room. A "*" within a segment ("sci*") is not a wildcard but a bad pattern.

/** A compiled pattern of channels, for example "science.*:general". */
export interface ChannelPattern {
  readonly text: string;
  /** What every channel that fits begins with, as "room:channel": where a sorted list of keys is worth looking at. */
  readonly prefix: string;
  /** Channels of reserved rooms, inboxes among them, never fit. */
  matches(name: ChannelName): boolean;
}

/** A compiled pattern of room names, for example "lab.*". */
export interface RoomPattern {
  readonly text: string;
  readonly prefix: string;
  matches(room: string): boolean;
}

type Segments = readonly string[];

/** Compiles "room:channel" with wildcards, or "**". Throws BAD_NAME. */
export function compileChannelPattern(text: string): ChannelPattern {
  if (text === "**") return { text, prefix: "", matches: ({ room }) => !isReserved(room) };
  const colon = text.indexOf(":");
  if (colon < 1) throw badPattern(text, "is written room:channel, with * or ** for segments, or ** alone");
  const roomPart = text.slice(0, colon);
  const channelPart = text.slice(colon + 1);
  const room = compileSegments(roomPart, text);
  const channel = channelPart === "*" ? anyName : compileSegments(channelPart, text);
  if (room.literal && channel.literal) {
    const { key } = channelName(roomPart, channelPart);
    return { text, prefix: key, matches: (name) => name.key === key };
  }
  return {
    text,
    prefix: room.literal ? `${roomPart}:${channel.prefix}` : room.prefix,
    matches: (name) => !isReserved(name.room) && room.matches(name.room) && channel.matches(name.channel),
  };
}

/** Compiles a pattern of room names. "*" is any room without a dot, "**" any room. Throws BAD_NAME. */
export function compileRoomPattern(text: string): RoomPattern {
  const { prefix, matches } = compileSegments(text, text);
  return { text, prefix, matches: (room) => !isReserved(room) && matches(room) };
}

interface Part {
  readonly literal: boolean;
  readonly prefix: string;
  readonly matches: (name: string) => boolean;
}

const anyName: Part = { literal: false, prefix: "", matches: () => true };

function compileSegments(part: string, whole: string): Part {
  if (isReserved(part)) throw badPattern(whole, "names beginning with _ are never matched");
  const segments = part.split(".");
  const wild = segments.findIndex((segment) => segment.includes("*"));
  if (wild < 0) {
    if (!isName(part)) throw badPattern(whole, `${quote(part)} must be 1 to 128 of A-Z a-z 0-9 . _ -`);
    return { literal: true, prefix: part, matches: (name) => name === part };
  }
  for (const [at, segment] of segments.entries()) {
    if (segment === "**" && at < segments.length - 1) throw badPattern(whole, "** stands only at the end of a part");
    if (segment.includes("*") && !/^\*{1,2}$/.test(segment)) {
      throw badPattern(whole, `${quote(segment)}: * and ** stand for whole segments`);
    }
    if (segment !== "" && !segment.includes("*") && !isName(segment)) {
      throw badPattern(whole, `${quote(segment)} must be of A-Z a-z 0-9 _ -`);
    }
  }
  const rest = segments.at(-1) === "**";
  const fixed = rest ? segments.slice(0, -1) : segments;
  const prefix = segments
    .slice(0, wild)
    .map((segment) => `${segment}.`)
    .join("");
  if (rest && fixed.length === wild) {
    return { literal: false, prefix, matches: (name) => name.startsWith(prefix) };
  }
  return { literal: false, prefix, matches: (name) => fits(fixed, rest, name) };
}

/** Walks both without splitting the name: this runs for every pattern when a channel comes to be. */
function fits(segments: Segments, rest: boolean, name: string): boolean {
  let from = 0;
  for (const segment of segments) {
    if (from > name.length) return false;
    const dot = name.indexOf(".", from);
    const end = dot < 0 ? name.length : dot;
    if (segment !== "*" && (segment.length !== end - from || !name.startsWith(segment, from))) return false;
    from = end + 1;
  }
  return rest ? from <= name.length : from === name.length + 1;
}

function isReserved(name: string): boolean {
  return name.startsWith(RESERVED_PREFIX);
}

function badPattern(text: string, why: string): BusError {
  return new BusError("BAD_NAME", `pattern ${quote(text)}: ${why}`);
}
