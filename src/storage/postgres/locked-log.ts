import { randomUUID } from "node:crypto";
import type { EpochLink } from "../../core/epoch-chain.ts";
import { BusError } from "../../core/errors.ts";
import type { ChannelName } from "../../core/names.ts";
import { MAX_EPOCH_LINKS, withNewEpoch } from "../epoch-links.ts";
import type { LogState } from "../message-log.ts";
import type { Queries } from "./database.ts";
import { IS_AS_WRITTEN } from "./row-writer.ts";

/** A log's row, as the statements below select it. */
export interface LogRow {
  readonly id: number;
  readonly incarnation: string;
  readonly version: number;
  readonly fenced_at: number;
  readonly head: number;
  readonly floor: number;
  readonly start_bytes: number;
  readonly end_bytes: number;
  readonly last_accepted_at: number;
  readonly epoch: number;
  readonly life: string;
  /** False: somebody else put the row there, see row-writer.ts. */
  readonly is_as_written: boolean;
  /** Pairs of epoch and first sequence, oldest first. */
  readonly links: readonly number[];
}

export const logColumns = (s: string, links = `${s}.links(l.id)`): string =>
  `l.id, l.incarnation, l.version, l.fenced_at, l.head, l.floor, l.start_bytes, l.end_bytes, l.last_accepted_at,
   l.epoch, l.life, ${IS_AS_WRITTEN} AS is_as_written, ${links} AS links`;

export function linksOf({ links }: Pick<LogRow, "links">): readonly EpochLink[] {
  return Array.from({ length: links.length / 2 }, (_, i) => ({ epoch: links[2 * i]!, first: links[2 * i + 1]! }));
}

export function stateOf(row: LogRow, links: readonly EpochLink[] = linksOf(row)): LogState {
  const { incarnation, version, head, floor } = row;
  return { incarnation, version, head, floor, links, sizeBytes: row.end_bytes - row.start_bytes };
}

/** What is done to one log by a transaction that holds the lock of its row. */
export class LockedLogs {
  readonly #schema: string;
  readonly #randomEpoch: () => number;

  constructor(schema: string, randomEpoch: () => number) {
    this.#schema = schema;
    this.#randomEpoch = randomEpoch;
  }

  /** Locks the row. What is read behind it sees all that was committed under the lock before. */
  async lock(queries: Queries, name: ChannelName): Promise<LogRow | undefined> {
    const s = this.#schema;
    const lock = { name: "lock_log", text: `SELECT FROM ${s}.log WHERE name = $1 FOR UPDATE` };
    // Two statements: the links must be those of the row as it is now, not of the snapshot before the wait.
    if ((await queries.query(lock, [name.key])).length === 0) return undefined;
    const text = `SELECT ${logColumns(s)} FROM ${s}.log l WHERE l.name = $1`;
    return (await queries.query<LogRow>({ name: "locked_log", text }, [name.key]))[0];
  }

  /** The life of the server, named now when nobody has named it yet. */
  async life(queries: Queries): Promise<string> {
    const s = this.#schema;
    const read = { name: "life", text: `SELECT ${s}.life() AS life` };
    for (let tries = 0; tries < 2; tries++) {
      const [row] = await queries.query<{ life: string | null }>(read, []);
      if (row!.life !== null) return row!.life;
      const text = `INSERT INTO ${s}.server_life (only_one, token) VALUES (true, $1) ON CONFLICT DO NOTHING`;
      await queries.query({ text }, [randomUUID()]);
    }
    throw new BusError("STORAGE_UNAVAILABLE", "PostgreSQL: the server's life cannot be named");
  }

  /** Removes what a longer past left above the head, where the next entries belong. */
  async dropBeyond(queries: Queries, { id, head }: Pick<LogRow, "id" | "head">): Promise<void> {
    const text = `DELETE FROM ${this.#schema}.entry WHERE log_id = $1 AND sequence > $2`;
    await queries.query({ name: "drop_beyond", text }, [id, head]);
  }

  /** The chain with a new link behind it, from `first` on; not written yet. */
  extended(links: readonly EpochLink[], first: number): readonly EpochLink[] {
    return withNewEpoch(links, first, this.#randomEpoch);
  }

  /** Writes the newest link of a chain, and drops what is too old. */
  async addLink(queries: Queries, logId: number, links: readonly EpochLink[]): Promise<void> {
    const s = this.#schema;
    const { epoch, first } = links[links.length - 1]!;
    const add = {
      name: "add_link",
      text: `INSERT INTO ${s}.epoch_link (log_id, number, epoch, first)
             SELECT $1, coalesce(max(number), 0) + 1, $2, $3 FROM ${s}.epoch_link WHERE log_id = $1`,
    };
    await queries.query(add, [logId, epoch, first]);
    if (links.length < MAX_EPOCH_LINKS) return;
    const drop = {
      name: "drop_links",
      text: `DELETE FROM ${s}.epoch_link WHERE log_id = $1 AND number <=
             (SELECT max(number) FROM ${s}.epoch_link WHERE log_id = $1) - $2`,
    };
    await queries.query(drop, [logId, MAX_EPOCH_LINKS]);
  }
}
