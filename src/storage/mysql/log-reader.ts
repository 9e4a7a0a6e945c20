import { BusError } from "../../core/errors.ts";
import type { ChannelName } from "../../core/names.ts";
import type { LogEnd, ReadRequest, ReadResult } from "../message-log.ts";
import { type EntryRow, toLogEntry } from "../sql/entry-row.ts";
import { boundedRequest, toReadResult } from "../sql/read-page.ts";
import { decodeBlock, idPrint, MAX_BLOCK_ENTRIES } from "./block-codec.ts";
import { BLOCK_COLUMNS, toBlockRow } from "./block-rows.ts";
import { firstReaching } from "./block-search.ts";
import { rowsOf } from "./connection.ts";
import type { ConnectionPool } from "./connection-pool.ts";
import { type LogRow, selectLog, toLogRow, toLogState } from "./log-row.ts";
import type { Tables } from "./schema.ts";
import { bytes, integer, text } from "./sql-text.ts";
import type { StoreClock } from "./store-clock.ts";
import { type Transaction, transact } from "./transaction.ts";

/** All statements of such a transaction see the log at the same moment; a trim in between takes nothing away from it. */
const SNAPSHOT = [
  "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ",
  "START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY",
];

/** Sequences from `low` to `high`, read from one end or the other. */
interface Window {
  readonly low: number;
  readonly high: number;
}

/** Where a log was when it was last read: with it, most reads take one round trip instead of two. */
type Hint = Pick<LogRow, "id" | "head" | "floor">;
const MAX_HINTS = 10_000;
/** Sequences that one statement looks through for an id. */
const SCAN_SEQUENCES = 200_000;
/** What one search for an id answers at most. */
const MAX_FOUND = 100;

export class LogReader {
  readonly #pool: ConnectionPool;
  readonly #tables: Tables;
  readonly #clock: StoreClock;
  readonly #hints = new Map<string, Hint>();

  constructor(pool: ConnectionPool, tables: Tables, clock: StoreClock) {
    this.#pool = pool;
    this.#tables = tables;
    this.#clock = clock;
  }

  async row(name: ChannelName): Promise<LogRow | undefined> {
    return await this.#pool.use(async (session) => {
      const [answer] = await session.send([this.#select(name)]);
      return this.#readRow(name, answer);
    });
  }

  async ends(names: readonly ChannelName[]): Promise<readonly (LogEnd | undefined)[]> {
    if (names.length === 0) return [];
    const keys = names.map(({ key }) => text(key)).join(", ");
    const rows = await this.#pool.use(async (session) => {
      const [answer] = await session.send([
        `SELECT name, incarnation, head, epoch FROM ${this.#tables.log} WHERE name IN (${keys})`,
      ]);
      return rowsOf<[Buffer, Buffer, number, number]>(answer);
    });
    const ends = new Map<string, LogEnd>();
    for (const [key, incarnation, head, epoch] of rows) {
      ends.set(key.toString(), { incarnation: incarnation.toString(), head, epoch });
    }
    return names.map(({ key }) => ends.get(key));
  }

  async read(asked: ReadRequest): Promise<ReadResult> {
    const request = boundedRequest(asked);
    return (await this.#readAsGuessed(request)) ?? (await this.#readCarefully(request));
  }

  /** In one round trip, when the log is as it was when it was last read, or has only grown. */
  async #readAsGuessed(request: ReadRequest): Promise<ReadResult | undefined> {
    const hint = this.#hints.get(request.name.key);
    if (hint === undefined) return undefined;
    const guess = windowOf(request, hint);
    return await this.#pool.use(async (session) => {
      const statements = [this.#select(request.name), this.#selectBlocks(hint.id, guess, request)];
      const answers = await session.send([...SNAPSHOT, ...statements, "COMMIT"]).catch((error: unknown) => {
        session.discard(); // the transaction may be open
        throw error;
      });
      const [logRows, blocks] = answers.slice(SNAPSHOT.length);
      const log = this.#readRow(request.name, logRows);
      if (log === undefined) return { entries: [], state: undefined, damaged: [] };
      const window = windowOf(request, log);
      if (isEmpty(window, log)) return toReadResult([], toLogState(log), request, true);
      if (log.id !== hint.id || guess.low !== window.low || guess.high !== window.high) return undefined;
      const rows = toEntryRows(blocks, window, log, request.backward);
      return rows.length === 0 ? undefined : toReadResult(rows, toLogState(log), request, false);
    });
  }

  /** Step by step, within one snapshot. */
  async #readCarefully(request: ReadRequest): Promise<ReadResult> {
    const { name, backward } = request;
    return await transact(
      this.#pool,
      async (tx) => {
        const [logRows] = await tx.send([this.#select(name)]);
        const log = this.#readRow(name, logRows);
        if (log === undefined) return { entries: [], state: undefined, damaged: [] };
        const state = toLogState(log);
        const read = async (window: Window) => {
          const [blocks] = await tx.send([this.#selectBlocks(log.id, window, request)]);
          return toEntryRows(blocks, window, log, backward);
        };
        const window = windowOf(request, log);
        if (isEmpty(window, log)) return toReadResult([], state, request, true);
        const rows = await read(window);
        if (rows.length > 0) return toReadResult(rows, state, request, false);
        // Everything in the window is missing: what lies behind it, if anything does, is still to be found.
        const next = await this.#nextPresent(tx, backward, log, window);
        if (next === undefined) return toReadResult([], state, request, true);
        const beyond = windowOf({ ...request, from: backward ? next + 1 : next - 1 }, log);
        return toReadResult(await read(beyond), state, request, false);
      },
      { start: SNAPSHOT },
    );
  }

  /** Looks through prints of ids, block by block; what it answers lies in one block. */
  async findId(name: ChannelName, id: string, after: number): Promise<readonly number[]> {
    const log = await this.row(name);
    if (log === undefined) return [];
    for (let low = Math.max(log.floor, after + 1); low <= log.head; ) {
      const high = Math.min(log.head, low + SCAN_SEQUENCES - 1);
      const row = await this.#pool.use(async (session) => {
        const [answer] = await session.send([
          `SELECT ${BLOCK_COLUMNS} FROM ${this.#tables.block}
            WHERE log_id = ${integer(log.id)} AND last_sequence BETWEEN ${integer(low)} AND ${integer(high)}
              AND LOCATE(${bytes(idPrint(id))}, id_prints) > 0 ORDER BY last_sequence LIMIT 1`,
        ]);
        return rowsOf(answer)[0];
      });
      // A block that reaches beyond `high` is found in the next step, by its last sequence.
      if (row === undefined) {
        low = high + 1;
        continue;
      }
      const block = toBlockRow(row);
      const entries = decodeBlock(block, block.content, log.floor, log.head).map(toLogEntry);
      const found = entries.flatMap((entry) => (entry?.id === id && entry.sequence > after ? entry.sequence : []));
      if (found.length > 0) return found.slice(0, MAX_FOUND);
      if (entries.includes(undefined)) {
        throw new BusError("DATA_DAMAGED", `${name.key}: a part that may hold the message is damaged`);
      }
      low = block.last + 1;
    }
    // The head's own block may end above it only when the head was set back; those entries are gone.
    return [];
  }

  async findTime(name: ChannelName, timeMs: number): Promise<number> {
    return await this.#pool.use(async (session) => {
      const [answer] = await session.send([this.#select(name)]);
      const log = this.#readRow(name, answer);
      if (log === undefined) return 1;
      return await firstReaching(
        session,
        this.#tables,
        log.id,
        { low: log.floor, high: log.head },
        "accepted_at",
        timeMs,
      );
    });
  }

  #select(name: ChannelName): string {
    return selectLog(this.#tables, name.key, this.#clock.sql);
  }

  #readRow(name: ChannelName, answer: Parameters<typeof rowsOf>[0]): LogRow | undefined {
    const log = toLogRow(rowsOf(answer));
    this.#hints.delete(name.key);
    if (log === undefined) return undefined;
    this.#clock.observe(log.nowMs);
    this.#hints.set(name.key, log);
    if (this.#hints.size > MAX_HINTS) {
      for (const oldest of this.#hints.keys()) {
        this.#hints.delete(oldest);
        break;
      }
    }
    return log;
  }

  /** Blocks that have entries of the window; about as many as fit the request's bytes, and one at least. */
  #selectBlocks(logId: number, { low, high }: Window, { backward, maxBytes }: ReadRequest): string {
    const { block } = this.#tables;
    // Blocks end behind what is looked for; how far at the most is known, so the range that is scanned is bounded.
    const within = `log_id = ${integer(logId)} AND last_sequence BETWEEN ${integer(low)}
      AND ${integer(high + MAX_BLOCK_ENTRIES)} AND first_sequence <= ${integer(high)}`;
    const order = `ORDER BY last_sequence ${backward ? "DESC" : "ASC"}`;
    const max = integer(maxBytes);
    // Of the first block, what lies in front of the window does not count; how much that is only its content tells.
    const bound = backward
      ? `total_bytes > (SELECT IF(last_sequence <= ${integer(high)}, total_bytes, total_bytes - body_bytes) - ${max}
          FROM ${block} WHERE ${within} ${order} LIMIT 1)`
      : `total_bytes - body_bytes < (SELECT IF(first_sequence >= ${integer(low)}, total_bytes - body_bytes, total_bytes) + ${max}
          FROM ${block} WHERE ${within} ${order} LIMIT 1)`;
    // Bodies without bytes move no bound.
    const first = `last_sequence = (SELECT last_sequence FROM ${block} WHERE ${within} ${order} LIMIT 1)`;
    return `SELECT ${BLOCK_COLUMNS} FROM ${block} WHERE ${within} AND (${bound} OR ${first}) ${order}`;
  }

  async #nextPresent(
    tx: Transaction,
    backward: boolean,
    { id, head, floor }: LogRow,
    { low, high }: Window,
  ): Promise<number | undefined> {
    const beyond = backward
      ? `last_sequence >= ${integer(floor)} AND last_sequence < ${integer(low)} ORDER BY last_sequence DESC`
      : `last_sequence > ${integer(high)} AND first_sequence <= ${integer(head)} ORDER BY last_sequence`;
    const [answer] = await tx.send([
      `SELECT first_sequence, last_sequence FROM ${this.#tables.block} WHERE log_id = ${integer(id)} AND ${beyond} LIMIT 1`,
    ]);
    const found = rowsOf<[number, number]>(answer)[0];
    if (found === undefined) return undefined;
    return backward ? found[1] : Math.max(found[0], high + 1);
  }
}

/** As many sequences as the request may return; forward it may reach beyond the head. */
function windowOf({ from, backward, maxEntries }: ReadRequest, { head, floor }: Hint): Window {
  if (!backward) {
    const low = Math.max(from + 1, floor);
    return { low, high: low + maxEntries - 1 };
  }
  const high = Math.min(from - 1, head);
  return { low: Math.max(floor, high - maxEntries + 1), high };
}

function isEmpty({ low, high }: Window, { head }: Hint): boolean {
  return low > Math.min(high, head);
}

/** The entries of the window, in the order of reading. */
function toEntryRows(
  answer: Parameters<typeof rowsOf>[0],
  { low, high }: Window,
  { head }: Hint,
  backward: boolean,
): readonly EntryRow[] {
  const rows: EntryRow[] = [];
  for (const row of rowsOf(answer)) {
    const block = toBlockRow(row);
    const entries = decodeBlock(block, block.content, low, Math.min(high, head));
    rows.push(...(backward ? entries.reverse() : entries));
  }
  return rows;
}
