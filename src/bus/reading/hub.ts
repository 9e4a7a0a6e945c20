import type { BusOptions } from "../../core/bus-options.ts";
import type { Clock, Stop } from "../../core/clock.ts";
import type { Logger } from "../../core/logger.ts";
import type { LogEntry } from "../../core/message.ts";
import type { MessageCodec } from "../../core/message-codec.ts";
import type { Doorbell } from "../../storage/doorbell.ts";
import type { LogState, MessageLog, ReadRequest, ReadResult } from "../../storage/message-log.ts";
import type { ChannelView } from "../directory/registry.ts";
import { ChannelTail } from "./channel-tail.ts";
import { EndPoll } from "./end-poll.ts";
import type { EpochRenewals } from "./epoch-renewals.ts";
import { ReadGate } from "./read-gate.ts";
import { TailFollower, type TailFollowerDependencies } from "./tail-follower.ts";

export interface HubDependencies {
  readonly codec: MessageCodec;
  readonly clock: Clock;
  readonly doorbell: Doorbell;
  readonly options: BusOptions;
  readonly logger: Logger;
  readonly renewals: EpochRenewals;
  /** The log that other nodes append to as well; undefined: there are none. */
  readonly sharedLog: MessageLog | undefined;
  /** Makes the log of a channel that has none. Answers the channel as it is now; undefined: there is none. */
  readonly ensureLog: (view: ChannelView) => Promise<ChannelView | undefined>;
}

/** What a read of the store found, for a reader that follows a tail. */
export interface TailRead extends ReadResult {
  readonly state: LogState;
  /** Up to this sequence it is to be believed: beyond, the log may have been rolled back. */
  readonly agreed: number;
}

const SWEEP_MS = 1_000;
/** How often a log is asked where it stands while its answers contradict each other. */
const MAX_LOOKS = 3;

/**
 * Brings new entries to those who read live. One tail for each channel that somebody listens to; one flush for each
 * turn of the event loop, so that batches are of one when the bus is idle and grow with the load.
 */
export class Hub {
  readonly #codec: MessageCodec;
  readonly #clock: Clock;
  readonly #options: BusOptions;
  readonly #attached = new Map<string, TailFollower>();
  readonly #following: TailFollowerDependencies;
  readonly #reads: ReadGate;
  readonly #poll: EndPoll | undefined;
  readonly #stops: Stop[];
  #dirty = new Set<ChannelTail>();
  #scheduled = false;
  #bytes = 0;

  constructor({ codec, clock, doorbell, options, logger, renewals, sharedLog, ensureLog }: HubDependencies) {
    this.#codec = codec;
    this.#clock = clock;
    this.#options = options;
    this.#reads = new ReadGate(options.limits.concurrentReads);
    this.#following = {
      clock,
      logger,
      renewals,
      maxBytes: options.limits.tailBytes,
      ask: (question) => this.#reads.run(question),
      push: (tail, entries) => this.#push(tail, entries),
      changed: (tail, bytes) => {
        this.#bytes += bytes;
        this.#schedule(tail);
      },
      ensureLog,
    };
    this.#poll = sharedLog && new EndPoll({ log: sharedLog, clock, logger, followers: () => this.#attached.values() });
    this.#stops = [
      clock.every(SWEEP_MS, () => this.#sweep()),
      doorbell.listen((ring) => {
        if (ring.topic === "log") this.#attached.get(ring.key)?.rung(ring.head, ring.epoch);
        else if (ring.topic === "missed") this.#poll?.pollAll();
      }),
    ];
  }

  /** The channel's tail, kept as long as it has listeners: add one at once, and `release` when it is gone. */
  attach(view: ChannelView): ChannelTail {
    const { key } = view.name;
    const known = this.#attached.get(key);
    if (known?.view.incarnation === view.incarnation) return known.tail;
    const tail = new ChannelTail(key, this.#codec, this.#options.limits.deliveryBytes);
    // Of a channel that is gone, as whoever asks will find out: nobody tells this tail anything.
    if (known !== undefined && known.view.incarnation > view.incarnation) return tail;
    this.drop(key);
    this.#attached.set(key, new TailFollower(tail, view, this.#following));
    return tail;
  }

  release(tail: ChannelTail): void {
    const follower = this.#followerOf(tail);
    if (follower !== undefined && tail.listeners.size === 0) this.#detach(follower);
  }

  /** The channel is gone, or is another one of the same name: its tail is of no use any more. */
  drop(key: string): void {
    const follower = this.#attached.get(key);
    if (follower === undefined) return;
    const { tail } = follower;
    this.#detach(follower);
    tail.gone = true;
    for (const listener of [...tail.listeners]) listener.wake();
  }

  /** Whether anyone reads the channel live: else what is stored needs not be told. */
  isRead(view: ChannelView): boolean {
    return this.#attached.get(view.name.key)?.view.incarnation === view.incarnation;
  }

  /** Entries were stored by this node. */
  appended(view: ChannelView, entries: readonly LogEntry[]): void {
    const follower = this.#attached.get(view.name.key);
    if (follower?.view.incarnation !== view.incarnation || entries.length === 0) return;
    follower.view = view;
    follower.appended(entries);
  }

  /** The log has reached this sequence with something that is no entry: each reader finds out by itself. */
  advanced(key: string, head: number, epoch: number): void {
    this.#attached.get(key)?.rung(head, epoch);
  }

  /** How many readers a channel has on this node. */
  readersOf(key: string): number {
    return this.#attached.get(key)?.tail.listeners.size ?? 0;
  }

  /** The entry, when a tail holds it. */
  recent(key: string, sequence: number): LogEntry | undefined {
    return this.#attached.get(key)?.tail.entry(sequence);
  }

  /** Reads the store for one reader; only so many at the same time. */
  read(view: ChannelView, request: Omit<ReadRequest, "name">): Promise<ReadResult> {
    return this.#reads.run(() => view.log.read({ name: view.name, ...request }));
  }

  /** The same for a reader that follows this tail. Undefined: there is no log of this incarnation now. */
  async readBehind(
    tail: ChannelTail,
    view: ChannelView,
    request: Omit<ReadRequest, "name">,
  ): Promise<TailRead | undefined> {
    const asOf = this.#followerOf(tail)?.known;
    const result = await this.read(view, request);
    const { state } = result;
    const follower = this.#followerOf(tail);
    if (state?.incarnation !== view.incarnation) {
      void follower?.check();
      return undefined;
    }
    return { ...result, state, agreed: follower?.observe(state, asOf) ?? Number.POSITIVE_INFINITY };
  }

  /**
   * The channel's log as it is now, with its tail in step; undefined: there is none. What it tells of another incarnation
   * is for the caller to find out.
   */
  async look(tail: ChannelTail, view: ChannelView): Promise<LogState | undefined> {
    for (let attempt = 1; ; attempt++) {
      const asOf = this.#followerOf(tail)?.known;
      const state = await view.log.state(view.name);
      const follower = this.#followerOf(tail);
      if (state?.incarnation !== view.incarnation || follower === undefined) return state;
      if (follower.observe(state, asOf) === Number.POSITIVE_INFINITY) {
        if (tail.head < state.head) void follower.catchUp();
        return state;
      }
      // Rolled back, or overtaken. Where even a new question answers less than is known, it is taken as it is.
      if (attempt === MAX_LOOKS) return state;
      await follower.check();
    }
  }

  /** The log was seen in this state just now. */
  observed(tail: ChannelTail, state: LogState): void {
    const follower = this.#followerOf(tail);
    follower?.observe(state, follower.known);
  }

  get bytes(): number {
    return this.#bytes;
  }

  close(): void {
    for (const stop of this.#stops) stop();
    this.#poll?.close();
    for (const follower of this.#attached.values()) follower.released = true;
    this.#attached.clear();
  }

  #followerOf(tail: ChannelTail): TailFollower | undefined {
    const follower = this.#attached.get(tail.key);
    return follower?.tail === tail ? follower : undefined;
  }

  #detach(follower: TailFollower): void {
    follower.released = true;
    this.#bytes -= follower.tail.bytes;
    this.#attached.delete(follower.tail.key);
  }

  #push(tail: ChannelTail, entries: readonly LogEntry[]): void {
    const before = tail.bytes;
    tail.push(entries);
    tail.trim(this.#options.limits.tailBytes);
    this.#bytes += tail.bytes - before;
    if (this.#bytes > this.#options.limits.totalTailBytes) this.#letGo();
    this.#schedule(tail);
  }

  #schedule(tail: ChannelTail): void {
    this.#dirty.add(tail);
    if (this.#scheduled) return;
    this.#scheduled = true;
    this.#clock.defer(() => this.#flush());
  }

  #flush(): void {
    this.#scheduled = false;
    const dirty = this.#dirty;
    this.#dirty = new Set();
    for (const tail of dirty) {
      for (const listener of tail.listeners) listener.wake();
    }
  }

  /** Too much is held over all channels: those that were quiet longest let go first. */
  #letGo(): void {
    for (const { tail } of this.#attached.values()) {
      if (this.#bytes <= this.#options.limits.totalTailBytes / 2) return;
      this.#bytes -= tail.bytes;
      tail.clear();
    }
  }

  /** A quiet tail holds nothing: whoever is still behind reads the store. */
  #sweep(): void {
    for (const { tail } of this.#attached.values()) {
      if (tail.active) tail.active = false;
      else if (tail.bytes > 0) {
        this.#bytes -= tail.bytes;
        tail.clear();
      }
    }
  }
}
