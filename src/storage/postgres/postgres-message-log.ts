import type { ChannelName } from "../../core/names.ts";
import type { RetentionConfig } from "../../core/room.ts";
import { newestEpoch } from "../epoch-links.ts";
import type {
  AppendBatch,
  AppendOutcome,
  LogEnd,
  LogState,
  MessageLog,
  ReadRequest,
  ReadResult,
} from "../message-log.ts";
import { checkNewer, requireLog } from "../retention.ts";
import { OrderedSteps } from "../sql/ordered-steps.ts";
import { Appender, type AppenderOptions } from "./appender.ts";
import type { Database } from "./database.ts";
import { type LockedLogs, type LogRow, linksOf, logColumns, stateOf } from "./locked-log.ts";
import { LogCleaner } from "./log-cleaner.ts";
import { LogReader } from "./log-reader.ts";
import { PreparedBatch } from "./prepared-batch.ts";
import { SAME_TRUST, THIS_WRITER } from "./row-writer.ts";

/** Measured: larger groups gain no more, and hold the head's row longer. */
const MAX_GROUP_RECORDS = 2_000;
const MAX_GROUP_BYTES = 2 * 2 ** 20;

export interface PostgresLogOptions extends AppenderOptions {
  readonly maxPendingBytes: number;
  readonly dedupKeys: number;
}

export class PostgresMessageLog implements MessageLog {
  readonly #database: Database;
  readonly #schema: string;
  readonly #locks: LockedLogs;
  readonly #steps: OrderedSteps;
  readonly #reader: LogReader;
  readonly #cleaner: LogCleaner;

  constructor(options: PostgresLogOptions) {
    const { database, schema, locks, storeClock, dedupKeys } = options;
    this.#database = database;
    this.#schema = schema;
    this.#locks = locks;
    this.#reader = new LogReader(database, schema);
    this.#cleaner = new LogCleaner(database, schema, storeClock, dedupKeys);
    this.#steps = new OrderedSteps({
      maxRecords: MAX_GROUP_RECORDS,
      maxBytes: MAX_GROUP_BYTES,
      maxPendingBytes: options.maxPendingBytes,
      commit: new Appender(options).commit,
    });
  }

  create(name: ChannelName, incarnation: string, version: number): Promise<LogState> {
    return this.#steps.step(name, () => this.#create(name, incarnation, version));
  }

  async state(name: ChannelName): Promise<LogState | undefined> {
    return await this.#reader.state(name);
  }

  append(batch: AppendBatch): Promise<AppendOutcome> {
    return this.#steps.append(new PreparedBatch(batch));
  }

  ends(names: readonly ChannelName[]): Promise<readonly (LogEnd | undefined)[]> {
    return this.#reader.ends(names);
  }

  read(request: ReadRequest): Promise<ReadResult> {
    return this.#reader.read(request);
  }

  findId(name: ChannelName, id: string, after: number): Promise<readonly number[]> {
    return this.#reader.findId(name, id, after);
  }

  findTime(name: ChannelName, timeMs: number): Promise<number> {
    return this.#reader.findTime(name, timeMs);
  }

  fence(name: ChannelName, incarnation: string, version: number): Promise<number> {
    return this.#steps.step(name, async () => {
      const s = this.#schema;
      const fence = {
        name: "fence",
        text: `UPDATE ${s}.log AS l SET version = greatest(version, $3), written_by = ${SAME_TRUST},
                      fenced_at = CASE WHEN version < $3 THEN head ELSE fenced_at END
                WHERE name = $1 AND incarnation = $2 RETURNING incarnation, fenced_at`,
      };
      const rows = await this.#database.query<LogRow>(fence, [name.key, incarnation, version]);
      return requireLog(name, rows[0], incarnation).fenced_at;
    });
  }

  renewEpoch(name: ChannelName): Promise<LogState> {
    return this.#steps.step(name, () =>
      this.#database.transaction(async (queries) => {
        const row = requireLog(name, await this.#locks.lock(queries, name));
        const life = await this.#locks.life(queries);
        const links = this.#locks.extended(linksOf(row), row.head + 1);
        await this.#locks.dropBeyond(queries, row);
        await this.#locks.addLink(queries, row.id, links);
        const s = this.#schema;
        const text = `UPDATE ${s}.log SET epoch = $2, life = $3, written_by = ${THIS_WRITER} WHERE id = $1`;
        const renew = { name: "renew", text };
        await queries.query(renew, [row.id, newestEpoch(links), life]);
        return stateOf(row, links);
      }),
    );
  }

  async trim(name: ChannelName, retention: RetentionConfig): Promise<LogState> {
    await this.#cleaner.trim(name, retention);
    return requireLog(name, await this.#reader.state(name));
  }

  delete(name: ChannelName, incarnation: string): Promise<void> {
    return this.#steps.step(name, () => this.#cleaner.remove(name, incarnation));
  }

  /** Removes keys that are too old, and what is left of removed logs; a bounded part of it. */
  sweep(): Promise<void> {
    return this.#cleaner.sweep();
  }

  /** When all that was handed over is settled. */
  settled(): Promise<void> {
    return this.#steps.settled();
  }

  async #create(name: ChannelName, incarnation: string, version: number): Promise<LogState> {
    const present = await this.#reader.row(name);
    if (present?.incarnation === incarnation) return stateOf(present);
    checkNewer(name, present?.incarnation, incarnation);
    if (present !== undefined) await this.#cleaner.remove(name, present.incarnation);
    const state = await this.#insert(name, incarnation, version);
    // Somebody else made one at the same time: once more, and it is there.
    return state ?? (await this.#create(name, incarnation, version));
  }

  /** Undefined: there is one of this name. */
  async #insert(name: ChannelName, incarnation: string, version: number): Promise<LogState | undefined> {
    const s = this.#schema;
    return await this.#database.transaction(async (queries) => {
      const life = await this.#locks.life(queries);
      const links = this.#locks.extended([], 1);
      const insert = {
        name: "insert_log",
        text: `INSERT INTO ${s}.log AS l (name, incarnation, version, fenced_at, head, floor, start_bytes, end_bytes,
                                          last_accepted_at, epoch, life, written_by)
               VALUES ($1, $2, $3, 0, 0, 1, 0, 0, 0, $4, $5, ${THIS_WRITER}) ON CONFLICT (name) DO NOTHING
               RETURNING ${logColumns(s)}`,
      };
      const [row] = await queries.query<LogRow>(insert, [name.key, incarnation, version, newestEpoch(links), life]);
      if (row === undefined) return undefined;
      await this.#locks.addLink(queries, row.id, links);
      return stateOf(row, links);
    });
  }
}
