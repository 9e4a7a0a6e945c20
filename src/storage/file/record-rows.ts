import type { DatabaseSync, StatementSync } from "node:sqlite";
import { crc32 } from "node:zlib";
import type { DirectoryRecord, ListRequest, PutOutcome, RecordKey } from "../directory.ts";
import { isLive } from "../record-order.ts";
import { StorageFailure } from "./sqlite-errors.ts";
import type { DirectoryChange } from "./thread-protocol.ts";

/** How long the version of a record that is gone is remembered. */
const REMEMBER_MS = 3_600_000;
/** Expired rows cleared away with each transaction that changes records. */
const SWEEP_ROWS = 32;

interface Row {
  readonly kind: string;
  readonly parent: string;
  readonly id: string;
  readonly version: number;
  readonly value: string | null;
  readonly expires_at: number;
  readonly checksum: number;
}

/** The rows of `record`. A row without a value is a deleted record whose version is still known. */
export class RecordRows {
  readonly #get: StatementSync;
  readonly #put: StatementSync;
  readonly #delete: StatementSync;
  readonly #list: StatementSync;
  readonly #listParent: StatementSync;
  readonly #expired: StatementSync;
  readonly #records: StatementSync;
  readonly #addRecords: StatementSync;
  readonly #liveRecords: StatementSync;

  constructor(db: DatabaseSync) {
    const live = "value IS NOT NULL AND (expires_at = 0 OR expires_at > ?)";
    this.#get = db.prepare("SELECT * FROM record WHERE kind = ? AND parent = ? AND id = ?");
    this.#put = db.prepare(
      `INSERT INTO record (kind, parent, id, version, value, expires_at, checksum) VALUES (?, ?, ?, ?, ?, ?, ?)
       ON CONFLICT (kind, parent, id) DO UPDATE SET version = excluded.version, value = excluded.value,
         expires_at = excluded.expires_at, checksum = excluded.checksum`,
    );
    this.#delete = db.prepare("DELETE FROM record WHERE kind = ? AND parent = ? AND id = ?");
    this.#list = db.prepare(
      `SELECT * FROM record WHERE kind = ? AND (parent, id) > (?, ?) AND ${live} ORDER BY parent, id LIMIT ?`,
    );
    this.#listParent = db.prepare(
      `SELECT * FROM record WHERE kind = ? AND parent = ? AND (parent, id) > (?, ?) AND ${live} ORDER BY id LIMIT ?`,
    );
    this.#expired = db.prepare("SELECT * FROM record WHERE expires_at > 0 AND expires_at <= ? LIMIT ?");
    this.#records = db.prepare("SELECT records FROM record_count WHERE kind = ? AND parent = ?");
    this.#addRecords = db.prepare(
      `INSERT INTO record_count (kind, parent, records) VALUES (?, ?, ?)
       ON CONFLICT (kind, parent) DO UPDATE SET records = records + excluded.records`,
    );
    this.#liveRecords = db.prepare(`SELECT count(*) AS n FROM record WHERE kind = ? AND parent = ? AND ${live}`);
  }

  /** Throws DATA_DAMAGED. */
  get(key: RecordKey, nowMs: number): DirectoryRecord | undefined {
    const row = this.#rowOf(key);
    return row !== undefined && isPresent(row, nowMs) ? toRecord(row) : undefined;
  }

  /** Throws DATA_DAMAGED. */
  list(request: ListRequest, nowMs: number): DirectoryRecord[] {
    const { kind, parent, after, limit } = request;
    const from = [after?.parent ?? "", after?.id ?? ""];
    const rows =
      parent === undefined
        ? this.#list.all(kind, ...from, nowMs, limit)
        : this.#listParent.all(kind, parent, ...from, nowMs, limit);
    return (rows as unknown as Row[]).map(toRecord);
  }

  count(kind: string, parent: string, nowMs: number): number {
    return Number(this.#liveRecords.get(kind, parent, nowMs)!["n"]);
  }

  /** Does one change, in the transaction that is open. */
  change(change: DirectoryChange, nowMs: number): PutOutcome | boolean {
    const row = this.#rowOf(change.key);
    // An unconditional write replaces a damaged row, which heals it; a conditional one cannot know its version.
    const current =
      row === undefined || !isPresent(row, nowMs) || (change.expectedVersion === undefined && !isIntact(row))
        ? undefined
        : toRecord(row);
    const isExpected = change.expectedVersion === undefined || change.expectedVersion === (current?.version ?? 0);
    if (change.kind === "delete") {
      if (row === undefined || !isPresent(row, nowMs) || !isExpected) return false;
      this.#bury(row, nowMs);
      return true;
    }
    if (!isExpected) return { kind: "conflict", current };
    const { key, maxInParent } = change;
    if (current === undefined && maxInParent !== undefined && this.#isFull(key, maxInParent, nowMs)) {
      return { kind: "full" };
    }
    const version = (row?.version ?? 0) + 1;
    if (row === undefined || row.value === null) this.#addRecords.run(key.kind, key.parent, 1);
    this.#store({ ...key, version, value: change.json, expires_at: change.expiresAtMs });
    return { kind: "stored", version, expiresAtMs: change.expiresAtMs };
  }

  /** Clears away some of what has expired. */
  sweep(nowMs: number): void {
    for (const row of this.#expired.all(nowMs, SWEEP_ROWS) as unknown as Row[]) {
      if (row.value === null) this.#delete.run(row.kind, row.parent, row.id);
      else this.#bury(row, nowMs);
    }
  }

  #rowOf(key: RecordKey): Row | undefined {
    return this.#get.get(key.kind, key.parent, key.id) as unknown as Row | undefined;
  }

  /** Counting rows is cheap, counting live ones is not: it is done when there are enough rows for it to matter. */
  #isFull(key: RecordKey, max: number, nowMs: number): boolean {
    const rows = Number(this.#records.get(key.kind, key.parent)?.["records"] ?? 0);
    return rows >= max && this.count(key.kind, key.parent, nowMs) >= max;
  }

  #bury(row: Row, nowMs: number): void {
    this.#addRecords.run(row.kind, row.parent, -1);
    this.#store({ ...row, value: null, expires_at: nowMs + REMEMBER_MS });
  }

  #store(row: Omit<Row, "checksum">): void {
    this.#put.run(row.kind, row.parent, row.id, row.version, row.value, row.expires_at, checksumOf(row));
  }
}

function isPresent(row: Row, nowMs: number): boolean {
  return row.value !== null && isLive(row.expires_at, nowMs);
}

function isIntact(row: Row): boolean {
  return checksumOf(row) === row.checksum;
}

function toRecord(row: Row): DirectoryRecord {
  const { kind, parent, id, version, value, expires_at } = row;
  if (!isIntact(row) || value === null) {
    const name = [kind, parent, id].filter((part) => part !== "").join(" ");
    throw new StorageFailure("DATA_DAMAGED", `the directory record ${JSON.stringify(name)} fails its checksum`);
  }
  return { key: { kind, parent, id }, version, value: JSON.parse(value), expiresAtMs: expires_at };
}

function checksumOf(row: Omit<Row, "checksum">): number {
  const { kind, parent, id, version, value, expires_at } = row;
  return crc32([kind, parent, id, version, expires_at, value === null ? "-" : `+${value}`].join("\0"));
}
