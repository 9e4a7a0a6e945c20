import { BusError } from "../../core/errors.ts";
import type { ChannelName } from "../../core/names.ts";
import type { LogEnd, LogState, ReadRequest, ReadResult } from "../message-log.ts";
import { type EntryRow, toLogEntry } from "../sql/entry-row.ts";
import { boundedRequest, toReadResult } from "../sql/read-page.ts";
import { textArray } from "./binary-array.ts";
import type { Database, Statement } from "./database.ts";
import { type LogRow, logColumns, stateOf } from "./locked-log.ts";

interface EntryColumns {
  readonly sequence: number | null;
  readonly epoch: number;
  readonly accepted_at: number;
  readonly time_to_live: number;
  readonly checksum: number;
  readonly entry_id: string;
  readonly sender: string;
  readonly audience: string | null;
  readonly body: Buffer;
}

const ENTRY_COLUMNS = "sequence, epoch, accepted_at, time_to_live, checksum, id AS entry_id, sender, audience, body";

export class LogReader {
  readonly #database: Database;
  readonly #state: Statement;
  readonly #ends: Statement;
  readonly #forward: Statement;
  readonly #backward: Statement;
  readonly #findId: Statement;
  readonly #findTime: Statement;

  constructor(database: Database, s: string) {
    this.#database = database;
    this.#state = { name: "state", text: `SELECT ${logColumns(s)} FROM ${s}.log l WHERE l.name = $1` };
    this.#ends = {
      name: "ends",
      text: `SELECT name, incarnation, head, epoch FROM ${s}.log WHERE name = ANY ($1::text[])`,
    };
    this.#forward = { name: "read_forward", text: readStatement(s, false) };
    this.#backward = { name: "read_backward", text: readStatement(s, true) };
    this.#findId = {
      name: "find_id",
      // Materialized: else the planner may walk through the log in order until it meets the id.
      text: `WITH found AS MATERIALIZED (
               SELECT e.* FROM ${s}.log l JOIN ${s}.entry e ON e.log_id = l.id
                WHERE l.name = $1 AND e.id = $2 AND e.sequence BETWEEN l.floor AND l.head)
             SELECT ${ENTRY_COLUMNS} FROM found ORDER BY sequence LIMIT 1`,
    };
    this.#findTime = {
      name: "find_time",
      text: `SELECT ${s}.find_time(id, floor, head, $2) AS sequence FROM ${s}.log WHERE name = $1`,
    };
  }

  async row(name: ChannelName): Promise<LogRow | undefined> {
    return (await this.#database.query<LogRow>(this.#state, [name.key]))[0];
  }

  async state(name: ChannelName): Promise<LogState | undefined> {
    const row = await this.row(name);
    return row && stateOf(row);
  }

  async ends(names: readonly ChannelName[]): Promise<readonly (LogEnd | undefined)[]> {
    const rows = await this.#database.query<LogEnd & { name: string }>(this.#ends, [
      textArray(names.map(({ key }) => key)),
    ]);
    const found = new Map(rows.map(({ name, incarnation, head, epoch }) => [name, { incarnation, head, epoch }]));
    return names.map(({ key }) => found.get(key));
  }

  async read(request: ReadRequest): Promise<ReadResult> {
    const bounded = boundedRequest(request);
    const { name, from, backward, maxEntries, maxBytes } = bounded;
    const values = [name.key, from, maxEntries + 1, maxBytes];
    const rows = await this.#database.query<LogRow & EntryColumns>(backward ? this.#backward : this.#forward, values);
    const [first] = rows;
    if (first === undefined) return { entries: [], state: undefined, damaged: [] };
    const entries = rows.slice(1).map(toEntryRow);
    // The statement's rows end with the first that does not fit, if there is one.
    let bytes = 0;
    for (const { body } of entries) bytes += body.length;
    const isComplete = entries.length <= maxEntries && bytes <= maxBytes;
    return toReadResult(entries, stateOf(first), bounded, isComplete);
  }

  async findId(name: ChannelName, id: string): Promise<number | undefined> {
    const [row] = await this.#database.query<EntryColumns>(this.#findId, [name.key, id]);
    if (row === undefined) return undefined;
    const entry = toLogEntry(toEntryRow(row));
    if (entry === undefined) throw new BusError("DATA_DAMAGED", `${name.key}: the entry ${row.sequence} is damaged`);
    return entry.sequence;
  }

  async findTime(name: ChannelName, timeMs: number): Promise<number> {
    const [row] = await this.#database.query<{ sequence: number }>(this.#findTime, [name.key, Math.ceil(timeMs)]);
    return row?.sequence ?? 1;
  }
}

/**
 * The log's row first, then entries, all of one snapshot. $2 where from, $3 rows at most, $4 bytes: rows end with the first
 * entry that begins beyond them. How far an entry lies from the first one read is a difference of two columns, so nothing
 * is summed up and no body is fetched in vain.
 */
function readStatement(s: string, backward: boolean): string {
  const order = backward ? "DESC" : "ASC";
  const range = backward
    ? "e.log_id = l.id AND e.sequence < $2 AND e.sequence BETWEEN l.floor AND l.head"
    : "e.log_id = l.id AND e.sequence > $2 AND e.sequence BETWEEN l.floor AND l.head";
  const distance = backward ? "first.end_bytes - e.end_bytes" : "e.end_bytes - length(e.body) - first.start_bytes";
  const nothing = ENTRY_COLUMNS.split(", ").map((column) => {
    const [name, alias = name] = column.split(" AS ");
    return `NULL::${TYPES[name!] ?? "bigint"} AS ${alias}`;
  });
  return `
    WITH l AS MATERIALIZED (SELECT ${logColumns(s)} FROM ${s}.log l WHERE l.name = $1)
    (SELECT l.*, ${nothing.join(", ")} FROM l)
    UNION ALL
    (SELECT NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, page.*
       FROM l, LATERAL (
         SELECT e.end_bytes, e.end_bytes - length(e.body) AS start_bytes FROM ${s}.entry e
          WHERE ${range} ORDER BY e.sequence ${order} LIMIT 1) AS first, LATERAL (
         SELECT e.sequence, e.epoch, e.accepted_at, e.time_to_live, e.checksum, e.id, e.sender, e.audience, e.body
           FROM ${s}.entry e WHERE ${range} AND ${distance} <= $4
          ORDER BY e.sequence ${order} LIMIT $3) AS page)`;
}

const TYPES: Readonly<Record<string, string>> = { id: "text", sender: "text", audience: "text", body: "bytea" };

function toEntryRow(row: EntryColumns): EntryRow {
  return {
    sequence: row.sequence!,
    epoch: row.epoch,
    acceptedAtMs: row.accepted_at,
    timeToLiveMs: row.time_to_live,
    id: row.entry_id,
    sender: row.sender,
    audience: row.audience,
    body: row.body,
    checksum: row.checksum,
  };
}
