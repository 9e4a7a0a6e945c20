import type { Violation } from "./checker.ts";
import { type Delivered, type Gapped, type Place, showPlace } from "./history.ts";
import {
  type HistoryIndex,
  isFor,
  isRolledBack,
  type Publication,
  publicationKey,
  type Stream,
} from "./history-index.ts";

export interface StreamFindings {
  readonly violations: readonly Violation[];
  readonly deliveries: number;
  readonly gaps: number;
}

/** What holds for each reader: order, doubles, exact resume, exact Gaps, nothing that is not for it. */
export function checkStreams(index: HistoryIndex): StreamFindings {
  const violations: Violation[] = [];
  const standing = standingMessages(index);
  /** The furthest place that each (reader, channel) was told, over its streams. */
  const told = new Map<string, Place>();
  const newest = new Map<string, StreamCheck>();
  let deliveries = 0;
  let gaps = 0;
  for (const stream of index.streams) {
    const check = new StreamCheck(index, standing, stream, told, violations);
    check.run();
    newest.set(stream.opened.reader, check);
    for (const event of stream.events) {
      if (event.kind === "delivered") deliveries++;
      if (event.kind === "gap") gaps++;
    }
  }
  for (const reader of index.settled) newest.get(reader)?.expectEverything();
  return { violations, deliveries, gaps };
}

interface StandingMessage {
  readonly place: Place;
  readonly publication: Publication;
}

/** Each channel's messages that somebody saw, ascending; without those that the log went back behind. */
function standingMessages(index: HistoryIndex): ReadonlyMap<string, readonly StandingMessage[]> {
  const byChannel = new Map<string, Map<string, StandingMessage>>();
  for (const { place, id, sender } of index.sightings) {
    const publication = index.publications.get(publicationKey(place.channel, sender, id));
    if (publication === undefined || isRolledBack(index, place)) continue;
    const known = byChannel.get(place.channel) ?? new Map<string, StandingMessage>();
    byChannel.set(place.channel, known.set(showPlace(place), { place, publication }));
  }
  const sorted = (known: Map<string, StandingMessage>) =>
    [...known.values()].sort((a, b) => a.place.sequence - b.place.sequence);
  return new Map([...byChannel].map(([channel, known]) => [channel, sorted(known)]));
}

interface Cursor {
  /** Everything up to here was brought, told as a Gap, or lies before the start. */
  sequence: number;
  /** Undefined until a message or a position names it. */
  epoch: number | undefined;
  /** How far it came under that epoch: what a Gap skips may be of a later one. */
  reached: number;
  /** Where the stream began in this channel. */
  start: number;
  /** Up to this sequence, what retention trimmed is owed to nobody: the stream asked for what is there, or was told. */
  forgiven: number;
  readonly brought: Set<string>;
}

class StreamCheck {
  readonly #index: HistoryIndex;
  readonly #standing: ReadonlyMap<string, readonly StandingMessage[]>;
  readonly #stream: Stream;
  readonly #told: Map<string, Place>;
  readonly #violations: Violation[];
  readonly #cursors = new Map<string, Cursor>();

  constructor(
    index: HistoryIndex,
    standing: ReadonlyMap<string, readonly StandingMessage[]>,
    stream: Stream,
    told: Map<string, Place>,
    violations: Violation[],
  ) {
    this.#index = index;
    this.#standing = standing;
    this.#stream = stream;
    this.#told = told;
    this.#violations = violations;
  }

  run(): void {
    const { start } = this.#stream.opened;
    if (typeof start !== "string") for (const place of start) this.#resume(place);
    for (const event of this.#stream.events) {
      if (event.kind === "delivered") this.#deliver(event);
      else if (event.kind === "gap") this.#gap(event);
      else if (event.kind === "positions") for (const place of event.places) this.#position(place);
    }
  }

  expectEverything(): void {
    for (const [channel, cursor] of this.#cursors) {
      const head = this.#index.finals.get(channel)?.head ?? this.#standing.get(channel)?.at(-1)?.place.sequence ?? 0;
      this.#expect("UNDELIVERED", channel, cursor, head + 1, undefined);
    }
  }

  #report(rule: Violation["rule"], text: string): void {
    this.#violations.push({ rule, text: `${this.#stream.opened.stream} of ${this.#stream.opened.agent}: ${text}` });
  }

  #resume(place: Place): void {
    this.#cursors.set(place.channel, newCursor(place.sequence, place.epoch, 0));
    const told = this.#told.get(this.#toldKey(place.channel));
    if (told !== undefined && told.epoch === place.epoch && place.sequence > told.sequence) {
      this.#report("RESUME_AHEAD", `resumed from ${showPlace(place)}, but was told no more than ${showPlace(told)}`);
    }
  }

  /** A channel that appears in the stream without a position it was resumed from. */
  #cursor(channel: string, first: number): Cursor {
    const known = this.#cursors.get(channel);
    if (known !== undefined) return known;
    // From now on: the first thing told says where that was. Else, also for channels new to a resume, from the oldest.
    const cursor =
      this.#stream.opened.start === "new"
        ? newCursor(first, undefined, 0)
        : newCursor(0, undefined, Number.POSITIVE_INFINITY);
    this.#cursors.set(channel, cursor);
    return cursor;
  }

  #deliver(event: Delivered): void {
    const { place, id } = event;
    const { channel, sequence } = place;
    const where = `${id} at ${showPlace(place)}`;
    const publication = this.#index.publications.get(publicationKey(channel, event.sender, id));
    if (publication !== undefined) this.#judgeAudience(publication, place, where);

    const cursor = this.#cursor(channel, sequence - 1);
    this.#changeEpoch(cursor, place);
    const key = showPlace(place);
    if (cursor.brought.has(key)) this.#report("STREAM_DUPLICATE", where);
    else if (sequence <= cursor.start) this.#report("RESUME_REPEATED", `${where}, resumed after ${cursor.start}`);
    else if (sequence <= cursor.sequence) this.#report("STREAM_ORDER", `${where} came behind ${cursor.sequence}`);
    cursor.brought.add(key);
    this.#expect("MISSED", channel, cursor, sequence, place);
    this.#moveTo(cursor, place);
  }

  #judgeAudience(publication: Publication, place: Place, where: string): void {
    const { agent, echo, only } = this.#stream.opened;
    if (isFor(publication, agent, place) === false && !this.#isUntold(publication, place))
      this.#report("LEAKED", where);
    if (publication.sender === agent && echo !== true) this.#report("UNWANTED", `${where} is the reader's own`);
    if (only !== undefined && publication.label !== only) this.#report("UNWANTED", `${where} is not labelled ${only}`);
  }

  /** It was stored here, nobody was told so, and it was lost: routed again it may have come to be for others. */
  #isUntold(publication: Publication, place: Place): boolean {
    const { isRouted, audiences } = publication;
    return isRouted && !audiences.has(showPlace(place)) && this.#index.lost.find(place) !== undefined;
  }

  #position(place: Place): void {
    const cursor = this.#cursor(place.channel, place.sequence);
    this.#changeEpoch(cursor, place);
    if (place.sequence < cursor.sequence && (cursor.epoch === undefined || cursor.epoch === place.epoch)) {
      this.#report("STREAM_ORDER", `the position ${showPlace(place)} came behind ${cursor.sequence}`);
      return;
    }
    this.#expect("MISSED", place.channel, cursor, place.sequence + 1, place);
    this.#moveTo(cursor, place);
  }

  /** The stream comes to another epoch without having been told a Gap. */
  #changeEpoch(cursor: Cursor, place: Place): void {
    const { epoch, reached: sequence } = cursor;
    if (epoch === undefined || epoch === place.epoch) return;
    const { channel } = place;
    if (this.#stream.opened.isPartial === true || this.#index.lost.isDeleted(channel, epoch)) {
      // Another channel of the same name, read from its first message; or one that was left and joined again.
      Object.assign(cursor, newCursor(0, undefined, Number.POSITIVE_INFINITY));
      return;
    }
    const was = { channel, epoch, sequence };
    const lost = this.#index.lost.find(was);
    if (lost !== undefined && lost.epochs?.includes(place.epoch) !== true) {
      this.#report("LOSS_UNTOLD", `came to ${showPlace(place)} from ${showPlace(was)}, which was lost, without a Gap`);
    }
  }

  #moveTo(cursor: Cursor, place: Place): void {
    cursor.sequence = Math.max(cursor.sequence, place.sequence);
    cursor.epoch = place.epoch;
    cursor.reached = place.sequence;
    if (cursor.forgiven <= place.sequence || cursor.forgiven === Number.POSITIVE_INFINITY) cursor.forgiven = 0;
    const key = this.#toldKey(place.channel);
    const told = this.#told.get(key);
    if (told === undefined || told.epoch !== place.epoch || told.sequence < place.sequence) this.#told.set(key, place);
  }

  #gap({ channel, first, last, cause }: Gapped): void {
    const cursor = this.#cursor(channel, first - 1);
    const text = `a Gap ${first} to ${last === 0 ? "?" : last} (${cause}) in ${channel}`;
    if (cause === "NEW_EPOCH") {
      // The range is of the reader's old epoch. In the new one the same sequences hold other messages, still to come. One
      // that joined the channel may not have been told any epoch yet.
      const isUnknown = cursor.epoch === undefined && this.#stream.opened.isPartial === true;
      if (!isUnknown) this.#denyGap(channel, first, last, text, cursor.epoch);
      cursor.forgiven = last === 0 ? Number.POSITIVE_INFINITY : last;
      cursor.sequence = last === 0 ? 0 : Math.min(cursor.sequence, first - 1);
      cursor.start = cursor.sequence;
      cursor.epoch = undefined;
      return;
    }
    if (first <= cursor.sequence)
      this.#report("GAP_FALSE", `${text}, but the stream was at ${cursor.sequence} already`);
    // With its end a log loses trims, too: what was gone for good reason may be there again.
    const mayBeBack = cause === "RETENTION" && this.#index.lost.hasAny(channel);
    if (!mayBeBack) this.#denyGap(channel, first, last, text, undefined);
    this.#expect("MISSED", channel, cursor, first, undefined);
    cursor.sequence = Math.max(cursor.sequence, last);
  }

  /** Nothing retained to the end may lie in what was said to be gone. `epoch`: the range means sequences of that one. */
  #denyGap(channel: string, first: number, last: number, text: string, epoch: number | undefined): void {
    const final = this.#index.finals.get(channel);
    for (let sequence = first; final !== undefined && sequence <= Math.min(last, final.head); sequence++) {
      const there = final.entries.get(sequence);
      if (there === undefined || (epoch !== undefined && there.epoch !== epoch)) continue;
      this.#report("GAP_FALSE", `${text}, but ${there.id} is there at ${sequence}`);
      return;
    }
  }

  /** Everything the reader may see between its cursor and `end` must have come, when the stream is at `seen`. */
  #expect(rule: Violation["rule"], channel: string, cursor: Cursor, end: number, seen: Place | undefined): void {
    const messages = this.#standing.get(channel) ?? [];
    const final = this.#index.finals.get(channel);
    // In a log that went back later, the stream was on the branch that is gone: only its own epoch can be compared.
    const onLostBranch = seen !== undefined && isRolledBack(this.#index, seen);
    for (let i = firstBehind(messages, cursor.sequence); i < messages.length; i++) {
      const { place, publication } = messages[i]!;
      if (place.sequence >= end) break;
      if (onLostBranch && place.epoch !== seen.epoch) continue;
      if (place.sequence <= cursor.forgiven && final !== undefined && place.sequence < final.floor) continue;
      if (!this.#isOwed(publication, place) || cursor.brought.has(showPlace(place))) continue;
      this.#report(rule, `${publication.id} at ${showPlace(place)} did not come`);
    }
  }

  #isOwed(publication: Publication, place: Place): boolean {
    const { agent, echo, only, isPartial } = this.#stream.opened;
    if (isPartial === true || publication.mayExpire || isFor(publication, agent, place) !== true) return false;
    if (publication.sender === agent && echo !== true) return false;
    return only === undefined || publication.label === only;
  }

  #toldKey(channel: string): string {
    return `${this.#stream.opened.reader}\n${channel}`;
  }
}

function newCursor(sequence: number, epoch: number | undefined, forgiven: number): Cursor {
  return { sequence, epoch, reached: sequence, start: sequence, forgiven, brought: new Set() };
}

/** Index of the first message with a higher sequence. */
function firstBehind(messages: readonly StandingMessage[], sequence: number): number {
  let low = 0;
  let high = messages.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (messages[middle]!.place.sequence <= sequence) low = middle + 1;
    else high = middle;
  }
  return low;
}
