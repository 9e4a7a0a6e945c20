import type { Clock, Stop } from "../../core/clock.ts";
import { isBusError } from "../../core/errors.ts";
import type { Logger } from "../../core/logger.ts";
import type { Counter, Meters } from "../../core/meters.ts";
import type { ChannelName } from "../../core/names.ts";
import type { AppendBatch, AppendedEntry, AppendRecord, MessageLog } from "../../storage/message-log.ts";
import type { Relay } from "../../storage/relay.ts";
import type { ChannelView, Rooms } from "../directory/registry.ts";
import { deliver } from "../publishing/publish-stages.ts";
import type { Hub } from "../reading/hub.ts";
import { Retention } from "../rooms/retention.ts";
import { RelayInbox } from "./relay-inbox.ts";
import { RelayOrigins } from "./relay-origins.ts";
import { RelayOutbox } from "./relay-outbox.ts";
import { decodeRelayPacket, type RelayedBatch } from "./relay-packet.ts";
import { relayedLog } from "./relayed-log.ts";

export interface VolatileRelayOptions {
  /** This node's own log of VOLATILE channels. Its appends answer at once. */
  readonly log: MessageLog;
  readonly relay: Relay;
  /** Names this life of this node among all others. */
  readonly origin: string;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly meters: Meters;
}

/** Losses that come within this time are told as one: a place in every ring is what each telling costs. */
const LOSS_PAUSE_MS = 100;

interface Local {
  readonly name: ChannelName;
  readonly incarnation: string;
  /** Something was stored: who reads on from there must be told of losses. */
  used: boolean;
}

/**
 * Carries VOLATILE messages between nodes. Each node has a log of its own: what it stores there it sends to all others, and
 * what they send it stores as well. Order is kept for each publisher. What is lost on the way takes a place in the log of
 * every VOLATILE channel of this node, since nobody knows of which one it was; readers are told a Gap there.
 */
export class VolatileRelay {
  /** The node's log; what is appended to it is sent. */
  readonly log: MessageLog;
  readonly #options: VolatileRelayOptions;
  readonly #outbox: RelayOutbox;
  readonly #origins = new RelayOrigins();
  readonly #locals = new Map<string, Local>();
  readonly #retention: Retention;
  readonly #received: Counter;
  readonly #dropped: Counter;
  readonly #losses: Counter;
  readonly #stops: Stop[] = [];
  #inbox: RelayInbox | undefined;
  #hub: Hub | undefined;
  #lossPaused = false;
  #lossWaits = false;

  constructor(options: VolatileRelayOptions) {
    const { log, relay, origin, clock, logger, meters } = options;
    this.#options = options;
    this.#outbox = new RelayOutbox(origin, relay, clock);
    this.#retention = new Retention(logger);
    this.#received = meters.counter("relay_messages_received_total", "VOLATILE messages of other nodes stored here.");
    this.#dropped = meters.counter("relay_messages_dropped_total", "VOLATILE messages of other nodes not stored here.");
    this.#losses = meters.counter("relay_losses_total", "Times that VOLATILE messages of other nodes were missing.");
    this.log = relayedLog(log, {
      created: (name, incarnation) => this.#created(name, incarnation),
      appended: (batch, entries) => this.#appended(batch, entries),
      deleted: (name, incarnation) => {
        if (this.#locals.get(name.key)?.incarnation === incarnation) this.#locals.delete(name.key);
      },
    });
  }

  /** Begins to hear the others. */
  start(rooms: Rooms, hub: Hub): void {
    const { relay, clock, logger } = this.#options;
    this.#hub = hub;
    this.#outbox.startBeats();
    const inbox = new RelayInbox({
      rooms,
      clock,
      store: (batch, view) => this.#store(batch, view, hub),
      dropped: (batch, view) => {
        this.#dropped.add(batch.records.length);
        if (view !== undefined) this.#loseIn(view.name, view.incarnation);
      },
      isLocal: (view) => view.log === this.log,
    });
    this.#inbox = inbox;
    const stop = relay.listen({
      packet: (bytes) => {
        const packet = decode(bytes, logger);
        if (packet === undefined || packet.origin === this.#outbox.origin) return;
        const isBeat = packet.batches.length === 0;
        const { isNew, lost } = this.#origins.heard(packet.origin, packet.number, isBeat, clock.monotonic());
        if (lost) this.#lost();
        if (isNew) for (const batch of packet.batches) inbox.receive(batch);
      },
      missed: () => this.#lost(),
    });
    this.#stops.push(stop);
  }

  close(): void {
    for (const stop of this.#stops.splice(0)) stop();
    this.#outbox.close();
  }

  #created(name: ChannelName, incarnation: string): void {
    const known = this.#locals.get(name.key);
    if (known?.incarnation !== incarnation) this.#locals.set(name.key, { name, incarnation, used: false });
    if (this.#inbox?.takeMissed(incarnation) === true) this.#loseIn(name, incarnation);
  }

  #appended(batch: AppendBatch, entries: readonly AppendedEntry[]): void {
    const local = this.#locals.get(batch.name.key);
    if (local !== undefined) local.used = true;
    const isWhole = !entries.some(({ duplicate }) => duplicate);
    const records = isWhole ? batch.records : batch.records.filter((_, i) => !entries[i]!.duplicate);
    this.#outbox.add(batch, records);
  }

  /** False: this node has no log of this incarnation. Throws STORAGE_FULL. */
  #store({ name, incarnation, version, records: sent }: RelayedBatch, view: ChannelView, hub: Hub): boolean {
    const { dedupWindowMs } = view.config;
    let records: readonly AppendRecord[] = sent;
    let routedBy = version;
    for (;;) {
      const outcome = this.#options.log.append({ name, incarnation, version: routedBy, dedupWindowMs, records });
      if (outcome instanceof Promise) throw new Error("a log of VOLATILE channels answers appends at once");
      if (outcome.kind === "gone") return false;
      if (outcome.kind === "stale") {
        // Accepted by another node before it knew of a change that this one knows: it stays as it was routed.
        routedBy = outcome.version;
      } else if (outcome.kind === "conflict") {
        // Two nodes took the same key for different messages before they heard of each other: both were acknowledged.
        records = records.map((record, i) => (i === outcome.index ? { ...record, idempotencyKey: "" } : record));
      } else {
        const local = this.#locals.get(name.key);
        if (local !== undefined) local.used = true;
        deliver(view, records, outcome.entries, hub);
        this.#retention.appended(view, records);
        this.#received.add(records.length);
        return true;
      }
    }
  }

  #lost(): void {
    this.#losses.add(1);
    if (this.#lossPaused) {
      this.#lossWaits = true;
      return;
    }
    for (const { name, incarnation, used } of this.#locals.values()) {
      if (used || (this.#hub?.readersOf(name.key) ?? 0) > 0) this.#loseIn(name, incarnation);
    }
    this.#lossPaused = true;
    this.#options.clock.after(LOSS_PAUSE_MS, () => {
      this.#lossPaused = false;
      if (!this.#lossWaits) return;
      this.#lossWaits = false;
      this.#lost();
    });
  }

  #loseIn(name: ChannelName, incarnation: string): void {
    const end = this.#options.log.lose?.(name, incarnation);
    if (end !== undefined) this.#hub?.advanced(name.key, end.head, end.epoch);
  }
}

function decode(bytes: Uint8Array, logger: Logger) {
  try {
    return decodeRelayPacket(bytes);
  } catch (error) {
    if (!(error instanceof RangeError) && !isBusError(error)) throw error;
    logger.warn({ err: error }, "a packet of another node cannot be read; do all nodes run the same version?");
    return undefined;
  }
}
