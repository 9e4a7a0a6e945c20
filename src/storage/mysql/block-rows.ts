import type { AppendRecord } from "../message-log.ts";
import type { StoredRecord } from "../sql/decide-appends.ts";
import { type BlockRange, blocksOf, encodeContent, encodeIdPrints, encodeKeys } from "./block-codec.ts";
import type { Tables } from "./schema.ts";
import { bytes, integer } from "./sql-text.ts";

/** Bytes that a record takes in a statement at the most. */
export function statementBytes({ body, id, sender, audience }: AppendRecord): number {
  let letters = id.length + sender.length;
  for (const agentId of audience ?? []) letters += agentId.length + 1;
  // Two hexadecimal digits a byte, up to three bytes a UTF-16 unit, and the rest of the statement.
  return 2 * body.length + 6 * letters + 2_500;
}

/** @param totalBytes of all bodies before these. */
export function insertBlocks(
  t: Tables,
  logId: number,
  epoch: number,
  totalBytes: number,
  stored: readonly StoredRecord[],
): string[] {
  let total = totalBytes;
  return blocksOf(stored).map((block) => {
    let bodyBytes = 0;
    for (const { record } of block) bodyBytes += record.body.length;
    total += bodyBytes;
    const { sequence: first, acceptedAtMs } = block[0]!;
    const numbers = [logId, block.at(-1)!.sequence, first, epoch, acceptedAtMs, total, bodyBytes].map(integer);
    const blobs = [encodeKeys(block), encodeIdPrints(block), encodeContent(block, epoch)].map(bytes);
    return `INSERT INTO ${t.block} (log_id, last_sequence, first_sequence, epoch, accepted_at, total_bytes, body_bytes,
      idempotency_keys, id_prints, content) VALUES (${[...numbers, ...blobs].join(",")})`;
  });
}

export const BLOCK_COLUMNS = "first_sequence, last_sequence, epoch, accepted_at, content";

export interface BlockRow extends BlockRange {
  readonly content: Buffer;
}

export function toBlockRow(row: readonly unknown[]): BlockRow {
  const [first, last, epoch, acceptedAtMs, content] = row as [number, number, number, number, Buffer];
  return { first, last, epoch, acceptedAtMs, content };
}
