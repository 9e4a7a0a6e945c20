import type { DatabaseSync } from "node:sqlite";
import { LogRows } from "./log-rows.ts";
import { ensureBlockIndex, rebuildBlockIndex } from "./schema.ts";
import { isDamage, StorageFailure } from "./sqlite-errors.ts";
import type { LogDefinition, LogHead, OpenReply } from "./thread-protocol.ts";

type Inventory = Omit<OpenReply, "clean">;

/**
 * What the database holds: every log, and by one walk over the index of blocks (some 10 million a second) what is missing
 * of them. A damaged index is built anew; damaged logs are refused, because nothing else tells their head.
 */
export function takeInventory(db: DatabaseSync, path: string): Inventory {
  const repairs: string[] = [];
  const { definitions, heads } = readLogs(db, path);
  const coverage = readCoverage(db, path, repairs);
  const known = new Map(heads.map((head) => [head.id, head]));
  const purge = new Set<number>();
  let nextLogId = 1;
  for (const { id, last, stored } of coverage) {
    nextLogId = Math.max(nextLogId, id + 1);
    const head = known.get(id);
    if (head === undefined) {
      purge.add(id);
      continue;
    }
    const missing = countMissing(head, stored);
    if (missing > 0) repairs.push(`log ${id}: ${missing} sequences up to ${head.head} have no block`);
    if (last > head.head) {
      // Rows of different ages in one file: a database and a write-ahead log that do not belong together.
      repairs.push(`log ${id}: its head says ${head.head}, its blocks reach ${last}`);
      known.set(id, { ...head, head: last });
    }
  }
  for (const { id } of definitions) {
    nextLogId = Math.max(nextLogId, id + 1);
    if (!known.has(id)) throw refused(path, `log ${id} has no head`);
  }
  return { definitions, heads: [...known.values()], nextLogId, purge: [...purge], repairs };
}

/** Sequences from the floor to the head that no block covers; blocks below a floor that cuts them are no surplus. */
function countMissing(head: LogHead, stored: number): number {
  return Math.max(0, head.head - head.floor + 1 - stored);
}

function readLogs(db: DatabaseSync, path: string): { definitions: LogDefinition[]; heads: LogHead[] } {
  try {
    const rows = new LogRows(db);
    return { definitions: rows.definitions(), heads: rows.heads() };
  } catch (error) {
    throw isDamage(error) ? refused(path, (error as Error).message) : error;
  }
}

interface Coverage {
  readonly id: number;
  readonly last: number;
  readonly stored: number;
}

function readCoverage(db: DatabaseSync, path: string, repairs: string[]): Coverage[] {
  try {
    return queryCoverage(db);
  } catch (error) {
    if (!isDamage(error)) throw error;
    repairs.push(`the index of blocks was damaged (${(error as Error).message}) and was built anew`);
  }
  try {
    rebuildBlockIndex(db);
    return queryCoverage(db);
  } catch (error) {
    throw isDamage(error) ? refused(path, (error as Error).message) : error;
  }
}

function queryCoverage(db: DatabaseSync): Coverage[] {
  ensureBlockIndex(db);
  // The newest row must be within reach: behind it, the next blocks will stand.
  db.prepare("SELECT max(id) FROM block").get();
  const rows = db
    .prepare(
      `SELECT log_id AS id, max(last_sequence) AS last, sum(last_sequence - first_sequence + 1) AS stored
         FROM block INDEXED BY block_by_log GROUP BY log_id`,
    )
    .all();
  return rows as unknown as Coverage[];
}

function refused(path: string, what: string): StorageFailure {
  return new StorageFailure(
    "DATA_DAMAGED",
    `${path} is damaged beyond what can be repaired here (${what}): restore it from a backup, or move it away together ` +
      "with the files beside it to start with an empty storage",
  );
}
