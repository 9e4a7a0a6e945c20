import type { Clock } from "../../core/clock.ts";
import { compareExtents, type EpochLink } from "../../core/epoch-chain.ts";
import { isBusError } from "../../core/errors.ts";
import type { Logger } from "../../core/logger.ts";
import type { LogEntry } from "../../core/message.ts";
import type { LogEnd, LogState, ReadRequest, ReadResult } from "../../storage/message-log.ts";
import type { ChannelView } from "../directory/registry.ts";
import type { ChannelTail } from "./channel-tail.ts";
import type { EpochRenewals } from "./epoch-renewals.ts";

export interface TailFollowerDependencies {
  readonly clock: Clock;
  readonly logger: Logger;
  readonly renewals: EpochRenewals;
  /** Bytes of one read. */
  readonly maxBytes: number;
  /** Runs a question to the store when it is its turn. */
  readonly ask: <T>(question: () => Promise<T>) => Promise<T>;
  /** Adds entries that follow the tail's head. */
  readonly push: (tail: ChannelTail, entries: readonly LogEntry[]) => void;
  /** The tail's bytes changed by so many; its listeners are to be woken. */
  readonly changed: (tail: ChannelTail, bytes: number) => void;
  /** Makes the log of a channel that has none. Answers the channel as it is now. */
  readonly ensureLog: (view: ChannelView) => Promise<ChannelView | undefined>;
}

/** What was known of a log at one moment. */
export interface Known {
  readonly links: readonly EpochLink[];
  readonly head: number;
}

const RETRY_MS = 250;
const CATCH_UP_ENTRIES = 1_000;

/**
 * Keeps one channel's tail in step with its log: reads what other nodes stored, and notices when the log lost its end.
 *
 * Whatever tells of the log (an append, a ring, a read, the poll) is compared with what is known. What shows less than
 * that, or another epoch, is never believed by itself, since answers overtake each other: the log is then asked once more,
 * and only that answer takes readers back.
 */
export class TailFollower {
  readonly tail: ChannelTail;
  view: ChannelView;
  /** Something told of the log since the poll asked last. */
  heard = false;
  /** Nobody reads it any more. */
  released = false;
  readonly #deps: TailFollowerDependencies;
  #links: readonly EpochLink[] = [];
  #head = 0;
  #catchingUp = false;
  #catchUpAgain = false;
  /** The highest head that rang while the log was being read; what is read may have it already. */
  #rungHead = 0;
  #checking: Promise<void> | undefined;
  /** On the monotonic clock: a log that loses its end, or seems to, is not asked about that all the time. */
  #checkAfterMs = 0;
  #retrying = false;

  constructor(tail: ChannelTail, view: ChannelView, deps: TailFollowerDependencies) {
    this.tail = tail;
    this.view = view;
    this.#deps = deps;
  }

  /** Undefined: the log was not looked at yet. */
  get known(): Known | undefined {
    return this.#links.length === 0 ? undefined : { links: this.#links, head: this.#head };
  }

  /** This node stored these. */
  appended(entries: readonly LogEntry[]): void {
    const { tail } = this;
    const { sequence: first, epoch } = entries[0]!;
    const { sequence: last } = entries[entries.length - 1]!;
    if (this.#links.length === 0) {
      // A tail whose log was not looked at yet begins with the first entry it sees.
      tail.startAt(first - 1);
      this.#links = [{ epoch, first }];
    }
    if (epoch !== this.#epoch) {
      // Issued before the newest link: it is known already, or void.
      if (!this.#links.some((link) => link.epoch === epoch)) this.#startCheck();
      return;
    }
    if (first === tail.head + 1) {
      this.heard = true;
      this.#head = Math.max(this.#head, last);
      this.#deps.push(tail, entries);
    } else if (last > tail.head) void this.catchUp();
  }

  /** The doorbell said that the log has reached `head` under `epoch`. */
  rung(head: number, epoch: number): void {
    const { tail } = this;
    this.heard = true;
    if (this.#links.length === 0) {
      if (head <= tail.head) return;
      tail.startAt(head);
      this.#deps.changed(tail, 0);
    } else if (epoch === this.#epoch) {
      if (head <= tail.head) return;
      if (this.#catchingUp) this.#rungHead = Math.max(this.#rungHead, head);
      else void this.catchUp();
    } else if (!this.#links.some((link) => link.epoch === epoch)) this.#startCheck();
  }

  /** The poll found that the log ends so; `asOf` is what was known when it asked. */
  polled(end: LogEnd | undefined, asOf: Known | undefined): void {
    if (end?.incarnation !== this.view.incarnation) {
      this.#startCheck();
    } else if (end.epoch === this.#epoch) {
      if (end.head > this.tail.head) void this.catchUp();
      else if (asOf !== undefined && epochOf(asOf) === end.epoch && end.head < asOf.head) this.#startCheck();
    } else if (asOf !== undefined && epochOf(asOf) === this.#epoch) this.#startCheck();
  }

  /**
   * The log was seen in this state; `asOf` is what was known when it was asked for. Answers up to which sequence what came
   * with the state is to be believed: Infinity, when it is as it should be.
   */
  observe(told: LogState, asOf: Known | undefined): number {
    if (this.#links.length === 0) {
      this.tail.startAt(told.head);
      this.#adopt(told);
      return Number.POSITIVE_INFINITY;
    }
    const { agreed, kind } = compareExtents({ links: this.#links, head: this.#head }, told);
    if (kind === "grown") {
      this.#adopt(told);
      return Number.POSITIVE_INFINITY;
    }
    // Asked for before what is known was learnt: overtaken, and nothing is wrong.
    const overtaken = asOf === undefined || compareExtents(asOf, told).kind === "grown";
    if (kind === "forked" || !overtaken) this.#startCheck();
    return overtaken && agreed >= told.head ? Number.POSITIVE_INFINITY : agreed;
  }

  /** Reads what the log has beyond the tail. */
  async catchUp(): Promise<void> {
    if (this.#catchingUp) {
      this.#catchUpAgain = true;
      return;
    }
    this.#catchingUp = true;
    try {
      do {
        this.#catchUpAgain = false;
        this.#rungHead = 0;
        while (!this.released && (await this.#readOn()));
      } while ((this.#catchUpAgain || this.#rungHead > this.tail.head) && !this.released);
    } catch (error) {
      this.#retryLater(error, () => void this.catchUp());
    } finally {
      this.#catchingUp = false;
    }
  }

  /** Asks the log where it stands, and takes the readers back when it lost its end. Never fails. */
  check(): Promise<void> {
    this.#checking ??= this.#check()
      .catch((error: unknown) => this.#retryLater(error, () => this.#startCheck()))
      .finally(() => {
        this.#checking = undefined;
      });
    return this.#checking;
  }

  get #epoch(): number {
    return this.#links[this.#links.length - 1]?.epoch ?? 0;
  }

  #adopt(told: LogState): void {
    this.#links = told.links;
    this.#head = Math.max(told.head, this.tail.head);
  }

  /** Answers whether there may be more. */
  async #readOn(): Promise<boolean> {
    const { tail, view } = this;
    const from = tail.head;
    const asOf = this.known;
    const request = { from, backward: false, maxEntries: CATCH_UP_ENTRIES, maxBytes: this.#deps.maxBytes };
    const { entries, state } = await this.#read(request);
    if (this.released) return false;
    if (state?.incarnation !== view.incarnation) {
      this.#startCheck();
      return false;
    }
    if (tail.head !== from) return true;
    const isWhole = this.observe(state, asOf) === Number.POSITIVE_INFINITY;
    // More became known while this was read: the next answer has it.
    const isOvertaken = this.#head > (asOf?.head ?? 0) || epochOf(asOf) !== this.#epoch;
    if (!isWhole) return isOvertaken;
    if (entries.length > 0 && entries[0]!.sequence === from + 1 && isContiguous(entries)) {
      this.#deps.push(tail, entries);
    } else if (state.head > from) {
      // Something in between cannot be read: each reader finds out, and is told, by itself.
      const { bytes } = tail;
      tail.startAt(state.head);
      this.#deps.changed(tail, tail.bytes - bytes);
    }
    return tail.head < state.head || (isOvertaken && tail.head < this.#head);
  }

  #read(request: Omit<ReadRequest, "name">): Promise<ReadResult> {
    const { log, name } = this.view;
    return this.#deps.ask(() => log.read({ name, ...request }));
  }

  #startCheck(): void {
    if (this.#checking !== undefined || this.#retrying || this.released) return;
    const waitMs = this.#checkAfterMs - this.#deps.clock.monotonic();
    if (waitMs <= 0) void this.check();
    else this.#later(waitMs, () => this.#startCheck());
  }

  async #check(): Promise<void> {
    const asOf = this.known;
    let state = await this.#state();
    if (this.released || state === undefined || asOf === undefined) return;
    const found = compareExtents(asOf, state).kind;
    if (found !== "grown") this.#checkAfterMs = this.#deps.clock.monotonic() + RETRY_MS;
    if (found === "behind") {
      // A log that does not know that it lost its end; or an old answer, which a new epoch does no harm to.
      state = await this.#deps.renewals.renew(this.view);
      if (this.released || state === undefined) return;
    }
    const { agreed, kind } = compareExtents({ links: this.#links, head: this.#head }, state);
    if (kind === "grown") this.#adopt(state);
    else if (kind === "forked") this.#rewind(agreed, state);
    if (this.tail.head < state.head) void this.catchUp();
  }

  /** Undefined: there is no log of this incarnation, and none to be made. */
  async #state(): Promise<LogState | undefined> {
    const { log, name, incarnation } = this.view;
    const state = await this.#deps.ask(() => log.state(name));
    if (this.released || state?.incarnation === incarnation) return state;
    // A channel that is gone is dropped when its record is known to be gone; else its log was lost, and is made anew.
    const ensured = await this.#deps.ensureLog(this.view);
    if (this.released || ensured?.incarnation !== incarnation) return undefined;
    const made = await this.#deps.ask(() => log.state(name));
    return made?.incarnation === incarnation ? made : undefined;
  }

  #rewind(agreed: number, state: LogState): void {
    const { tail, view } = this;
    this.#deps.logger.warn(
      { channel: view.name.key, first: agreed + 1, last: this.#head },
      "the log lost its end: these messages are gone, and readers are told so",
    );
    const { bytes } = tail;
    this.#links = state.links;
    this.#head = state.head;
    tail.rewind(agreed, state);
    this.#deps.changed(tail, tail.bytes - bytes);
  }

  #retryLater(error: unknown, task: () => void): void {
    if (!isBusError(error, "STORAGE_UNAVAILABLE")) {
      this.#deps.logger.error({ error, channel: this.tail.key }, "reading failed");
    }
    this.#later(RETRY_MS, task);
  }

  #later(ms: number, task: () => void): void {
    if (this.released) return;
    this.#retrying = true;
    this.#deps.clock.after(ms, () => {
      this.#retrying = false;
      if (!this.released) task();
    });
  }
}

function epochOf(known: Known | undefined): number {
  return known?.links[known.links.length - 1]?.epoch ?? 0;
}

function isContiguous(entries: readonly LogEntry[]): boolean {
  return entries[entries.length - 1]!.sequence - entries[0]!.sequence === entries.length - 1;
}
