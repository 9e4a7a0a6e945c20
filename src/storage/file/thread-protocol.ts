import type { EpochLink } from "../../core/epoch-chain.ts";
import type { DirectoryRecord, ListRequest, PutOutcome, RecordKey } from "../directory.ts";
import type { RetentionBounds } from "../retention.ts";
import type { BlockParts } from "./block-encoder.ts";
import type { BlockHeader } from "./block-format.ts";
import type { Failure } from "./sqlite-errors.ts";

// What the main thread asks of the two storage threads. Each request has one reply, in the order of requests.

export interface ThreadRequest {
  readonly id: number;
  readonly method: string;
  readonly argument: unknown;
}

export type ThreadReply =
  | { readonly id: number; readonly result: unknown }
  | { readonly id: number; readonly failure: Failure };

/** What both threads are started with. */
export interface ThreadData {
  readonly path: string;
  /** Quota of the database file. */
  readonly maxBytes: number;
}

/** What changes seldom of a log. */
export interface LogDefinition {
  readonly id: number;
  /** "room:channel" */
  readonly key: string;
  readonly incarnation: string;
  readonly version: number;
  readonly fencedAt: number;
  readonly links: readonly EpochLink[];
}

/** What changes with each append. */
export interface LogHead {
  readonly id: number;
  readonly head: number;
  readonly floor: number;
  readonly sizeBytes: number;
  readonly lastAcceptedAtMs: number;
}

export interface OpenReply {
  /** The database and the clean mark beside it say that it was closed in good order. */
  readonly clean: boolean;
  readonly definitions: readonly LogDefinition[];
  readonly heads: readonly LogHead[];
  /** Above every id that was ever used, as far as blocks and logs still tell. */
  readonly nextLogId: number;
  /** Ids of deleted logs that still have blocks. */
  readonly purge: readonly number[];
  /** What was found and repaired, for people. */
  readonly repairs: readonly string[];
}

export interface StoredBlock extends BlockHeader, BlockParts {}

export type DirectoryChange =
  | {
      readonly kind: "put";
      readonly key: RecordKey;
      readonly json: string;
      readonly expectedVersion: number | undefined;
      readonly maxInParent: number | undefined;
      readonly expiresAtMs: number;
    }
  | { readonly kind: "delete"; readonly key: RecordKey; readonly expectedVersion: number | undefined };

/** One transaction. */
export interface CommitRequest {
  readonly nowMs: number;
  readonly definitions: readonly LogDefinition[];
  readonly heads: readonly LogHead[];
  readonly blocks: readonly StoredBlock[];
  /** Shared memory in which the blocks' parts lie. */
  readonly slab: SharedArrayBuffer;
  readonly changes: readonly DirectoryChange[];
}

/** One outcome for each directory change: of a put, or whether a delete removed something. */
export type CommitReply = readonly ChangeOutcome[];

export type ChangeOutcome = PutOutcome | boolean | { readonly kind: "damaged" };

export interface TrimRequest extends RetentionBounds {
  readonly logId: number;
}

/** One transaction that frees space: apart from appends, so that a full disk cannot keep it from doing so. */
export interface MaintenanceRequest {
  readonly trims: readonly TrimRequest[];
  /** Logs to delete. Their blocks go by `purge`. */
  readonly drops: readonly number[];
  /** A deleted log whose blocks are to go, or -1. */
  readonly purge: number;
}

export interface TrimReply {
  readonly floor: number;
  readonly freedBytes: number;
  /** The work was cut short: ask again. */
  readonly more: boolean;
}

export interface MaintenanceReply {
  readonly trims: readonly TrimReply[];
  /** Nothing is left of the purged log. */
  readonly purged: boolean;
}

export interface ReadBlocksRequest {
  readonly logId: number;
  readonly from: number;
  readonly backward: boolean;
  readonly maxEntries: number;
  readonly maxBytes: number;
  /** The newest sequence that the main thread knows to be stored: nothing beyond it is told. */
  readonly head: number;
}

export interface ReadBlocksReply {
  /** Undefined: the log is gone. */
  readonly log: (LogDefinition & LogHead) | undefined;
  readonly slices: readonly BlockSlice[];
  readonly damaged: readonly { readonly first: number; readonly last: number }[];
}

/** Entries `from` to `to` (exclusive) of a block, counted within it. */
export interface BlockSlice {
  readonly first: number;
  readonly epoch: number;
  readonly from: number;
  readonly to: number;
  readonly entries: Uint8Array;
  readonly bodies: Uint8Array;
}

export interface FindIdRequest {
  readonly logId: number;
  readonly id: string;
  /** Look at blocks that start at or behind this sequence. */
  readonly from: number;
  /** Entries from here to `head` count. */
  readonly first: number;
  readonly head: number;
}

export interface FindIdReply {
  /** All in the first block that has one; none: not found so far. */
  readonly sequences: readonly number[];
  /** Where to go on; 0: everything was looked at. */
  readonly next: number;
  /** A block that may have held it is damaged. */
  readonly damaged: boolean;
}

export interface FindTimeRequest {
  readonly logId: number;
  readonly timeMs: number;
}

/** Blocks behind `afterBlock`, for the deduplication window. */
export interface RecentBlocksReply {
  readonly blocks: readonly { logId: number; first: number; epoch: number; entries: Uint8Array }[];
  /** Undefined: no more. */
  readonly next: number | undefined;
}

/** The calls that the writing thread answers. */
export interface WriterCalls {
  open(argument: null): OpenReply;
  commit(argument: CommitRequest): CommitReply;
  maintain(argument: MaintenanceRequest): MaintenanceReply;
  /** Checkpoints, leaves the clean mark and closes. */
  close(argument: { readonly clean: boolean }): null;
}

/** The calls that the reading thread answers. */
export interface ReaderCalls {
  readBlocks(argument: ReadBlocksRequest): ReadBlocksReply;
  findId(argument: FindIdRequest): FindIdReply;
  findTime(argument: FindTimeRequest): number;
  /** The block before the first one of the window; 0: from the start. */
  recentStart(argument: { readonly sinceMs: number; readonly maxKeys: number }): number;
  recentBlocks(argument: { readonly afterBlock: number }): RecentBlocksReply;
  getRecord(argument: { readonly key: RecordKey; readonly nowMs: number }): DirectoryRecord | undefined;
  listRecords(argument: { readonly request: ListRequest; readonly nowMs: number }): readonly DirectoryRecord[];
  countRecords(argument: { readonly kind: string; readonly parent: string; readonly nowMs: number }): number;
  close(argument: null): null;
}
