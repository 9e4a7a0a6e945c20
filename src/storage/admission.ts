import type { DedupWindow } from "./dedup-window.ts";
import type { AppendBatch, AppendedEntry, AppendRecord } from "./message-log.ts";

/** The log that a batch is to be appended to. */
export interface AdmissionTarget {
  /** The log's number in the deduplication window. */
  readonly scope: number;
  readonly head: number;
  readonly epoch: number;
}

export type Admission =
  | {
      readonly kind: "admitted";
      /** One for each record of the batch. */
      readonly entries: readonly AppendedEntry[];
      /** What is to be stored, in order, from head + 1 on: the batch without its duplicates. */
      readonly stored: readonly AppendRecord[];
    }
  | { readonly kind: "conflict"; readonly index: number };

/**
 * Looks up the idempotency keys of a batch, remembers the new ones and gives each record its sequence. After a conflict
 * nothing of the batch is remembered.
 */
export function admit(
  batch: AppendBatch,
  target: AdmissionTarget,
  acceptedAtMs: number,
  dedup: DedupWindow,
): Admission {
  const { records, dedupWindowMs } = batch;
  const { scope, epoch } = target;
  const mark = dedup.mark();
  const entries: AppendedEntry[] = [];
  let stored: AppendRecord[] | undefined; // undefined: all so far, the usual case, which needs no second array
  let sequence = target.head;
  for (let i = 0; i < records.length; i++) {
    const record = records[i]!;
    const keyed = record.idempotencyKey !== "" && dedupWindowMs > 0;
    const known = keyed ? dedup.lookup(scope, record.sender, record.idempotencyKey) : -1;
    if (known >= 0 && acceptedAtMs - dedup.acceptedAtMsAt(known) < dedupWindowMs) {
      if (dedup.contentDigestAt(known) !== record.contentDigest) {
        dedup.rollback(mark);
        return { kind: "conflict", index: i };
      }
      stored ??= records.slice(0, i);
      entries.push({
        sequence: dedup.sequenceAt(known),
        epoch: dedup.epochAt(known),
        acceptedAtMs: dedup.acceptedAtMsAt(known),
        duplicate: true,
      });
      continue;
    }
    sequence++;
    if (keyed) dedup.remember(sequence, epoch, acceptedAtMs, record.contentDigest);
    stored?.push(record);
    entries.push({ sequence, epoch, acceptedAtMs, duplicate: false });
  }
  return { kind: "admitted", entries, stored: stored ?? records };
}
