import type { AppendBatch, AppendedEntry, AppendOutcome, AppendRecord } from "../message-log.ts";
import type { KeyedBatch, KeyFingerprint } from "./keyed-batch.ts";

/** The row of a log's head, locked by this transaction. */
export interface LockedHead {
  readonly incarnation: string;
  readonly version: number;
  /** Last sequence stored under an older version. */
  readonly fencedAt: number;
  readonly head: number;
  readonly lastAcceptedAtMs: number;
}

/** A key that the log keeps, with the message stored under it. */
export interface KnownKey {
  readonly sequence: number;
  readonly epoch: number;
  readonly acceptedAtMs: number;
  readonly contentDigest: number;
}

export interface AppendInputs {
  /** Undefined: there is no log of this name. */
  readonly head: LockedHead | undefined;
  /** In the order in which they were handed over. */
  readonly batches: readonly KeyedBatch[];
  /**
   * What the log keeps of the keys in `batches`, read after the head was locked: with an older snapshot, a key that another
   * node has just stored would be missing. Keys that are too old may be among them.
   */
  readonly known: ReadonlyMap<KeyFingerprint, KnownKey>;
  /**
   * The epoch of what is stored now: that of the newest link, or of a new link from `head + 1` on when another life of the
   * server issued the newest sequence. Such a link is written only when something is stored.
   */
  readonly epoch: number;
  /** The store's clock. */
  readonly nowMs: number;
}

/** What one transaction has to write, and what it answers. */
export interface AppendDecision {
  /** One for each batch, in order. */
  readonly outcomes: readonly AppendOutcome[];
  /** In order, for the sequences from the locked head + 1 on. */
  readonly stored: readonly StoredRecord[];
  /** The head's row after the step; differs from the locked one in these alone. */
  readonly version: number;
  readonly fencedAt: number;
  readonly head: number;
  readonly lastAcceptedAtMs: number;
  /** Nothing but the row lock has to be given back. */
  readonly isUnchanged: boolean;
}

export interface StoredRecord {
  readonly sequence: number;
  readonly acceptedAtMs: number;
  readonly record: AppendRecord;
  /** To be put in the place of what the log keeps under it; "": none. */
  readonly key: KeyFingerprint;
}

const GONE: AppendOutcome = { kind: "gone" };

/**
 * Decides what a group of batches does to one log: incarnation, version, duplicates, sequences. Each batch is all or
 * nothing; one that is refused leaves the others as they are. Pure: the caller holds the lock, reads before, writes after.
 */
export function decideAppends(inputs: AppendInputs): AppendDecision {
  const { head: before, batches, nowMs } = inputs;
  if (before === undefined) {
    const outcomes = batches.map(() => GONE);
    return { outcomes, stored: [], version: 0, fencedAt: 0, head: 0, lastAcceptedAtMs: 0, isUnchanged: true };
  }
  const acceptedAtMs = Math.max(nowMs, before.lastAcceptedAtMs);
  const stored: StoredRecord[] = [];
  const fresh = new Map<KeyFingerprint, KnownKey>();
  let { version, fencedAt } = before;
  let head = before.head;

  const decide = ({ batch, keys }: KeyedBatch): AppendOutcome => {
    if (batch.incarnation !== before.incarnation) return GONE;
    if (batch.version < version) return { kind: "stale", version };
    const admission = admit(batch, keys, head, acceptedAtMs, inputs, fresh);
    if (typeof admission === "number") return { kind: "conflict", index: admission };
    if (batch.version > version) {
      version = batch.version;
      fencedAt = head;
    }
    for (const each of admission.stored) {
      if (each.key !== "") fresh.set(each.key, keyOf(each, inputs.epoch));
      stored.push(each);
    }
    head += admission.stored.length;
    return { kind: "appended", entries: admission.entries };
  };

  const outcomes = batches.map(decide);
  const isUnchanged = stored.length === 0 && version === before.version;
  const lastAcceptedAtMs = stored.length > 0 ? acceptedAtMs : before.lastAcceptedAtMs;
  return { outcomes, stored, version, fencedAt, head, lastAcceptedAtMs, isUnchanged };
}

interface Admitted {
  readonly entries: readonly AppendedEntry[];
  readonly stored: readonly StoredRecord[];
}

/** A number is the index of the record whose key was used for other content. */
function admit(
  batch: AppendBatch,
  keys: readonly KeyFingerprint[],
  head: number,
  acceptedAtMs: number,
  { known, epoch }: AppendInputs,
  fresh: ReadonlyMap<KeyFingerprint, KnownKey>,
): Admitted | number {
  const entries: AppendedEntry[] = [];
  const stored: StoredRecord[] = [];
  const own = new Map<KeyFingerprint, KnownKey>();
  for (let i = 0; i < batch.records.length; i++) {
    const record = batch.records[i]!;
    const key = keys[i]!;
    const held = key === "" ? undefined : (own.get(key) ?? fresh.get(key) ?? known.get(key));
    if (held !== undefined && acceptedAtMs - held.acceptedAtMs < batch.dedupWindowMs) {
      if (held.contentDigest !== record.contentDigest) return i;
      const { sequence, epoch, acceptedAtMs } = held;
      entries.push({ sequence, epoch, acceptedAtMs, duplicate: true });
      continue;
    }
    const each: StoredRecord = { sequence: head + stored.length + 1, acceptedAtMs, record, key };
    if (key !== "") own.set(key, keyOf(each, epoch));
    stored.push(each);
    entries.push({ sequence: each.sequence, epoch, acceptedAtMs, duplicate: false });
  }
  return { entries, stored };
}

function keyOf({ sequence, acceptedAtMs, record }: StoredRecord, epoch: number): KnownKey {
  return { sequence, epoch, acceptedAtMs, contentDigest: record.contentDigest };
}
