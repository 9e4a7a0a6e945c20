import type { AppendBatch, AppendedEntry, AppendOutcome, AppendRecord } from "../message-log.ts";
import { encodeRecord, maxRecordBytes } from "./entry-codec.ts";
import { MessagePackArray } from "./message-pack.ts";
import { APPENDED, CONFLICT, GONE, STALE } from "./scripts/append.ts";

/** A reader gets whole blocks: small enough for who wants one message, large enough for who wants all. */
const MAX_BLOCK_BYTES = 65_536;
const MAX_BLOCK_RECORDS = 256;
/** A text of MessagePack with a key or what stands under it, as far as it is known beforehand. */
const USUAL_TEXT_BYTES = 64;

/** Senders have no NUL, so where sender ends and key begins is unambiguous; "": cannot be a duplicate. */
function keyOf(record: AppendRecord, { dedupWindowMs }: AppendBatch): string {
  return record.idempotencyKey === "" || dedupWindowMs <= 0 ? "" : `${record.sender}\0${record.idempotencyKey}`;
}

/** Whether scripts/append-new.ts may do: all batches under one configuration, and no key twice. */
export function mayBeAllNew(batches: readonly AppendBatch[]): boolean {
  const [first] = batches;
  const keys = new Set<string>();
  let count = 0;
  for (const batch of batches) {
    if (batch.incarnation !== first!.incarnation || batch.version !== first!.version) return false;
    if (batch.dedupWindowMs !== first!.dedupWindowMs || batch.records.length === 0) return false;
    for (const record of batch.records) {
      const key = keyOf(record, batch);
      if (key === "") continue;
      keys.add(key);
      count++;
    }
  }
  return keys.size === count;
}

/** The arguments of scripts/append-new.ts from the incarnation on. */
export function newArguments(batches: readonly AppendBatch[], commit: string): readonly (string | number | Buffer)[] {
  const target = allocate(batches);
  const texts = new MessagePackArray(countRecords(batches) * USUAL_TEXT_BYTES * 2);
  const blocks: (number | Buffer)[] = [];
  let at = 0;
  let index = 0;
  let block = { start: 0, records: 0, size: 0 };
  const endBlock = () => {
    blocks.push(block.records, block.size, target.subarray(block.start, at));
    block = { start: at, records: 0, size: 0 };
  };
  for (const batch of batches) {
    for (const record of batch.records) {
      at = encodeRecord(record, target, at);
      const key = keyOf(record, batch);
      if (key !== "") {
        texts.text(key);
        texts.text(`${record.contentDigest} ${index} ${commit}`);
      }
      index++;
      block.records++;
      block.size += record.body.byteLength;
      if (block.records >= MAX_BLOCK_RECORDS || at - block.start >= MAX_BLOCK_BYTES) endBlock();
    }
  }
  if (block.records > 0) endBlock();
  const { incarnation, version, dedupWindowMs } = batches[0]!;
  return [incarnation, version, dedupWindowMs, texts.bytes, ...blocks];
}

/** The arguments of scripts/append.ts from the batches on. */
export function appendArguments(batches: readonly AppendBatch[]): readonly Buffer[] {
  const target = allocate(batches);
  const heads = new MessagePackArray(batches.length * USUAL_TEXT_BYTES);
  const facts = new MessagePackArray(countRecords(batches) * USUAL_TEXT_BYTES * 2);
  let at = 0;
  for (const batch of batches) {
    heads.text(batch.incarnation);
    heads.number(batch.version);
    heads.number(batch.dedupWindowMs);
    heads.number(batch.records.length);
    for (const record of batch.records) {
      const start = at;
      at = encodeRecord(record, target, start);
      facts.text(keyOf(record, batch));
      facts.text(String(record.contentDigest));
      facts.number(at - start);
      facts.number(record.body.byteLength);
    }
  }
  return [heads.bytes, facts.bytes, target.subarray(0, at)];
}

function allocate(batches: readonly AppendBatch[]): Buffer {
  let bytes = 0;
  for (const { records } of batches) for (const record of records) bytes += maxRecordBytes(record);
  return Buffer.allocUnsafe(bytes);
}

function countRecords(batches: readonly AppendBatch[]): number {
  return batches.reduce((sum, { records }) => sum + records.length, 0);
}

/** What the scripts answer; scripts/append-new.ts, which stores every record of every batch, the first three alone. */
export type AppendReply = readonly [
  acceptedAtMs: number,
  epoch: number,
  first: number,
  /** Of each batch: its code and, by the code, its first sequence, the log's version, or the index of a record. */
  outcomes?: readonly number[],
  /** Of each duplicate: its number among all records, its sequence, epoch and time. */
  duplicates?: readonly number[],
];

export function toOutcomes(batches: readonly AppendBatch[], reply: AppendReply): readonly AppendOutcome[] {
  const [acceptedAtMs, epoch, first, outcomes, told] = reply;
  const duplicates = duplicatesOf(told);
  let sequence = first;
  let record = 0;
  return batches.map(({ records }, b): AppendOutcome => {
    const code = outcomes?.[2 * b] ?? APPENDED;
    const value = outcomes?.[2 * b + 1] ?? sequence;
    const firstRecord = record;
    record += records.length;
    switch (code) {
      case STALE:
        return { kind: "stale", version: value };
      case GONE:
        return { kind: "gone" };
      case CONFLICT:
        return { kind: "conflict", index: value };
      default: {
        sequence = value;
        const entries = records.map((_, i): AppendedEntry => {
          const duplicate = duplicates?.get(firstRecord + i);
          return duplicate ?? { sequence: sequence++, epoch, acceptedAtMs, duplicate: false };
        });
        return { kind: "appended", entries };
      }
    }
  });
}

function duplicatesOf(told: readonly number[] | undefined): ReadonlyMap<number, AppendedEntry> | undefined {
  if (told === undefined || told.length === 0) return undefined;
  const duplicates = new Map<number, AppendedEntry>();
  for (let i = 0; i + 3 < told.length; i += 4) {
    duplicates.set(told[i]!, {
      sequence: told[i + 1]!,
      epoch: told[i + 2]!,
      acceptedAtMs: told[i + 3]!,
      duplicate: true,
    });
  }
  return duplicates;
}
