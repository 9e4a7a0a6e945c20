import type { LogExtent } from "../core/epoch-chain.ts";
import type { Audience, LogEntry } from "../core/message.ts";
import type { ChannelName } from "../core/names.ts";
import type { RetentionConfig } from "../core/room.ts";

/**
 * The ordered logs of channels.
 *
 * What every adapter promises:
 * - Sequences of one log run from 1 without holes, in the order of commits; a reader never sees n+1 before n can be read.
 * - An append is all or nothing. When it resolves, what it stored has the adapter's best durability.
 * - Appends to one log that are handed over in order are stored in order. An append that fails with STORAGE_UNAVAILABLE
 *   or STORAGE_FULL fails every append to the same log that was handed over before its failure was told: nobody's second
 *   message is stored while the first is not.
 * - Epochs form a chain; a new link is added before a sequence is issued whenever the log may have lost its end (unclean
 *   open, fail-over, restore). The chain keeps at most its newest 1,000 links.
 * - A shared backend that may have lost its end is known by the life of its server: the log keeps which life (a Redis run
 *   id, a PostgreSQL postmaster's start) issued its newest sequence, and an append that finds another one adds a link.
 * - `acceptedAtMs` is the store's clock and never decreases within a log.
 * - Stored bytes are checked when read: what fails its checksum is never returned; the read says `damaged`.
 * - Methods may run at the same time, in any number. A driver's errors become BusError STORAGE_UNAVAILABLE (outcome
 *   unknown), STORAGE_FULL (nothing stored) or DATA_DAMAGED.
 */
export interface MessageLog {
  /**
   * Makes the log of this incarnation, empty, at `version`, under a new epoch; it is there already: answers it. A log
   * of another incarnation under the same name is replaced, with everything in it. Incarnations are UUIDv7: a log of a
   * newer one (that compares greater) is left alone, and CHANNEL_DELETED thrown: a slow node must not replace what
   * others use already.
   */
  create(name: ChannelName, incarnation: string, version: number): Promise<LogState>;

  /** The log as it is now; undefined: there is none. */
  state(name: ChannelName): Promise<LogState | undefined>;

  /**
   * One atomic step: compare incarnation and version, look up idempotency keys, assign sequences, store. A log that has
   * nothing to wait for answers (or throws) at once: on the hot path a promise costs as much as the rest of the append.
   * A batch of a newer version than the log's is taken for that version's fence().
   */
  append(batch: AppendBatch): AppendOutcome | Promise<AppendOutcome>;

  /**
   * Where each of up to 1,000 logs ends; undefined: there is none. Asked for all channels that are read live, once a
   * second or more often, so it costs one step of the backend and not one for each.
   */
  ends(names: readonly ChannelName[]): Promise<readonly (LogEnd | undefined)[]>;

  /** Entries in order, expired ones and private ones included: who may see what is decided by the reader. */
  read(request: ReadRequest): Promise<ReadResult>;

  /**
   * Sequences of the oldest retained entries of this id behind `after`, in order: at least one when there is one, and as
   * many more as are found in the same step anyway, at most 100. Ids are the senders' and need not differ. Throws
   * DATA_DAMAGED when none is found and a part that may hold one cannot be read.
   */
  findId(name: ChannelName, id: string, after: number): Promise<readonly number[]>;

  /** The first sequence accepted at or after this time; head + 1 when there is none. */
  findTime(name: ChannelName, timeMs: number): Promise<number>;

  /**
   * From now on appends must name at least this version. Answers the last sequence that was stored under an older one:
   * everything behind it is routed by the new configuration. Asked again for the same version it answers the same.
   * Throws CHANNEL_DELETED when there is no log of this incarnation.
   */
  fence(name: ChannelName, incarnation: string, version: number): Promise<number>;

  /**
   * Adds a link with a new epoch, from head + 1 on: somebody brought a position that this log never issued. Throws
   * CHANNEL_DELETED when there is no log.
   */
  renewEpoch(name: ChannelName): Promise<LogState>;

  /**
   * Removes what goes beyond, oldest first; the newest message stays unless it is too old. A limit of 0 does not limit.
   * A durable storage may forget the idempotency keys of removed messages when it is opened again. Throws
   * CHANNEL_DELETED when there is no log.
   */
  trim(name: ChannelName, retention: RetentionConfig): Promise<LogState>;

  /**
   * Issues one sequence for messages that were to be in this log and were lost on their way to it: it is no entry, and who
   * reads past it is told `lost`. Undefined: there is no log of this incarnation. Only where each node has logs of its own.
   */
  lose?(name: ChannelName, incarnation: string): LogEnd | undefined;

  /** Removes the log of this incarnation and its dedup memory. There is none: nothing happens. */
  delete(name: ChannelName, incarnation: string): Promise<void>;
}

export interface LogEnd {
  readonly incarnation: string;
  /** As in LogState. */
  readonly head: number;
  /** The epoch of the newest link. */
  readonly epoch: number;
}

export interface LogState extends LogExtent {
  readonly incarnation: string;
  readonly version: number;
  /** Bytes of the retained bodies. */
  readonly sizeBytes: number;
}

export interface AppendRecord {
  readonly id: string;
  readonly sender: string;
  /** "": cannot be a duplicate. Scope: (log, sender, key). */
  readonly idempotencyKey: string;
  readonly contentDigest: number;
  readonly audience: Audience;
  /** 0: none. */
  readonly timeToLiveMs: number;
  /** As in LogEntry. Handed over: the caller does not write to it again; the adapter copies what it keeps for long. */
  readonly body: Uint8Array;
}

export interface AppendBatch {
  readonly name: ChannelName;
  readonly incarnation: string;
  /** The configuration version by which the records were routed. */
  readonly version: number;
  readonly dedupWindowMs: number;
  /** 1 to 100. */
  readonly records: readonly AppendRecord[];
}

export interface AppendedEntry {
  readonly sequence: number;
  readonly epoch: number;
  readonly acceptedAtMs: number;
  /** Not stored now: the same key with the same content was stored before, here. */
  readonly duplicate: boolean;
}

export type AppendOutcome =
  | { readonly kind: "appended"; readonly entries: readonly AppendedEntry[] }
  /** The log has a newer version: route again. Nothing was stored. */
  | { readonly kind: "stale"; readonly version: number }
  /** There is no log of this incarnation. Nothing was stored. */
  | { readonly kind: "gone" }
  /** Record `index` has a key that was used for other content. Nothing was stored. */
  | { readonly kind: "conflict"; readonly index: number };

export interface ReadRequest {
  readonly name: ChannelName;
  /** Forward: entries with a higher sequence, ascending. Backward: entries with a lower one, descending. */
  readonly from: number;
  readonly backward: boolean;
  /** At least 1 entry is returned when there is one, then as many as fit both limits. */
  readonly maxEntries: number;
  readonly maxBytes: number;
}

export interface ReadResult {
  readonly entries: readonly LogEntry[];
  /** The log as it was when the entries were read; undefined: there is no such log. */
  readonly state: LogState | undefined;
  /** Sequences within what was read that are stored but damaged, as closed ranges, ascending. */
  readonly damaged: readonly { readonly first: number; readonly last: number }[];
  /** The same for those that `lose` has issued. Unset: there are none. */
  readonly lost?: readonly { readonly first: number; readonly last: number }[];
}
