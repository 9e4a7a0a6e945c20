import type { BusOptions } from "../../core/bus-options.ts";
import type { Clock } from "../../core/clock.ts";
import { compareExtents, epochAt, type GapRange, placeReader } from "../../core/epoch-chain.ts";
import { BusError } from "../../core/errors.ts";
import { compileFilter, type EntryTest, type Filter } from "../../core/filter.ts";
import { type Facets, type LogEntry, maySee } from "../../core/message.ts";
import type { ChannelGap, MessageCodec } from "../../core/message-codec.ts";
import { type ChannelName, channelName, INBOX_ROOM, isAgentId, isName, quote } from "../../core/names.ts";
import { formatPosition, type Position, parsePosition } from "../../core/position.ts";
import type { LogState, ReadResult } from "../../storage/message-log.ts";
import type { ChannelView, Rooms } from "../directory/registry.ts";
import { entryAt, findById, MAX_OF_ONE_ID } from "./find-by-id.ts";
import type { Hub } from "./hub.ts";
import { holesOf } from "./store-page.ts";

export type FetchStart =
  | { readonly kind: "end" }
  | { readonly kind: "position"; readonly position: string }
  | { readonly kind: "id"; readonly id: string }
  | { readonly kind: "time"; readonly timeMs: number };

export interface FetchInput {
  readonly agentId: string;
  /** "" with `channel`: as the position says. */
  readonly room: string;
  readonly channel: string;
  readonly start: FetchStart;
  readonly backward: boolean;
  readonly filter: Filter | undefined;
  readonly maxMessages: number;
  /** Forward only: how long to wait for the first message. */
  readonly waitMs: number;
}

export interface FetchOutcome {
  /** As from MessageCodec.seal, in the order asked for. */
  readonly sealed: readonly Uint8Array[];
  readonly position: string;
  readonly caughtUp: boolean;
  readonly gaps: readonly ChannelGap[];
}

export interface FetcherDependencies {
  readonly hub: Hub;
  readonly rooms: Rooms;
  readonly codec: MessageCodec;
  readonly clock: Clock;
  readonly options: BusOptions;
}

const READ_ENTRIES = 1_000;
/** What is looked at in one call: a filter that fits nothing must not read a whole log at once. */
const MAX_SCANNED = 20_000;

interface Place {
  /** Forward: read behind it. Backward: read before it. */
  readonly from: number;
  readonly gap: GapRange | undefined;
  readonly state: LogState;
}

/** Reads history: forward and backward, only what the agent may see. Never registers, never creates. */
export class Fetcher {
  readonly #deps: FetcherDependencies;

  constructor(deps: FetcherDependencies) {
    this.#deps = deps;
  }

  /** Throws CHANNEL_NOT_FOUND, MESSAGE_NOT_FOUND, INBOX_PRIVATE, BAD_POSITION, STORAGE_UNAVAILABLE, ... */
  async fetch(input: FetchInput, signal: AbortSignal): Promise<FetchOutcome> {
    const position = input.start.kind === "position" ? parsePosition(input.start.position) : undefined;
    const view = await this.#ready(await this.#channel(input, position));
    const place = await this.#place(view, input, position);
    let outcome = await this.#scan(view, input, place);
    const deadlineMs = this.#deps.clock.monotonic() + input.waitMs;
    while (outcome.sealed.length === 0 && outcome.caughtUp && outcome.gaps.length === 0 && !input.backward) {
      const leftMs = deadlineMs - this.#deps.clock.monotonic();
      const { epoch, sequence } = parsePosition(outcome.position);
      if (leftMs <= 0 || signal.aborted || !(await this.#grown(view, sequence, leftMs, signal))) break;
      const state = await this.#state(view);
      // Placed again: the log may have lost its end while nothing came.
      const { after, gap } = placeReader(state, epoch, sequence);
      outcome = await this.#scan(view, input, { from: after, gap, state });
    }
    return outcome;
  }

  /** One message that the agent may see. Throws MESSAGE_NOT_FOUND, also for one that it may not. */
  async get(
    input: Pick<FetchInput, "agentId" | "room" | "channel">,
    which: { readonly position: string } | { readonly id: string },
  ): Promise<{ readonly sealed: Uint8Array; readonly position: string }> {
    const position = "position" in which ? parsePosition(which.position) : undefined;
    const view = await this.#ready(await this.#channel(input, position));
    const isShown = (entry: LogEntry) => this.#shows(entry, input.agentId, undefined);
    const entry =
      "id" in which
        ? await findById(this.#deps.hub, view, which.id, isShown)
        : await this.#entryAt(view, position!, isShown);
    if (entry === undefined) {
      const label = "id" in which ? idLabel(which.id) : `position ${quote(which.position)}`;
      throw new BusError("MESSAGE_NOT_FOUND", `${label}: no such message, or not for ${input.agentId}`);
    }
    const [sealed] = this.#deps.codec.seal([entry]);
    return { sealed: sealed!, position: formatPosition(view.name.key, entry.epoch, entry.sequence) };
  }

  async #entryAt(
    view: ChannelView,
    { epoch, sequence }: Position,
    isShown: (entry: LogEntry) => boolean,
  ): Promise<LogEntry | undefined> {
    const entry = sequence === 0 ? undefined : await entryAt(this.#deps.hub, view, sequence);
    return entry?.epoch === epoch && isShown(entry) ? entry : undefined;
  }

  async #channel(
    { agentId, room, channel }: Pick<FetchInput, "agentId" | "room" | "channel">,
    position?: Position,
  ): Promise<ChannelView> {
    const name = room === "" && channel === "" && position !== undefined ? position.name : checked(room, channel);
    if (position !== undefined && position.name.key !== name.key) {
      throw new BusError("BAD_POSITION", `the position is of ${position.name.key}, the request is for ${name.key}`);
    }
    if (name.room === INBOX_ROOM && name.channel !== agentId) {
      throw new BusError("INBOX_PRIVATE", `${name.key} is read by ${name.channel} alone`);
    }
    // Another node may have made it just now.
    const view = this.#deps.rooms.channel(name.key) ?? (await this.#deps.rooms.reload(name));
    if (view === undefined) throw new BusError("CHANNEL_NOT_FOUND", `there is no channel ${name.key}`);
    return view;
  }

  /** A crash may have left the channel without its log: it gets one now. */
  async #ready(view: ChannelView): Promise<ChannelView> {
    const state = await view.log.state(view.name);
    if (state?.incarnation === view.incarnation) return view;
    const ensured = await this.#deps.rooms.ensureLog(view);
    if (ensured === undefined) throw new BusError("CHANNEL_NOT_FOUND", `there is no channel ${view.name.key}`);
    return ensured;
  }

  async #state(view: ChannelView): Promise<LogState> {
    const state = await view.log.state(view.name);
    if (state?.incarnation !== view.incarnation) throw deleted(view);
    return state;
  }

  async #place(
    view: ChannelView,
    { agentId, start, backward }: FetchInput,
    position: Position | undefined,
  ): Promise<Place> {
    const state = await this.#state(view);
    switch (start.kind) {
      case "end":
        return { from: backward ? state.head + 1 : state.floor - 1, gap: undefined, state };
      case "time": {
        const first = await view.log.findTime(view.name, start.timeMs);
        return { from: backward ? first : first - 1, gap: undefined, state };
      }
      case "id": {
        // Also one that has expired: it is a place, and nothing of it is shown.
        const found = await findById(this.#deps.hub, view, start.id, (entry) => maySee(entry, agentId));
        if (found !== undefined) return { from: found.sequence, gap: undefined, state };
        throw new BusError(
          "MESSAGE_NOT_FOUND",
          `${idLabel(start.id)}: ${view.name.key} has no such message, or not for ${agentId}`,
        );
      }
      case "position": {
        const placement = placeReader(state, position!.epoch, position!.sequence);
        // A read changes nothing: a log that was rolled back gets its new epoch from a subscription, or when it is opened.
        const exact = placement.gap === undefined || placement.gap.cause === "RETENTION";
        // Going back, what was trimmed before a place is simply the end of history.
        if (backward) return { from: exact ? position!.sequence : placement.after + 1, gap: undefined, state };
        return { from: placement.after, gap: placement.gap, state };
      }
    }
  }

  /** Reads until enough is found, or nothing is left, or enough was looked at. */
  async #scan(view: ChannelView, input: FetchInput, place: Place): Promise<FetchOutcome> {
    const { backward, agentId } = input;
    const { responseBytes } = this.#deps.options.limits;
    const test = input.filter && compileFilter(input.filter);
    const found: LogEntry[] = [];
    const gaps: ChannelGap[] = [];
    if (place.gap !== undefined) gaps.push({ name: view.name, ...place.gap });
    let { from, state } = place;
    let bytes = 0;
    let scanned = 0;
    let full = false;
    let caughtUp = false;
    while (!full && !caughtUp && scanned < MAX_SCANNED) {
      const result: ReadResult = await this.#deps.hub.read(view, {
        from,
        backward,
        maxEntries: Math.min(READ_ENTRIES, Math.max(input.maxMessages, 100)),
        maxBytes: responseBytes,
      });
      if (result.state?.incarnation !== view.incarnation) throw deleted(view);
      const { agreed, kind } = compareExtents(state, result.state);
      state = result.state;
      if (kind !== "grown" && from > (backward ? agreed + 1 : agreed)) {
        // The log lost its end between two reads: what was found of it stays, and reading goes on with what is there.
        if (!backward) {
          gaps.push({ name: view.name, first: agreed + 1, last: Math.max(from, state.floor - 1), cause: "NEW_EPOCH" });
        }
        from = backward ? agreed + 1 : Math.max(agreed, state.floor - 1);
        continue;
      }
      if (!backward && state.floor > from + 1) {
        // Trimmed since the place was found.
        gaps.push({ name: view.name, first: from + 1, last: state.floor - 1, cause: "RETENTION" });
        from = state.floor - 1;
      }
      for (const entry of result.entries) {
        const visible = this.#shows(entry, agentId, test);
        full =
          visible &&
          (found.length >= input.maxMessages || (found.length > 0 && bytes + entry.body.length > responseBytes));
        if (full) break;
        from = entry.sequence;
        scanned++;
        if (!visible) continue;
        found.push(entry);
        bytes += entry.body.length;
      }
      for (const hole of holesOf(result)) {
        // Behind a full response: the next one tells of it.
        const reached = !full || (backward ? hole.last > from : hole.first < from);
        if (reached) gaps.push({ name: view.name, ...hole });
      }
      if (full) break;
      from = past(result, from, backward);
      caughtUp = backward ? from <= state.floor : from >= state.head;
      if (result.entries.length === 0 && holesOf(result).length === 0) caughtUp = true;
    }
    // Backward from behind the newest: a position beyond the head would be one of another log.
    const at = backward ? Math.min(from, state.head) : from;
    return {
      sealed: this.#deps.codec.seal(found),
      position: formatPosition(view.name.key, epochAt(state.links, at), at),
      caughtUp: caughtUp && !full,
      gaps,
    };
  }

  #shows(entry: LogEntry, agentId: string, test: EntryTest | undefined): boolean {
    if (!maySee(entry, agentId)) return false;
    if (entry.expiresAtMs !== 0 && entry.expiresAtMs <= this.#deps.clock.now()) return false;
    if (test === undefined) return true;
    let facets: Facets | undefined;
    return test(entry, () => {
      facets ??= this.#deps.codec.facets(entry.body);
      return facets;
    });
  }

  /** Waits until the channel has something behind `after`. False: time is up, or the caller left. */
  #grown(view: ChannelView, after: number, waitMs: number, signal: AbortSignal): Promise<boolean> {
    const { hub, clock } = this.#deps;
    const tail = hub.attach(view);
    return new Promise<boolean>((resolve) => {
      const finish = (grown: boolean) => {
        stop();
        signal.removeEventListener("abort", onAbort);
        tail.listeners.delete(listener);
        hub.release(tail);
        resolve(grown);
      };
      const onAbort = () => finish(false);
      const listener = {
        wake: () => {
          if (tail.gone || tail.head > after) finish(true);
        },
        rewound: () => finish(true),
      };
      const stop = clock.after(waitMs, () => finish(false));
      tail.listeners.add(listener);
      signal.addEventListener("abort", onAbort, { once: true });
      // Something may have come between the last read and now.
      hub.look(tail, view).then(
        (state) => {
          if (state?.incarnation !== view.incarnation || state.head !== after) finish(true);
        },
        () => finish(true),
      );
    });
  }
}

/** The same whether others have messages of this id or not. */
function idLabel(id: string): string {
  return `id ${quote(id)} (among the first ${MAX_OF_ONE_ID} of this id)`;
}

function deleted({ name }: ChannelView): BusError {
  return new BusError("CHANNEL_DELETED", `${name.key} was deleted meanwhile`);
}

function past(result: ReadResult, from: number, backward: boolean): number {
  for (const { first, last } of holesOf(result)) from = backward ? Math.min(from, first) : Math.max(from, last);
  return from;
}

function checked(room: string, channel: string): ChannelName {
  const valid = isName(room) && (room === INBOX_ROOM ? isAgentId(channel) : isName(channel));
  if (!valid) throw new BusError("BAD_NAME", `give room and channel, not ${quote(`${room}:${channel}`)}`);
  return channelName(room, channel);
}
