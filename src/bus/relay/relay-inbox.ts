import type { Clock } from "../../core/clock.ts";
import type { ChannelView, Rooms } from "../directory/registry.ts";
import { type RelayedBatch, relayedBytes } from "./relay-packet.ts";

export interface RelayInboxOptions {
  readonly rooms: Rooms;
  readonly clock: Clock;
  /** Stores a batch of this channel. False: there is no log of this incarnation. Throws when there is no room. */
  readonly store: (batch: RelayedBatch, view: ChannelView) => boolean;
  /** A batch was not stored; the channel it was for, when this node has it. */
  readonly dropped: (batch: RelayedBatch, view: ChannelView | undefined) => void;
  /** Whether a channel is VOLATILE. */
  readonly isLocal: (view: ChannelView) => boolean;
}

/** Bytes of all batches that wait for a channel to be looked up. */
const MAX_WAITING_BYTES = 8 * 1_048_576;
/** A channel that was not found is not looked for again so soon; so many are remembered. */
const UNKNOWN_MS = 1_000;
const MAX_UNKNOWN = 1_000;

/**
 * Puts what other nodes sent into this node's log. A channel that this node has not heard of yet is looked up once, and
 * what comes for it meanwhile waits; so each channel's batches are stored in their order.
 */
export class RelayInbox {
  readonly #options: RelayInboxOptions;
  readonly #waiting = new Map<string, RelayedBatch[]>();
  readonly #unknownUntilMs = new Map<string, number>();
  /** Incarnations of channels that were not known when something of theirs was dropped. */
  readonly #missed = new Set<string>();
  #waitingBytes = 0;

  constructor(options: RelayInboxOptions) {
    this.#options = options;
  }

  receive(batch: RelayedBatch): void {
    const { key } = batch.name;
    const waiting = this.#waiting.get(key);
    if (waiting === undefined && this.#store(batch)) return;
    const bytes = bytesOf(batch);
    const tooMany = this.#waitingBytes + bytes > MAX_WAITING_BYTES;
    if (tooMany || (waiting === undefined && this.#isUnknown(key))) {
      this.#drop(batch);
      return;
    }
    this.#waitingBytes += bytes;
    if (waiting !== undefined) {
      waiting.push(batch);
      return;
    }
    this.#waiting.set(key, [batch]);
    void this.#lookUp(batch);
  }

  /** Whether something was dropped because this node did not know of this channel: asked once, when it gets its log. */
  takeMissed(incarnation: string): boolean {
    return this.#missed.delete(incarnation);
  }

  /** False: the channel, or its log, must be looked for. */
  #store(batch: RelayedBatch): boolean {
    const { rooms, isLocal, store } = this.#options;
    const view = rooms.channel(batch.name.key);
    if (view === undefined || view.incarnation < batch.incarnation) return false;
    // Of a channel that was deleted since, or that is no longer VOLATILE: it is nobody's.
    if (view.incarnation !== batch.incarnation || !isLocal(view)) return true;
    try {
      return store(batch, view);
    } catch {
      // No room for it: its readers are told that something is missing.
      this.#drop(batch);
      return true;
    }
  }

  async #lookUp({ name, incarnation }: RelayedBatch): Promise<void> {
    const { rooms } = this.#options;
    const view = rooms.channel(name.key);
    // What cannot be found, and what cannot be asked for, is dropped alike.
    if (view?.incarnation === incarnation) await rooms.ensureLog(view).catch(() => undefined);
    else await rooms.reload(name).catch(() => undefined);
    const waiting = this.#waiting.get(name.key)!;
    this.#waiting.delete(name.key);
    let found = false;
    for (const batch of waiting) {
      this.#waitingBytes -= bytesOf(batch);
      if (this.#store(batch)) found = true;
      else this.#drop(batch);
    }
    if (!found) this.#remember(name.key);
  }

  #drop(batch: RelayedBatch): void {
    const { rooms, dropped } = this.#options;
    const view = rooms.channel(batch.name.key);
    const known = view?.incarnation === batch.incarnation ? view : undefined;
    if (known === undefined) {
      if (this.#missed.size >= MAX_UNKNOWN) this.#missed.delete(this.#missed.values().next().value!);
      this.#missed.add(batch.incarnation);
    }
    dropped(batch, known);
  }

  #isUnknown(key: string): boolean {
    const untilMs = this.#unknownUntilMs.get(key);
    return untilMs !== undefined && untilMs > this.#options.clock.monotonic();
  }

  #remember(key: string): void {
    const unknown = this.#unknownUntilMs;
    unknown.delete(key);
    if (unknown.size >= MAX_UNKNOWN) unknown.delete(unknown.keys().next().value!);
    unknown.set(key, this.#options.clock.monotonic() + UNKNOWN_MS);
  }
}

function bytesOf({ records }: RelayedBatch): number {
  return records.reduce((sum, record) => sum + relayedBytes(record), 0);
}
