import type { Clock } from "../../core/clock.ts";
import { epochAt, type GapRange, placeReader } from "../../core/epoch-chain.ts";
import type { LogEntry } from "../../core/message.ts";
import { type Position, parsePosition } from "../../core/position.ts";
import type { LogPlace } from "../../core/room.ts";
import type { LogState } from "../../storage/message-log.ts";
import type { ChannelView } from "../directory/registry.ts";
import type { ChannelTail } from "./channel-tail.ts";
import type { EpochRenewals } from "./epoch-renewals.ts";
import type { Hub } from "./hub.ts";

/** Where a subscription begins. */
export type Start =
  | { readonly kind: "new" }
  | { readonly kind: "earliest" }
  | { readonly kind: "last"; readonly count: number }
  | { readonly kind: "since"; readonly timeMs: number }
  | { readonly kind: "resume"; readonly positions: readonly string[] }
  /**
   * Behind where a member joined, and never before where the stream was when it `left`: of a leave and a join a node may
   * hear late, and has brought what came in between. A log that is not the one it joined (a ring of another node): like "new". */
  | { readonly kind: "joined"; readonly behind: LogPlace; readonly left: LogPlace | undefined };

/** The same in one channel. */
export interface StartingPoint {
  /** Read what comes behind this sequence. */
  readonly after: number;
  /** The epoch of `after`. */
  readonly epoch: number;
  /** What the reader must be told it misses. */
  readonly gap: GapRange | undefined;
}

/** Says whether a reader would get an entry. */
export interface EntryReader {
  delivers(entry: LogEntry, nowMs: number): boolean;
}

/** To find the last n that a reader may see, so many entries for each of them are looked at. */
const LAST_SCAN_FACTOR = 100;

/** Finds where a subscription starts in a channel. */
export class ReadingStarts {
  readonly #hub: Hub;
  readonly #clock: Clock;
  readonly #readBytes: number;
  readonly #renewals: EpochRenewals;

  constructor(hub: Hub, clock: Clock, renewals: EpochRenewals, readBytes: number) {
    this.#hub = hub;
    this.#clock = clock;
    this.#renewals = renewals;
    this.#readBytes = readBytes;
  }

  /** `state` is the channel's log as it is now, `tail` its tail. `resume` belongs to a start of that kind. */
  async find(
    view: ChannelView,
    tail: ChannelTail,
    state: LogState,
    start: Start,
    resume: ReadonlyMap<string, Position> | undefined,
    reader: EntryReader,
  ): Promise<StartingPoint> {
    switch (start.kind) {
      case "new":
        return at(state, state.head);
      case "earliest":
        return at(state, state.floor - 1);
      case "since":
        return at(state, (await view.log.findTime(view.name, start.timeMs)) - 1);
      case "last":
        return at(state, await this.#beforeLast(view, state, start.count, reader));
      case "joined":
        return afterJoin(state, start.behind, start.left);
      case "resume":
        return await this.#resume(view, tail, state, resume?.get(view.name.key));
    }
  }

  async #resume(
    view: ChannelView,
    tail: ChannelTail,
    state: LogState,
    position: Position | undefined,
  ): Promise<StartingPoint> {
    // A channel without a position is new to the reader.
    if (position === undefined) return at(state, state.floor - 1);
    const { after, gap, rolledBack } = placeReader(state, position.epoch, position.sequence);
    if (!rolledBack) return at(state, after, gap);
    // It was never issued: the log was rolled back behind our back, or the position is forged; nobody can tell which.
    const renewed = await this.#renewals.renew(view);
    if (renewed !== undefined) this.#hub.observed(tail, renewed);
    return at(renewed ?? state, after, gap);
  }

  /** Goes back until so many were found that this reader would get. */
  async #beforeLast(view: ChannelView, state: LogState, count: number, reader: EntryReader): Promise<number> {
    let from = state.head + 1;
    let left = count;
    let scans = count * LAST_SCAN_FACTOR;
    while (left > 0 && from > state.floor && scans > 0) {
      const { entries } = await this.#hub.read(view, {
        from,
        backward: true,
        maxEntries: Math.min(Math.max(left, 100), 1_000, scans),
        maxBytes: this.#readBytes,
      });
      if (entries.length === 0) return state.floor - 1;
      const nowMs = this.#clock.now();
      for (const entry of entries) {
        if (reader.delivers(entry, nowMs)) left--;
        from = entry.sequence;
        if (left === 0) break;
      }
      scans -= entries.length;
    }
    return from - 1;
  }
}

function afterJoin(state: LogState, behind: LogPlace, left: LogPlace | undefined): StartingPoint {
  const knows = ({ epoch }: LogPlace) => state.links.some((link) => link.epoch === epoch);
  if (!knows(behind)) return at(state, state.head);
  const joined = placeReader(state, behind.epoch, behind.sequence);
  if (left === undefined || !knows(left)) return at(state, joined.after, joined.gap);
  const stood = placeReader(state, left.epoch, left.sequence);
  // What the stream has brought and the log has lost meanwhile is told all the same.
  if (stood.gap?.cause === "NEW_EPOCH" || stood.after >= joined.after) {
    return at(state, Math.max(stood.after, joined.after), stood.gap);
  }
  return at(state, joined.after, joined.gap);
}

/** Positions by "room:channel"; of several of one channel the last counts. Throws BAD_POSITION. */
export function byChannel(positions: readonly string[]): Map<string, Position> {
  const found = new Map<string, Position>();
  for (const text of positions) {
    const position = parsePosition(text);
    found.set(position.name.key, position);
  }
  return found;
}

function at({ links }: LogState, after: number, gap?: GapRange): StartingPoint {
  return { after, epoch: epochAt(links, after), gap };
}
