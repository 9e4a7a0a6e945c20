import { BusError } from "../../core/errors.ts";
import type { ChannelName } from "../../core/names.ts";
import type { RetentionConfig } from "../../core/room.ts";
import { MAX_DEDUP_WINDOW_MS } from "../dedup-window.ts";
import type { Database, Statement } from "./database.ts";

/** Rows that one statement removes: it takes a few hundredths of a second, and no lock that an append wants. */
const STEP = 10_000;
/** Statements of one sweep, for what logs left behind; and for keys, of which a busy bus makes a million between sweeps. */
const MAX_STEPS = 20;
const MAX_KEY_STEPS = 500;

interface MovedFloor {
  readonly o_log: number | null;
  readonly o_floor: number;
}

/** Removes entries, keys and whole logs, in bounded steps. */
export class LogCleaner {
  readonly #database: Database;
  readonly #schema: string;
  readonly #storeClock: () => number | null;
  /** Idempotency keys that are kept. */
  readonly #maxKeys: number;
  readonly #moveFloor: Statement;
  readonly #removeEntries: Statement;

  constructor(database: Database, schema: string, storeClock: () => number | null, maxKeys: number) {
    this.#database = database;
    this.#schema = schema;
    this.#storeClock = storeClock;
    this.#maxKeys = maxKeys;
    this.#moveFloor = { name: "move_floor", text: `SELECT * FROM ${schema}.move_floor($1, $2, $3, $4)` };
    this.#removeEntries = { name: "remove_entries", text: removal(schema, "entry", "sequence", "AND sequence < $3") };
  }

  /**
   * Moves the floor under the lock of the log's row, which takes some look-ups; then nobody sees the entries below, and
   * they are removed without it. A node that dies in between leaves them to the next trim.
   */
  async trim(name: ChannelName, retention: RetentionConfig): Promise<void> {
    const { maxAgeMs, maxMessages, maxBytes } = retention;
    const byAge = maxAgeMs > 0 ? (await this.#now()) - maxAgeMs : null;
    const limits = [byAge, Math.max(maxMessages, 0), Math.max(maxBytes, 0)];
    const [moved] = await this.#database.query<MovedFloor>(this.#moveFloor, [name.key, ...limits]);
    const { o_log: log, o_floor: floor } = moved!;
    if (log === null) throw new BusError("CHANNEL_DELETED", `${name.key}: the channel's log is gone`);
    while ((await this.#database.query(this.#removeEntries, [log, STEP, floor])).length > 0);
  }

  /** Nobody finds the log from now on. A small one is removed at once, of a large one the sweep removes the rest. */
  async remove(name: ChannelName, incarnation: string): Promise<void> {
    const s = this.#schema;
    const remove = {
      name: "remove_log",
      text: `WITH removed AS (DELETE FROM ${s}.log WHERE name = $1 AND incarnation = $2 RETURNING id)
             INSERT INTO ${s}.removed_log (log_id) SELECT id FROM removed RETURNING log_id`,
    };
    const rows = await this.#database.query<{ log_id: number }>(remove, [name.key, incarnation]);
    for (const { log_id } of rows) await this.#removeRows(log_id, 3);
  }

  async sweep(): Promise<void> {
    const s = this.#schema;
    const oldKeys = {
      name: "remove_old_keys",
      text: `WITH old AS MATERIALIZED (SELECT ctid FROM ${s}.idempotency_key WHERE accepted_at < $1 LIMIT $2),
                  gone AS (DELETE FROM ${s}.idempotency_key WHERE ctid = ANY (ARRAY(SELECT ctid FROM old))
                           AND accepted_at < $1 RETURNING 1)
             SELECT FROM gone HAVING count(*) = $2`,
    };
    const before = Math.max((await this.#now()) - MAX_DEDUP_WINDOW_MS, await this.#newestBeyond());
    for (let step = 0; step < MAX_KEY_STEPS; step++) {
      if ((await this.#database.query(oldKeys, [before, STEP])).length === 0) break;
    }
    const removed = { name: "removed_logs", text: `SELECT log_id FROM ${s}.removed_log ORDER BY log_id LIMIT 100` };
    let steps = MAX_STEPS;
    for (const { log_id } of await this.#database.query<{ log_id: number }>(removed, [])) {
      steps = await this.#removeRows(log_id, steps);
      if (steps <= 0) return;
    }
  }

  /** When the newest of the keys was stored that are more than are kept; 0: there are not so many. */
  async #newestBeyond(): Promise<number> {
    const newest = {
      name: "newest_key_beyond",
      text: `SELECT accepted_at + 1 AS before FROM ${this.#schema}.idempotency_key
              ORDER BY accepted_at DESC OFFSET $1 LIMIT 1`,
    };
    const [row] = await this.#database.query<{ before: number }>(newest, [this.#maxKeys]);
    return row?.before ?? 0;
  }

  /** Removes what belongs to a log that is gone, in so many statements at most. Answers how many are left. */
  async #removeRows(logId: number, steps: number): Promise<number> {
    const s = this.#schema;
    let left = steps;
    for (const [table, column] of [
      ["entry", "sequence"],
      ["idempotency_key", "fingerprint"],
      ["epoch_link", "number"],
    ] as const) {
      const statement = { name: `remove_${table}`, text: removal(s, table, column, "") };
      do {
        if (left-- <= 0) return 0;
      } while ((await this.#database.query(statement, [logId, STEP])).length > 0);
    }
    const text = `DELETE FROM ${s}.removed_log WHERE log_id = $1`;
    await this.#database.query({ name: "forget_log", text }, [logId]);
    return left;
  }

  async #now(): Promise<number> {
    const statement = { name: "clock", text: `SELECT ${this.#schema}.clock_ms($1) AS now` };
    const [row] = await this.#database.query<{ now: number }>(statement, [this.#storeClock()]);
    return row!.now;
  }
}

/** Removes at most $2 rows of log $1 from one end of its key. Answers one row when there may be more. */
function removal(s: string, table: string, column: string, condition: string): string {
  return `WITH first AS MATERIALIZED (
            SELECT ${column} FROM ${s}.${table} WHERE log_id = $1 ${condition} ORDER BY ${column} LIMIT $2),
          gone AS (
            DELETE FROM ${s}.${table} WHERE log_id = $1 AND ${column} = ANY (ARRAY(SELECT ${column} FROM first))
            RETURNING 1)
          SELECT FROM gone HAVING count(*) = $2`;
}
