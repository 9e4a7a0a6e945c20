import type { BusOptions } from "../core/bus-options.ts";
import type { Clock, Stop } from "../core/clock.ts";
import { isBusError } from "../core/errors.ts";
import type { Logger } from "../core/logger.ts";
import type { LogEntry } from "../core/message.ts";
import type { MessageCodec } from "../core/message-codec.ts";
import type { Doorbell } from "../storage/doorbell.ts";
import type { ReadRequest, ReadResult } from "../storage/message-log.ts";
import { ChannelTail } from "./channel-tail.ts";
import { ReadGate } from "./read-gate.ts";
import type { ChannelView } from "./registry.ts";

export interface HubDependencies {
  readonly codec: MessageCodec;
  readonly clock: Clock;
  readonly doorbell: Doorbell;
  readonly options: BusOptions;
  readonly logger: Logger;
}

interface Attached {
  readonly tail: ChannelTail;
  view: ChannelView;
  /** Entries of other nodes are being read. */
  catchingUp: boolean;
}

const SWEEP_MS = 1_000;
const RETRY_MS = 250;
const CATCH_UP_ENTRIES = 1_000;

/**
 * Brings new entries to those who read live. One tail for each channel that somebody listens to; one flush for each
 * turn of the event loop, so that batches are of one when the bus is idle and grow with the load.
 */
export class Hub {
  readonly #codec: MessageCodec;
  readonly #clock: Clock;
  readonly #options: BusOptions;
  readonly #logger: Logger;
  readonly #attached = new Map<string, Attached>();
  readonly #reads: ReadGate;
  readonly #stops: Stop[];
  #dirty = new Set<ChannelTail>();
  #scheduled = false;
  #bytes = 0;

  constructor({ codec, clock, doorbell, options, logger }: HubDependencies) {
    this.#codec = codec;
    this.#clock = clock;
    this.#options = options;
    this.#logger = logger;
    this.#reads = new ReadGate(options.limits.concurrentReads);
    this.#stops = [
      clock.every(SWEEP_MS, () => this.#sweep()),
      doorbell.listen((ring) => {
        if (ring.topic === "log") this.#rung(ring.key, ring.head);
      }),
    ];
  }

  /** The channel's tail, kept as long as it has listeners: add one at once, and `release` when it is gone. */
  attach(view: ChannelView): ChannelTail {
    const { key } = view.name;
    let attached = this.#attached.get(key);
    if (attached === undefined) {
      const tail = new ChannelTail(key, this.#codec, this.#options.limits.deliveryBytes);
      attached = { tail, view, catchingUp: false };
      this.#attached.set(key, attached);
    }
    return attached.tail;
  }

  release(tail: ChannelTail): void {
    if (tail.listeners.size > 0 || this.#attached.get(tail.key)?.tail !== tail) return;
    this.#bytes -= tail.bytes;
    this.#attached.delete(tail.key);
  }

  /** The channel is gone, or is another one of the same name: its tail is of no use any more. */
  drop(key: string): void {
    const attached = this.#attached.get(key);
    if (attached === undefined) return;
    const { tail } = attached;
    this.#bytes -= tail.bytes;
    this.#attached.delete(key);
    tail.gone = true;
    for (const listener of [...tail.listeners]) listener.wake();
  }

  /** Whether anyone reads the channel live: else what is stored needs not be told. */
  isRead(view: ChannelView): boolean {
    return this.#attached.has(view.name.key);
  }

  /** Entries were stored by this node. */
  appended(view: ChannelView, entries: readonly LogEntry[]): void {
    const attached = this.#attached.get(view.name.key);
    if (attached === undefined || entries.length === 0) return;
    attached.view = view;
    const { tail } = attached;
    // A tail whose log was not looked at yet begins with the first entry it sees.
    if (tail.head === 0) tail.startAt(entries[0]!.sequence - 1);
    if (entries[0]!.sequence === tail.head + 1) this.#push(tail, entries);
    else if (entries[entries.length - 1]!.sequence > tail.head) void this.#catchUp(attached);
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

  get bytes(): number {
    return this.#bytes;
  }

  close(): void {
    for (const stop of this.#stops) stop();
    this.#attached.clear();
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

  /** Another node stored something (or this one: then the tail has it already). */
  #rung(key: string, head: number): void {
    const attached = this.#attached.get(key);
    if (attached === undefined || head <= attached.tail.head) return;
    if (attached.tail.head > 0) {
      void this.#catchUp(attached);
    } else {
      attached.tail.startAt(head);
      this.#schedule(attached.tail);
    }
  }

  async #catchUp(attached: Attached): Promise<void> {
    if (attached.catchingUp) return;
    attached.catchingUp = true;
    const { tail } = attached;
    try {
      for (;;) {
        const from = tail.head;
        const { entries, state } = await this.read(attached.view, {
          from,
          backward: false,
          maxEntries: CATCH_UP_ENTRIES,
          maxBytes: this.#options.limits.tailBytes,
        });
        if (state === undefined || this.#attached.get(tail.key) !== attached) return;
        if (tail.head !== from) continue;
        const whole = entries.length > 0 && entries[0]!.sequence === from + 1 && isContiguous(entries);
        if (whole) this.#push(tail, entries);
        else if (state.head > from) {
          // Something in between cannot be read: each reader finds out, and is told, by itself.
          tail.startAt(state.head);
          this.#schedule(tail);
        }
        if (tail.head >= state.head) return;
      }
    } catch (error) {
      if (!isBusError(error, "STORAGE_UNAVAILABLE")) this.#logger.error({ error, channel: tail.key }, "reading failed");
      this.#clock.after(RETRY_MS, () => void this.#catchUp(attached));
    } finally {
      attached.catchingUp = false;
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

function isContiguous(entries: readonly LogEntry[]): boolean {
  return entries[entries.length - 1]!.sequence - entries[0]!.sequence === entries.length - 1;
}
