import { hash } from "node:crypto";
import type { AppendBatch } from "../message-log.ts";

/** 32 hexadecimal digits: what a database keeps of an idempotency key and its sender. "": the record has none. */
export type KeyFingerprint = string;

/** A batch with the fingerprint of each record's key. Made once, when the batch is handed over. */
export interface KeyedBatch {
  readonly batch: AppendBatch;
  readonly keys: readonly KeyFingerprint[];
}

export function keyedBatch(batch: AppendBatch): KeyedBatch {
  const { records, dedupWindowMs } = batch;
  const keys = records.map(({ sender, idempotencyKey }) => {
    return idempotencyKey === "" || dedupWindowMs <= 0 ? "" : keyFingerprint(sender, idempotencyKey);
  });
  return { batch, keys };
}

/**
 * 128 bits of SHA-256: nobody can make a key of their own that stands for somebody else's, which would swallow a message.
 * The log is not in it: rows of keys belong to a log's row, which is another one for each incarnation.
 */
export function keyFingerprint(sender: string, key: string): KeyFingerprint {
  // The length parts sender and key: ("ab", "c") is not ("a", "bc").
  return hash("sha256", `${sender.length}:${sender}${key}`, "hex").slice(0, 32);
}
