import { damagedRecord } from "../damaged-record.ts";
import type { Directory, DirectoryRecord, ListRequest, PutOptions, PutOutcome, RecordKey } from "../directory.ts";
import { checkListLimit, expiryOf } from "../record-order.ts";
import { type Answer, affectedRows, rowsOf } from "./connection.ts";
import type { ConnectionPool } from "./connection-pool.ts";
import {
  buryRecord,
  countRecords,
  insertRecord,
  isIntact,
  RECORD_COLUMNS,
  type RecordRow,
  toRecord,
  toRecordRows,
  updateRecord,
  whereKey,
} from "./record-rows.ts";
import type { Tables } from "./schema.ts";
import { integer, text } from "./sql-text.ts";
import type { StoreClock } from "./store-clock.ts";
import { type Transaction, transact } from "./transaction.ts";

/** Rows that one step of a sweep clears away. */
const SWEEP_ROWS = 200;

/** Locks are taken in one order, record before parent, so that no two writers wait for each other. */
export class MysqlDirectory implements Directory {
  readonly #pool: ConnectionPool;
  readonly #tables: Tables;
  readonly #clock: StoreClock;

  constructor(pool: ConnectionPool, tables: Tables, clock: StoreClock) {
    this.#pool = pool;
    this.#tables = tables;
    this.#clock = clock;
  }

  async get(key: RecordKey): Promise<DirectoryRecord | undefined> {
    const answer = await this.#query(
      `SELECT ${RECORD_COLUMNS} FROM ${this.#tables.record} WHERE ${whereKey(key)} AND ${this.#isLive}`,
    );
    return toRecordRows(answer).map(toRecord)[0];
  }

  async put(key: RecordKey, value: object, options: PutOptions = {}): Promise<PutOutcome> {
    const json = JSON.stringify(value);
    const { expectedVersion, maxInParent } = options;
    return await transact(this.#pool, async (tx) => {
      const { row, nowMs } = await this.#lock(tx, key);
      const live = row !== undefined && row.liveUntilMs > nowMs ? row : undefined;
      if (expectedVersion !== undefined && expectedVersion !== (live?.version ?? 0)) {
        return { kind: "conflict", current: live && toRecord(live) };
      }
      // An unconditional write replaces a damaged row, which heals it; a conditional one cannot know its version.
      if (live !== undefined && expectedVersion !== undefined && !isIntact(live)) toRecord(live);
      if (live === undefined && maxInParent !== undefined && (await this.#isFull(tx, key, maxInParent))) {
        return { kind: "full" };
      }
      const t = this.#tables;
      const version = (row?.version ?? 0) + 1;
      const expiresAtMs = expiryOf(options, nowMs);
      const write = row === undefined ? insertRecord : updateRecord;
      const isCounted = row !== undefined && row.value !== null;
      await tx.commit([write(t, key, version, json, expiresAtMs), ...(isCounted ? [] : [countRecords(t, key, 1)])]);
      return { kind: "stored", version, expiresAtMs };
    });
  }

  async delete(key: RecordKey, expectedVersion?: number): Promise<boolean> {
    return await transact(this.#pool, async (tx) => {
      const { row, nowMs } = await this.#lock(tx, key);
      if (row === undefined || row.liveUntilMs <= nowMs) return false;
      if (expectedVersion !== undefined && !isIntact(row)) throw damagedRecord(key);
      if (expectedVersion !== undefined && expectedVersion !== row.version) return false;
      const t = this.#tables;
      await tx.commit([buryRecord(t, key, row.version, nowMs), countRecords(t, key, -1)]);
      return true;
    });
  }

  async list({ kind, parent, after, limit }: ListRequest): Promise<readonly DirectoryRecord[]> {
    checkListLimit(limit);
    const conditions = [`kind = ${text(kind)}`, this.#isLive];
    if (parent !== undefined) conditions.push(`parent = ${text(parent)}`);
    if (after !== undefined) {
      const [p, i] = [text(after.parent), text(after.id)];
      conditions.push(`(parent > ${p} OR (parent = ${p} AND id > ${i}))`);
    }
    const answer = await this.#query(
      `SELECT ${RECORD_COLUMNS} FROM ${this.#tables.record} FORCE INDEX (PRIMARY) WHERE ${conditions.join(" AND ")}
        ORDER BY parent, id LIMIT ${integer(limit)}`,
    );
    return toRecordRows(answer).map(toRecord);
  }

  async count(kind: string, parent: string): Promise<number> {
    return rowsOf<[number]>(await this.#query(this.#countLive(kind, parent)))[0]![0];
  }

  /** Clears away some of what has expired. Answers whether there may be more. */
  async sweep(): Promise<boolean> {
    const { record } = this.#tables;
    const due = () => `expires_at > 0 AND expires_at <= ${this.#clock.sql}`;
    const forgotten = await this.#query(
      `DELETE FROM ${record} WHERE ${due()} AND value IS NULL ORDER BY expires_at LIMIT ${SWEEP_ROWS}`,
    );
    const buried = await transact(this.#pool, async (tx) => {
      const [answer, now] = await tx.send([
        // What somebody is writing is not swept: that is why it is locked.
        `SELECT ${RECORD_COLUMNS} FROM ${record} WHERE ${due()} AND value IS NOT NULL ORDER BY expires_at
          LIMIT ${SWEEP_ROWS} FOR UPDATE SKIP LOCKED`,
        `SELECT ${this.#clock.sql}`,
      ]);
      const rows = toRecordRows(answer);
      if (rows.length > 0) await tx.commit(this.#bury(rows, rowsOf<[number]>(now)[0]![0]));
      return rows.length;
    });
    return affectedRows(forgotten) === SWEEP_ROWS || buried === SWEEP_ROWS;
  }

  #bury(rows: readonly RecordRow[], nowMs: number): string[] {
    const parents = new Map<string, { readonly key: RecordKey; count: number }>();
    for (const { key } of rows) {
      const place = JSON.stringify([key.kind, key.parent]);
      const parent = parents.get(place) ?? { key, count: 0 };
      parent.count++;
      parents.set(place, parent);
    }
    return [
      ...rows.map(({ key, version }) => buryRecord(this.#tables, key, version, nowMs)),
      ...[...parents.keys()].sort().map((place) => {
        const { key, count } = parents.get(place)!;
        return countRecords(this.#tables, key, -count);
      }),
    ];
  }

  get #isLive(): string {
    return `live_until > ${this.#clock.sql}`;
  }

  #countLive(kind: string, parent: string): string {
    return `SELECT COUNT(*) FROM ${this.#tables.record} WHERE kind = ${text(kind)} AND parent = ${text(parent)}
      AND ${this.#isLive}`;
  }

  async #query(statement: string): Promise<Answer> {
    return await this.#pool.use(async (session) => (await session.send([statement]))[0]!);
  }

  async #lock(tx: Transaction, key: RecordKey): Promise<{ row: RecordRow | undefined; nowMs: number }> {
    const [rows, now] = await tx.send([
      `SELECT ${RECORD_COLUMNS} FROM ${this.#tables.record} WHERE ${whereKey(key)} FOR UPDATE`,
      `SELECT ${this.#clock.sql}`,
    ]);
    const nowMs = rowsOf<[number]>(now)[0]![0];
    this.#clock.observe(nowMs);
    return { row: toRecordRows(rows)[0], nowMs };
  }

  /** Locks the parent's count. Live records are counted one by one only when there are enough rows for it to matter. */
  async #isFull(tx: Transaction, { kind, parent }: RecordKey, max: number): Promise<boolean> {
    const t = this.#tables;
    const [, answer] = await tx.send([
      countRecords(t, { kind, parent }, 0),
      `SELECT records FROM ${t.recordParent} WHERE kind = ${text(kind)} AND parent = ${text(parent)}`,
    ]);
    if (rowsOf<[number]>(answer)[0]![0] < max) return false;
    const [live] = await tx.send([this.#countLive(kind, parent)]);
    return rowsOf<[number]>(live)[0]![0] >= max;
  }
}
