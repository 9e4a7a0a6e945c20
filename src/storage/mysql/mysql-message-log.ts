import { BusError } from "../../core/errors.ts";
import type { ChannelName } from "../../core/names.ts";
import type { RetentionConfig } from "../../core/room.ts";
import { newestEpoch, withNewEpoch } from "../epoch-links.ts";
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
import { Appender, type AppenderParts } from "./appender.ts";
import { statementBytes } from "./block-rows.ts";
import { rowsOf } from "./connection.ts";
import { LogReader } from "./log-reader.ts";
import { type LogRow, linksLiteral, selectLog, toLogRow, toLogState } from "./log-row.ts";
import { trimLog } from "./log-trim.ts";
import { readLife, selectLife } from "./server-life.ts";
import { integer, text } from "./sql-text.ts";
import { type Transaction, transact } from "./transaction.ts";

export interface MysqlLogLimits {
  readonly maxGroupRecords: number;
  readonly maxPendingBytes: number;
}

/** Bodies of one commit: long enough to be worth a commit, short enough that no other log waits long for the disk. */
const MAX_GROUP_BYTES = 2 * 2 ** 20;

export class MysqlMessageLog implements MessageLog {
  readonly #parts: AppenderParts;
  readonly #steps: OrderedSteps;
  readonly #reader: LogReader;

  constructor(parts: AppenderParts, limits: MysqlLogLimits) {
    this.#parts = parts;
    this.#reader = new LogReader(parts.pool, parts.tables, parts.clock);
    const appender = new Appender(parts);
    this.#steps = new OrderedSteps({
      maxRecords: limits.maxGroupRecords,
      maxBytes: MAX_GROUP_BYTES,
      maxPendingBytes: limits.maxPendingBytes,
      commit: (name, batches) => appender.commit(name, batches),
    });
  }

  create(name: ChannelName, incarnation: string, version: number): Promise<LogState> {
    return this.#step(name, async (tx, row, life) => {
      if (row?.incarnation === incarnation) return toLogState(row);
      checkNewer(name, row?.incarnation, incarnation);
      const { tables: t, randomEpoch } = this.#parts;
      const links = withNewEpoch([], 1, randomEpoch);
      const values = [
        text(name.key),
        text(incarnation),
        integer(version),
        text(life),
        integer(newestEpoch(links)),
        linksLiteral(links),
      ];
      await tx.commit([
        ...(row === undefined ? [] : this.#removal(row)),
        `INSERT INTO ${t.log} (name, incarnation, version, server_life, epoch, epoch_links) VALUES (${values.join(", ")})`,
      ]);
      return { incarnation, version, head: 0, floor: 1, links, sizeBytes: 0 };
    });
  }

  async state(name: ChannelName): Promise<LogState | undefined> {
    const row = await this.#reader.row(name);
    return row && toLogState(row);
  }

  async append(batch: AppendBatch): Promise<AppendOutcome> {
    const { maxPacketBytes } = this.#parts.pool.facts;
    for (const [index, record] of batch.records.entries()) {
      if (statementBytes(record) < maxPacketBytes) continue;
      const message = `the message and its audience need a max_allowed_packet above the server's ${maxPacketBytes} bytes`;
      throw new BusError("MESSAGE_TOO_LARGE", message, { index });
    }
    return await this.#steps.append(batch);
  }

  async ends(names: readonly ChannelName[]): Promise<readonly (LogEnd | undefined)[]> {
    const ends = await this.#reader.ends(names);
    this.#parts.seen.noteAll(names, ends);
    return ends;
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
    return this.#step(name, async (tx, row) => {
      const log = requireLog(name, row, incarnation);
      if (version <= log.version) return log.fencedAt;
      await tx.commit([
        `UPDATE ${this.#parts.tables.log} SET version = ${integer(version)}, fenced_at = head WHERE id = ${log.id}`,
      ]);
      return log.head;
    });
  }

  renewEpoch(name: ChannelName): Promise<LogState> {
    return this.#step(name, async (tx, row) => {
      const log = requireLog(name, row);
      const links = withNewEpoch(log.links, log.head + 1, this.#parts.randomEpoch);
      await tx.commit([
        `UPDATE ${this.#parts.tables.log} SET epoch = ${integer(newestEpoch(links))}, epoch_links = ${linksLiteral(links)}
          WHERE id = ${log.id}`,
      ]);
      return toLogState({ ...log, links });
    });
  }

  trim(name: ChannelName, retention: RetentionConfig): Promise<LogState> {
    const { pool, tables, clock } = this.#parts;
    return trimLog(pool, tables, clock, name, retention);
  }

  async delete(name: ChannelName, incarnation: string): Promise<void> {
    await this.#step(name, async (tx, row) => {
      if (row?.incarnation === incarnation) await tx.commit(this.#removal(row));
    });
  }

  /** When all that was handed over is settled. */
  settled(): Promise<void> {
    return this.#steps.settled();
  }

  /** Nobody finds the log any more; what it held goes with the sweeps. */
  #removal({ id }: LogRow): string[] {
    const { tables: t } = this.#parts;
    return [
      `INSERT IGNORE INTO ${t.deletedLog} (log_id) VALUES (${integer(id)})`,
      `DELETE FROM ${t.log} WHERE id = ${integer(id)}`,
    ];
  }

  /** A transaction with the log's row locked, in its place among the appends. */
  #step<T>(name: ChannelName, run: (tx: Transaction, row: LogRow | undefined, life: string) => Promise<T>): Promise<T> {
    const { pool, tables: t, clock } = this.#parts;
    return this.#steps.step(name, () =>
      transact(pool, async (tx) => {
        const [rows, life] = await tx.send([selectLog(t, name.key, clock.sql, true), selectLife(t, tx.facts)]);
        return await run(tx, toLogRow(rowsOf(rows)), readLife(life, t, tx));
      }),
    );
  }
}
