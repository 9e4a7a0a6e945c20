import type { ChannelName } from "../../core/names.ts";
import type { RetentionConfig } from "../../core/room.ts";
import { MAX_DEDUP_WINDOW_MS } from "../dedup-window.ts";
import type { LogState } from "../message-log.ts";
import { requireLog, retainedFrom } from "../retention.ts";
import { bytesInFront, firstBehind, firstReaching } from "./block-search.ts";
import { affectedRows, rowsOf } from "./connection.ts";
import type { ConnectionPool, Session } from "./connection-pool.ts";
import { type LogRow, selectLog, toLogRow, toLogState } from "./log-row.ts";
import type { Tables } from "./schema.ts";
import { integer } from "./sql-text.ts";
import type { StoreClock } from "./store-clock.ts";

/** Blocks that one statement removes: few enough that nobody waits for it. */
const DELETE_ROWS = 500;
/** Statements of one trim; what is left goes with the next one. */
const DELETE_STEPS = 100;

/**
 * First the floor is raised, which is what readers see; then the blocks below it go, in steps. Neither holds the log's row
 * for long, so appends go on meanwhile.
 */
export async function trimLog(
  pool: ConnectionPool,
  t: Tables,
  clock: StoreClock,
  name: ChannelName,
  retention: RetentionConfig,
): Promise<LogState> {
  return await pool.use(async (session) => {
    const read = async () => {
      const [answer] = await session.send([selectLog(t, name.key, clock.sql)]);
      return requireLog(name, toLogRow(rowsOf(answer)));
    };
    let log = await read();
    const floor = await floorFor(session, t, log, retention);
    if (floor > log.floor) {
      await raiseFloor(session, t, log, floor);
      log = await read();
    }
    if (log.floor > log.purgedTo) await purge(session, t, log);
    return toLogState(log);
  });
}

async function floorFor(session: Session, t: Tables, log: LogRow, retention: RetentionConfig): Promise<number> {
  const { head, totalBytes } = log;
  const { byAge, byCount, maxBytes } = retainedFrom(retention, head, log.nowMs);
  let { floor } = log;
  if (Number.isFinite(byAge)) {
    floor = await firstReaching(session, t, log.id, { low: floor, high: head }, "accepted_at", byAge);
  }
  floor = Math.max(floor, Math.min(byCount, head));
  if (floor < head && totalBytes - log.floorBytes > maxBytes) {
    floor = Math.min(head, await firstBehind(session, t, log, floor, totalBytes - maxBytes));
  }
  return floor;
}

async function raiseFloor(session: Session, t: Tables, log: LogRow, floor: number): Promise<void> {
  const floorBytes = await bytesInFront(session, t, log, floor);
  // Another node may have trimmed more meanwhile, and a log that was set back has no such floor.
  await session.send([
    `UPDATE ${t.log} SET floor_sequence = ${integer(floor)}, floor_bytes = ${integer(floorBytes)}
      WHERE id = ${integer(log.id)} AND floor_sequence < ${integer(floor)} AND head >= ${integer(floor - 1)}`,
  ]);
}

/** Blocks stay while their idempotency keys may be asked for. */
async function purge(session: Session, t: Tables, log: LogRow): Promise<void> {
  const enoughMs = session.remainingMs() / 2;
  const ofLog = `log_id = ${integer(log.id)}`;
  const before = integer(log.nowMs - MAX_DEDUP_WINDOW_MS);
  for (let step = 0; step < DELETE_STEPS && session.remainingMs() > enoughMs; step++) {
    const [answer] = await session.send([
      `DELETE FROM ${t.block} WHERE ${ofLog} AND last_sequence < ${integer(log.floor)} AND accepted_at < ${before}
        ORDER BY last_sequence LIMIT ${DELETE_ROWS}`,
    ]);
    if (affectedRows(answer) === DELETE_ROWS) continue;
    await session.send([
      `UPDATE ${t.log} SET purged_to = LEAST(floor_sequence,
          (SELECT COALESCE(MIN(first_sequence), ${integer(log.floor)}) FROM ${t.block} WHERE ${ofLog}))
        WHERE id = ${integer(log.id)}`,
    ]);
    return;
  }
}
