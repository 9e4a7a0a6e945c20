import type { Clock } from "../../core/clock.ts";
import { epochAt, type LogExtent } from "../../core/epoch-chain.ts";
import { BusError, isBusError } from "../../core/errors.ts";
import type { LogEntry } from "../../core/message.ts";
import type { ChannelGap, Delivery, EndReason, MessageCodec } from "../../core/message-codec.ts";
import type { Counter } from "../../core/meters.ts";
import { formatPosition } from "../../core/position.ts";
import type { LogPlace } from "../../core/room.ts";
import type { ChannelView } from "../directory/registry.ts";
import type { ChannelTail, TailListener } from "./channel-tail.ts";
import { DeliveryRule, type DeliveryRuleSettings } from "./delivery-rule.ts";
import { gapError } from "./gap-error.ts";
import type { Hub, TailRead } from "./hub.ts";
import { pageBehind } from "./store-page.ts";
import { voidRange } from "./void-range.ts";

export interface SubscriptionSettings extends DeliveryRuleSettings {
  readonly failOnGap: boolean;
  /** 0: as many as fit. */
  readonly maxMessages: number;
  readonly heartbeatMs: number;
  readonly deliveryBytes: number;
}

export interface SubscriptionDependencies {
  readonly hub: Hub;
  readonly codec: MessageCodec;
  readonly clock: Clock;
  readonly delivered: Counter;
  readonly gaps: (cause: ChannelGap["cause"]) => Counter;
}

/** Where one subscription stands in one channel. */
interface Cursor extends TailListener {
  readonly tail: ChannelTail;
  readonly view: ChannelView;
  /** Everything up to here was delivered, or is not for this reader. */
  after: number;
  /** The epoch of `after`. */
  epoch: number;
  /** The last sequence whose position the client was told. */
  announced: number;
  /** The head when the subscription opened: reaching it counts as caught up. */
  target: number;
  caughtUp: boolean;
  queued: boolean;
  reading: boolean;
}

const STORE_ENTRIES = 1_000;
const FIRST_RETRY_MS = 100;
const MAX_RETRY_MS = 2_000;

/**
 * One live stream: a position in each of its channels, and nothing that grows. `next` makes a frame only when it is
 * asked for one, so a reader that stops asking costs what it costs when idle; it goes on from the store.
 *
 *   live ──(falls out of the tail)──▶ reading the store ──(reaches the tail)──▶ live
 */
export class Subscription {
  readonly settings: SubscriptionSettings;
  readonly rule: DeliveryRule;
  /** Set by the transport. Called when `next` may have something, also while the transport is not ready for it. */
  onReady: () => void = () => {};
  /** Once set and `next` answered undefined, the stream is finished: with this error, or without one on purpose. */
  finished: { readonly error: BusError | undefined } | undefined;
  readonly #deps: SubscriptionDependencies;
  readonly #cursors = new Map<string, Cursor>();
  /** Frames that go first: opened, gaps, what the store gave, heartbeats, the end. */
  readonly #frames: Uint8Array[] = [];
  /** Channels that came after the opening and whose position the client was not told: one frame tells all of them. */
  readonly #untold = new Set<Cursor>();
  #queue: Cursor[] = [];
  #readingStore = false;
  #toCatchUp = 0;
  #opened = false;
  /** The node began to leave before the stream was open. */
  #goAwayMs: number | undefined;
  #closed = false;
  #quietSinceMs: number;
  #retryMs = FIRST_RETRY_MS;
  readonly #onClose: (graceful: boolean) => void;

  constructor(settings: SubscriptionSettings, deps: SubscriptionDependencies, onClose: (graceful: boolean) => void) {
    this.settings = settings;
    this.rule = new DeliveryRule(settings, deps.codec);
    this.#deps = deps;
    this.#onClose = onClose;
    this.#quietSinceMs = deps.clock.monotonic();
  }

  get channelCount(): number {
    return this.#cursors.size;
  }

  has(key: string): boolean {
    return this.#cursors.has(key);
  }

  /** Starts reading a channel behind `after`; `head` is where its log stood when that was decided. */
  add(view: ChannelView, tail: ChannelTail, after: number, epoch: number, head: number): void {
    if (this.#closed || this.finished !== undefined || this.#cursors.has(view.name.key)) {
      this.#deps.hub.release(tail);
      return;
    }
    const cursor: Cursor = {
      tail,
      view,
      after,
      epoch,
      announced: after,
      target: this.#opened ? 0 : head,
      caughtUp: this.#opened || after >= head,
      queued: false,
      reading: false,
      wake: () => this.#wake(cursor),
      rewound: (agreed, log) => this.#rewound(cursor, agreed, log),
    };
    if (!cursor.caughtUp) this.#toCatchUp++;
    tail.listeners.add(cursor);
    this.#cursors.set(view.name.key, cursor);
    // Told at once, so that a client that is cut before the first message knows where it stood.
    if (this.#opened) {
      this.#untold.add(cursor);
      this.onReady();
    }
    if (after < tail.head) this.#wake(cursor);
  }

  /** Where the stream stands in a channel; undefined: it does not read it. */
  placeIn(key: string): LogPlace | undefined {
    const cursor = this.#cursors.get(key);
    return cursor && { epoch: cursor.epoch, sequence: cursor.after };
  }

  /** Stops reading a channel. Answers how many are left. */
  remove(key: string): number {
    const cursor = this.#cursors.get(key);
    if (cursor !== undefined) {
      this.#cursors.delete(key);
      this.#detach(cursor);
      this.#checkCaughtUp(cursor);
    }
    return this.#cursors.size;
  }

  /** The first response: where the stream stands in every channel, and what it will never get. */
  open(nodeId: string, gaps: readonly ChannelGap[]): void {
    this.#opened = true;
    for (const gap of gaps) this.#deps.gaps(gap.cause).add(1);
    const positions: string[] = [];
    for (const [key, { epoch, after }] of this.#cursors) positions.push(formatPosition(key, epoch, after));
    const frame = this.#deps.codec.frame({
      positions,
      gaps,
      opened: { nodeId, agentId: this.settings.agentId, heartbeatMs: this.settings.heartbeatMs },
      caughtUp: this.#toCatchUp === 0,
      serverTimeMs: this.#deps.clock.now(),
      ...(this.#goAwayMs === undefined ? {} : { goAwayMs: this.#goAwayMs }),
    });
    // Before the end, when the stream was ended while it was being opened.
    this.#frames.unshift(frame);
    this.onReady();
  }

  /** What the stream will never get of a channel that came after its opening. */
  tellGap(gap: ChannelGap): void {
    this.#deps.gaps(gap.cause).add(1);
    if (this.settings.failOnGap) this.fail(gapError(gap));
    else this.#pushFrame({ gaps: [gap] });
  }

  /** The next finished frame, or undefined: nothing now, `onReady` will tell. */
  next(): Uint8Array | undefined {
    const frame = this.#frames.shift() ?? this.#tellNew() ?? this.#takeLive();
    if (frame !== undefined) this.#quietSinceMs = this.#deps.clock.monotonic();
    return frame;
  }

  /** Called once a second: says that the stream lives, and where it stands, when there was nothing to say. */
  tick(nowMs: number): void {
    if (!this.#opened || this.finished !== undefined || this.#frames.length > 0) return;
    if (nowMs - this.#quietSinceMs < this.settings.heartbeatMs) return;
    const positions: string[] = [];
    for (const [key, cursor] of this.#cursors) {
      if (cursor.announced === cursor.after) continue;
      cursor.announced = cursor.after;
      positions.push(formatPosition(key, cursor.epoch, cursor.after));
    }
    this.#pushFrame({ positions, serverTimeMs: this.#deps.clock.now() });
  }

  goAway(graceMs: number): void {
    if (this.#opened) this.#pushFrame({ goAwayMs: graceMs });
    else this.#goAwayMs = graceMs;
  }

  /** Finishes the stream on purpose: what is ready is still delivered, then `end`. */
  end(reason: EndReason, message: string, channel = ""): void {
    if (this.#closed || this.finished !== undefined) return;
    this.#stop();
    this.#frames.push(this.#deps.codec.frame({ end: { reason, message, channel } }));
    this.finished = { error: undefined };
    this.onReady();
  }

  fail(error: BusError): void {
    if (this.#closed || this.finished !== undefined) return;
    this.#stop();
    this.finished = { error };
    this.onReady();
  }

  /** The transport is done with it. Calling it twice is harmless. */
  close(graceful: boolean): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#stop();
    this.#frames.length = 0;
    this.#onClose(graceful);
  }

  #stop(): void {
    for (const cursor of this.#cursors.values()) this.#detach(cursor);
    this.#cursors.clear();
    this.#queue = [];
  }

  #detach(cursor: Cursor): void {
    this.#untold.delete(cursor);
    cursor.tail.listeners.delete(cursor);
    this.#deps.hub.release(cursor.tail);
  }

  #wake(cursor: Cursor): void {
    if (!cursor.queued && !cursor.reading) {
      cursor.queued = true;
      this.#queue.push(cursor);
    }
    this.onReady();
  }

  #tellNew(): Uint8Array | undefined {
    if (this.#untold.size === 0) return undefined;
    const positions: string[] = [];
    for (const cursor of this.#untold) {
      cursor.announced = cursor.after;
      positions.push(formatPosition(cursor.view.name.key, cursor.epoch, cursor.after));
    }
    this.#untold.clear();
    return this.#deps.codec.frame({ positions });
  }

  #takeLive(): Uint8Array | undefined {
    while (this.#queue.length > 0) {
      const cursor = this.#queue[0]!;
      if (this.#cursors.get(cursor.view.name.key) !== cursor || cursor.after >= cursor.tail.head) {
        this.#queue.shift();
        cursor.queued = false;
        continue;
      }
      if (!cursor.tail.covers(cursor.after)) {
        // One read at a time for each subscription: that bounds what it holds.
        if (this.#readingStore) return undefined;
        this.#queue.shift();
        cursor.queued = false;
        void this.#readStore(cursor);
        continue;
      }
      const frame = this.#takeFromTail(cursor);
      if (cursor.after < cursor.tail.head && this.#queue.length > 1) {
        this.#queue.push(this.#queue.shift()!);
      }
      this.#checkCaughtUp(cursor);
      if (frame !== undefined) return frame;
      if (this.#frames.length > 0) return this.#frames.shift();
    }
    return undefined;
  }

  #takeFromTail(cursor: Cursor): Uint8Array | undefined {
    const { agentId, test, echo, maxMessages } = this.settings;
    const range = cursor.tail.range(cursor.after);
    const shared =
      range.open &&
      test === undefined &&
      (echo || !range.senders.has(agentId)) &&
      (maxMessages === 0 || range.count <= maxMessages) &&
      (range.expiresAtMs === 0 || range.expiresAtMs > this.#deps.clock.now());
    if (shared) {
      cursor.after = range.end;
      cursor.epoch = range.epoch;
      cursor.announced = range.end;
      this.#deps.delivered.add(range.count);
      return range.frame;
    }
    return this.#composeFromTail(cursor, range.end);
  }

  #composeFromTail(cursor: Cursor, end: number): Uint8Array | undefined {
    const { tail } = cursor;
    const max = this.settings.maxMessages || Number.POSITIVE_INFINITY;
    const nowMs = this.#deps.clock.now();
    const sealed: Uint8Array[] = [];
    while (cursor.after < end && sealed.length < max) {
      const entry = tail.entry(cursor.after + 1)!;
      cursor.after = entry.sequence;
      cursor.epoch = entry.epoch;
      if (this.rule.delivers(entry, nowMs)) sealed.push(tail.sealed(entry.sequence));
    }
    return sealed.length === 0 ? undefined : this.#frame(cursor, sealed);
  }

  #frame(cursor: Cursor, sealed: readonly Uint8Array[]): Uint8Array {
    cursor.announced = cursor.after;
    this.#deps.delivered.add(sealed.length);
    const position = formatPosition(cursor.view.name.key, cursor.epoch, cursor.after);
    return this.#deps.codec.frame({ sealed, positions: [position] });
  }

  /** The log lost its end. Who stands behind what is left of it goes back there, and is told what was taken away. */
  #rewound(cursor: Cursor, agreed: number, log: LogExtent): void {
    cursor.target = Math.min(cursor.target, agreed);
    const gap = voidRange(log, agreed, cursor.epoch, cursor.after);
    if (gap !== undefined) {
      cursor.after = Math.max(gap.first - 1, log.floor - 1);
      cursor.epoch = epochAt(log.links, cursor.after);
      if (!this.#gap(cursor, { name: cursor.view.name, ...gap })) return;
      this.onReady();
    }
    this.#checkCaughtUp(cursor);
  }

  async #readStore(cursor: Cursor): Promise<void> {
    this.#readingStore = true;
    cursor.reading = true;
    const from = cursor.after;
    try {
      const result = await this.#deps.hub.readBehind(cursor.tail, cursor.view, {
        from,
        backward: false,
        maxEntries: Math.min(STORE_ENTRIES, this.settings.maxMessages || STORE_ENTRIES),
        maxBytes: this.settings.deliveryBytes,
      });
      cursor.reading = false;
      if (this.#isCurrent(cursor)) {
        // Without a log: deleted, which the rooms will tell, or lost and being made anew.
        if (result === undefined) this.#retryLater(cursor);
        else if (cursor.after === from) this.#takeFromStore(cursor, result);
        else this.#wake(cursor); // taken back while it was read
      }
    } catch (error) {
      if (!isBusError(error, "STORAGE_UNAVAILABLE")) {
        this.fail(isBusError(error) ? error : new BusError("INTERNAL", "reading failed", { cause: error }));
        return;
      }
      // The storage is away: the stream stays, and goes on when it is back.
      this.#retryLater(cursor);
    } finally {
      this.#readingStore = false;
    }
    if (!this.#closed) this.onReady();
  }

  #isCurrent(cursor: Cursor): boolean {
    return !this.#closed && this.#cursors.get(cursor.view.name.key) === cursor;
  }

  /** What the store gave becomes frames and gaps, in the order of the log. */
  #takeFromStore(cursor: Cursor, read: TailRead): void {
    const nowMs = this.#deps.clock.now();
    const before = cursor.after;
    let sealing: LogEntry[] = [];
    const flush = () => {
      if (sealing.length === 0) return;
      this.#frames.push(this.#frame(cursor, this.#deps.codec.seal(sealing)));
      sealing = [];
    };
    for (const item of pageBehind(before, read)) {
      if ("sequence" in item) {
        cursor.after = item.sequence;
        cursor.epoch = item.epoch;
        if (this.rule.delivers(item, nowMs)) sealing.push(item);
        continue;
      }
      flush();
      cursor.after = item.last;
      cursor.epoch = epochAt(read.state.links, item.last);
      if (!this.#gap(cursor, { name: cursor.view.name, ...item })) return;
    }
    flush();
    this.#checkCaughtUp(cursor);
    if (cursor.after >= cursor.tail.head) return;
    if (cursor.after > before) {
      this.#retryMs = FIRST_RETRY_MS;
      this.#wake(cursor);
    } else this.#retryLater(cursor); // the store is behind what was announced: it will not be for long
  }

  #retryLater(cursor: Cursor): void {
    const delayMs = this.#retryMs;
    this.#retryMs = Math.min(delayMs * 2, MAX_RETRY_MS);
    cursor.reading = true;
    this.#deps.clock.after(delayMs, () => {
      cursor.reading = false;
      if (this.#isCurrent(cursor)) this.#wake(cursor);
    });
  }

  /** Answers whether the stream goes on. */
  #gap(cursor: Cursor, gap: ChannelGap): boolean {
    this.#deps.gaps(gap.cause).add(1);
    if (this.settings.failOnGap) {
      this.fail(gapError(gap));
      return false;
    }
    cursor.announced = cursor.after;
    const position = formatPosition(cursor.view.name.key, cursor.epoch, cursor.after);
    this.#frames.push(this.#deps.codec.frame({ gaps: [gap], positions: [position] }));
    return true;
  }

  #checkCaughtUp(cursor: Cursor): void {
    if (cursor.caughtUp || (cursor.after < cursor.target && this.#cursors.has(cursor.view.name.key))) return;
    cursor.caughtUp = true;
    this.#toCatchUp--;
    if (this.#toCatchUp === 0 && this.#opened) this.#pushFrame({ caughtUp: true });
  }

  /** Nothing goes behind the end. */
  #pushFrame(delivery: Delivery): void {
    if (this.#closed || this.finished !== undefined) return;
    this.#frames.push(this.#deps.codec.frame(delivery));
    this.onReady();
  }
}
