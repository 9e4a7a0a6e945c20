import { affectedRows, rowsOf } from "./connection.ts";
import type { ConnectionPool } from "./connection-pool.ts";
import type { MysqlDirectory } from "./mysql-directory.ts";
import type { Tables } from "./schema.ts";
import { integer } from "./sql-text.ts";
import type { StoreClock } from "./store-clock.ts";

export interface SweeperParts {
  readonly pool: ConnectionPool;
  readonly tables: Tables;
  readonly clock: StoreClock;
  readonly directory: MysqlDirectory;
}

/** Rows that one statement removes. */
const STEP_ROWS = 500;
/** One kind of rubbish may not take longer than this in one sweep; what is left goes with the next one. */
const MAX_MS_EACH = 2_000;
/** Longer than any node is away without looking at everything when it comes back. */
const KEEP_RINGS_MS = 60_000;
const DELETED_LOGS = 20;

/** Removes what has expired, in steps that commit one by one. */
export async function sweep(parts: SweeperParts): Promise<void> {
  await repeat(() => parts.directory.sweep());
  await repeat(() => sweepRings(parts));
  await sweepDeletedLogs(parts);
}

/** @param step answers whether there may be more to do. */
async function repeat(step: () => Promise<boolean>): Promise<void> {
  const endsAtMs = performance.now() + MAX_MS_EACH;
  while ((await step()) && performance.now() < endsAtMs);
}

async function remove(pool: ConnectionPool, statement: string): Promise<boolean> {
  const [answer] = await pool.use((session) => session.send([`${statement} LIMIT ${STEP_ROWS}`]));
  return affectedRows(answer) === STEP_ROWS;
}

/** Oldest first, up to the first one that is young; the newest stays, because it says how far the numbers have come. */
async function sweepRings({ pool, tables, clock }: SweeperParts): Promise<boolean> {
  const rows = await pool.use(async (session) => {
    const [answer] = await session.send([
      `SELECT id, rung_at < ${clock.sql} - ${integer(KEEP_RINGS_MS)} FROM ${tables.ring} ORDER BY id LIMIT ${STEP_ROWS + 1}`,
    ]);
    return rowsOf<[number, number]>(answer);
  });
  const young = rows.findIndex(([, isOld]) => isOld !== 1);
  const keep = rows[young < 0 ? rows.length - 1 : young];
  if (keep === undefined) return false;
  return await remove(pool, `DELETE FROM ${tables.ring} WHERE id < ${integer(keep[0])} ORDER BY id`);
}

async function sweepDeletedLogs({ pool, tables }: SweeperParts): Promise<void> {
  const { deletedLog, block } = tables;
  const rows = await pool.use(async (session) => {
    const [answer] = await session.send([`SELECT log_id FROM ${deletedLog} ORDER BY log_id LIMIT ${DELETED_LOGS}`]);
    return rowsOf<[number]>(answer);
  });
  const endsAtMs = performance.now() + MAX_MS_EACH;
  for (const [logId] of rows) {
    const ofLog = `WHERE log_id = ${integer(logId)}`;
    while (await remove(pool, `DELETE FROM ${block} ${ofLog}`)) if (performance.now() > endsAtMs) return;
    await pool.use((session) => session.send([`DELETE FROM ${deletedLog} ${ofLog}`]));
  }
}
