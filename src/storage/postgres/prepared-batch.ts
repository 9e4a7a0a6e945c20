import type { ChannelName } from "../../core/names.ts";
import type { AppendBatch, AppendRecord } from "../message-log.ts";
import { audienceToText, recordChecksum } from "../sql/entry-row.ts";
import { type KeyedBatch, type KeyFingerprint, keyedBatch } from "../sql/keyed-batch.ts";

/**
 * A batch with all that can be computed of it before its turn comes: while the server is busy with one commit, this node
 * prepares the next.
 */
export class PreparedBatch implements AppendBatch {
  readonly name: ChannelName;
  readonly incarnation: string;
  readonly version: number;
  readonly dedupWindowMs: number;
  readonly records: readonly AppendRecord[];
  readonly keyed: KeyedBatch;
  readonly columns: readonly RecordColumns[];

  constructor(batch: AppendBatch) {
    this.name = batch.name;
    this.incarnation = batch.incarnation;
    this.version = batch.version;
    this.dedupWindowMs = batch.dedupWindowMs;
    this.records = batch.records;
    this.keyed = keyedBatch(batch);
    this.columns = batch.records.map((record, i) => recordColumns(record, this.keyed.keys[i]!));
  }
}

/** A record as the columns of its row. */
export interface RecordColumns {
  readonly record: AppendRecord;
  readonly key: KeyFingerprint;
  readonly audience: string | null;
  readonly checksum: number;
}

export function recordColumns(record: AppendRecord, key: KeyFingerprint): RecordColumns {
  const audience = audienceToText(record.audience);
  return { record, key, audience, checksum: recordChecksum(record, audience) };
}
