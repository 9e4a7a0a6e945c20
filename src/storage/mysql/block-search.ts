import { bodyLengths } from "./block-codec.ts";
import { BLOCK_COLUMNS, toBlockRow } from "./block-rows.ts";
import { rowsOf } from "./connection.ts";
import type { Session } from "./connection-pool.ts";
import type { LogRow } from "./log-row.ts";
import type { Tables } from "./schema.ts";
import { integer } from "./sql-text.ts";

/** Places asked about in one round trip: a million blocks take five. */
const PROBES = 16;

/** What grows along a log, from block to block. */
export type Rising = "accepted_at" | "total_bytes";

/**
 * The first sequence from `low` to `high` whose block has a value of at least `value`; high + 1 when none does. No index is
 * needed for what grows with the sequence anyway. What is missing counts as the block behind it does.
 */
export async function firstReaching(
  session: Session,
  t: Tables,
  logId: number,
  range: { readonly low: number; readonly high: number },
  rising: Rising,
  value: number,
): Promise<number> {
  let low = range.low;
  let end = range.high + 1;
  while (low < end) {
    const count = Math.min(PROBES, end - low);
    const probes = Array.from({ length: count }, (_, i) => low + Math.floor(((end - low) * i) / count));
    const selects = probes.map(
      (from) => `(SELECT ${integer(from)}, ${rising} FROM ${t.block}
        WHERE log_id = ${integer(logId)} AND last_sequence >= ${integer(from)} ORDER BY last_sequence LIMIT 1)`,
    );
    const [answer] = await session.send([selects.join(" UNION ALL ")]);
    const found = new Map(rowsOf<[number, number]>(answer));
    const reaching = probes.findIndex((from) => (found.get(from) ?? Number.POSITIVE_INFINITY) >= value);
    if (reaching === 0) return low;
    low = probes[(reaching < 0 ? count : reaching) - 1]! + 1;
    if (reaching > 0) end = probes[reaching]!;
  }
  return low;
}

/** The first sequence from `low` on in front of which bodies of at least `bytes` were stored; head + 1: there is none. */
export async function firstBehind(
  session: Session,
  t: Tables,
  log: LogRow,
  low: number,
  bytes: number,
): Promise<number> {
  const inBlock = await firstReaching(session, t, log.id, { low, high: log.head }, "total_bytes", bytes);
  const block = await blockAt(session, t, log, inBlock);
  if (block === undefined) return log.head + 1;
  let before = block.bytesBefore;
  for (const [i, length] of block.lengths.entries()) {
    if (before >= bytes) return Math.max(low, block.first + i);
    before += length;
  }
  return block.first + block.lengths.length;
}

/** Bytes of all bodies ever stored in front of a sequence. */
export async function bytesInFront(session: Session, t: Tables, log: LogRow, sequence: number): Promise<number> {
  const block = await blockAt(session, t, log, sequence);
  if (block === undefined) return log.totalBytes;
  let bytes = block.bytesBefore;
  for (let i = 0; i < sequence - block.first; i++) bytes += block.lengths[i] ?? 0;
  return bytes;
}

interface SizedBlock {
  readonly first: number;
  /** Of each body; none when the block is damaged. */
  readonly lengths: readonly number[];
  readonly bytesBefore: number;
}

/** The block with the sequence, or the next one. */
async function blockAt(session: Session, t: Tables, log: LogRow, sequence: number): Promise<SizedBlock | undefined> {
  const [answer] = await session.send([
    `SELECT ${BLOCK_COLUMNS}, total_bytes - body_bytes FROM ${t.block}
      WHERE log_id = ${integer(log.id)} AND last_sequence >= ${integer(sequence)} AND last_sequence <= ${integer(log.head)}
      ORDER BY last_sequence LIMIT 1`,
  ]);
  const row = rowsOf(answer)[0];
  if (row === undefined) return undefined;
  const block = toBlockRow(row);
  return { first: block.first, lengths: bodyLengths(block, block.content) ?? [], bytesBefore: row[5] as number };
}
