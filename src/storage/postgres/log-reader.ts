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
  readonly entry_epoch: number;
  readonly accepted_at: number;
  readonly time_to_live: number;
  readonly checksum: number;
  readonly entry_id: string;
  readonly sender: string;
  readonly audience: string | null;
  readonly body: Buffer;
}

/** None is called as a column of the log: a row is an object, in which one would hide the other. */
const ENTRY_COLUMNS =
  "sequence, epoch AS entry_epoch, accepted_at, time_to_live, checksum, id AS entry_id, sender, audience, body";

/** What one search for an id answers at most: each comes with its body, to check it. */
const MAX_FOUND = 16;

/** `links` null: they are as the reader knows them. */
type ReadRow = Omit<LogRow, "links"> & { readonly links: LogRow["links"] | null } & EntryColumns;

/**
 * A log's chain of epochs as it was last read. It changes only together with the log's newest epoch, and to collect it costs
 * the server three times the rest of a read of one message.
 */
type KnownChain = Pick<LogRow, "id" | "epoch" | "links">;
const MAX_CHAINS = 10_000;

export class LogReader {
  readonly #database: Database;
  readonly #state: Statement;
  readonly #ends: Statement;
  readonly #forward: Statement;
  readonly #backward: Statement;
  readonly #findId: Statement;
  readonly #findTime: Statement;
  readonly #chains = new Map<string, KnownChain>();

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
                WHERE l.name = $1 AND e.id = $2 AND e.sequence BETWEEN l.floor AND l.head AND e.sequence > $3)
             SELECT ${ENTRY_COLUMNS} FROM found ORDER BY sequence LIMIT ${MAX_FOUND}`,
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
    const known = this.#chains.get(name.key);
    const values = [name.key, from, maxEntries + 1, maxBytes, known?.id ?? 0, known?.epoch ?? 0];
    const rows = await this.#database.query<ReadRow>(backward ? this.#backward : this.#forward, values);
    const [row] = rows;
    if (row === undefined) return { entries: [], state: undefined, damaged: [] };
    const first: LogRow = { ...row, links: row.links ?? known!.links };
    this.#note(name, first);
    const entries = rows.slice(1).map(toEntryRow);
    // The statement's rows end with the first that does not fit, if there is one.
    let bytes = 0;
    for (const { body } of entries) bytes += body.length;
    const isComplete = entries.length <= maxEntries && bytes <= maxBytes;
    return toReadResult(entries, stateOf(first), bounded, isComplete);
  }

  async findId(name: ChannelName, id: string, after: number): Promise<readonly number[]> {
    const rows = await this.#database.query<EntryColumns>(this.#findId, [name.key, id, after]);
    const found = rows.flatMap((row) => toLogEntry(toEntryRow(row))?.sequence ?? []);
    if (found.length === 0 && rows.length > 0) {
      throw new BusError("DATA_DAMAGED", `${name.key}: the entry ${rows[0]!.sequence} is damaged`);
    }
    return found;
  }

  async findTime(name: ChannelName, timeMs: number): Promise<number> {
    const [row] = await this.#database.query<{ sequence: number }>(this.#findTime, [name.key, Math.ceil(timeMs)]);
    return row?.sequence ?? 1;
  }

  #note({ key }: ChannelName, { id, epoch, links }: LogRow): void {
    this.#chains.delete(key);
    this.#chains.set(key, { id, epoch, links });
    if (this.#chains.size > MAX_CHAINS) this.#chains.delete(this.#chains.keys().next().value!);
  }
}

/**
 * The log's row first, then entries, all of one snapshot. $2 where from, $3 rows at most, $4 bytes: rows end with the first
 * entry that begins beyond them. $5 and $6 number and newest epoch of the log whose links are known and left out. How far an entry lies from the first one read is a difference of two columns, so nothing
 * is summed up and no body is fetched in vain.
 */
function readStatement(s: string, backward: boolean): string {
  const links = `CASE WHEN l.id = $5 AND l.epoch = $6 THEN NULL ELSE ${s}.links(l.id) END`;
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
    WITH l AS MATERIALIZED (SELECT ${logColumns(s, links)} FROM ${s}.log l WHERE l.name = $1)
    (SELECT l.*, ${nothing.join(", ")} FROM l)
    UNION ALL
    (SELECT NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, page.*
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
    epoch: row.entry_epoch,
    acceptedAtMs: row.accepted_at,
    timeToLiveMs: row.time_to_live,
    id: row.entry_id,
    sender: row.sender,
    audience: row.audience,
    body: row.body,
    checksum: row.checksum,
  };
}
