import { crc32 } from "node:zlib";
import { damagedRecord } from "../damaged-record.ts";
import type { DirectoryRecord, RecordKey } from "../directory.ts";
import { rowsOf } from "./connection.ts";
import type { Tables } from "./schema.ts";
import { integer, text, textOrNull } from "./sql-text.ts";

/** How long the version of a record that is gone is remembered. */
const REMEMBER_MS = 3_600_000;
/** For records that never expire. */
const FOR_EVER = Number.MAX_SAFE_INTEGER;

/** A row of the record table. */
export interface RecordRow {
  readonly key: RecordKey;
  readonly version: number;
  /** Null: deleted, and the version is still known. */
  readonly value: string | null;
  /** Of a deleted record: when its row may go. */
  readonly expiresAtMs: number;
  readonly liveUntilMs: number;
  readonly checksum: number;
}

export const RECORD_COLUMNS = "kind, parent, id, version, value, expires_at, live_until, checksum";

export function toRecordRows(answer: Parameters<typeof rowsOf>[0]): readonly RecordRow[] {
  type Columns = [Buffer, Buffer, Buffer, number, Buffer | null, number, number, number];
  return rowsOf<Columns>(answer).map(([kind, parent, id, version, value, expiresAtMs, liveUntilMs, checksum]) => {
    const key = { kind: kind.toString(), parent: parent.toString(), id: id.toString() };
    return { key, version, value: value === null ? null : value.toString(), expiresAtMs, liveUntilMs, checksum };
  });
}

export function isIntact(row: RecordRow): boolean {
  return checksumOf(row) === row.checksum;
}

/** Throws DATA_DAMAGED. */
export function toRecord(row: RecordRow): DirectoryRecord {
  const { key, version, value, expiresAtMs } = row;
  if (value === null || !isIntact(row)) throw damagedRecord(key);
  return { key, version, value: JSON.parse(value), expiresAtMs };
}

export function whereKey({ kind, parent, id }: RecordKey): string {
  return `kind = ${text(kind)} AND parent = ${text(parent)} AND id = ${text(id)}`;
}

export function insertRecord(t: Tables, key: RecordKey, version: number, json: string, expiresAtMs: number): string {
  const row = sealed(key, version, json, expiresAtMs);
  const { kind, parent, id } = key;
  const numbers = [row.expiresAtMs, row.liveUntilMs, row.checksum].map(integer).join(", ");
  return `INSERT INTO ${t.record} (${RECORD_COLUMNS}) VALUES (${text(kind)}, ${text(parent)}, ${text(id)},
    ${integer(version)}, ${text(json)}, ${numbers})`;
}

export function updateRecord(t: Tables, key: RecordKey, version: number, json: string, expiresAtMs: number): string {
  return update(t, sealed(key, version, json, expiresAtMs));
}

/** Only the version stays. */
export function buryRecord(t: Tables, key: RecordKey, version: number, nowMs: number): string {
  return update(t, sealed(key, version, null, nowMs + REMEMBER_MS));
}

/** Counts rows that have a value, expired ones included. */
export function countRecords(t: Tables, { kind, parent }: Omit<RecordKey, "id">, by: number): string {
  return `INSERT INTO ${t.recordParent} (kind, parent, records) VALUES (${text(kind)}, ${text(parent)}, ${integer(by)})
    ON DUPLICATE KEY UPDATE records = records + ${integer(by)}`;
}

function update(t: Tables, { key, version, value, expiresAtMs, liveUntilMs, checksum }: RecordRow): string {
  return `UPDATE ${t.record} SET version = ${integer(version)}, value = ${textOrNull(value)},
    expires_at = ${integer(expiresAtMs)}, live_until = ${integer(liveUntilMs)}, checksum = ${integer(checksum)}
    WHERE ${whereKey(key)}`;
}

function sealed(key: RecordKey, version: number, value: string | null, expiresAtMs: number): RecordRow {
  const liveUntilMs = value === null ? 0 : expiresAtMs === 0 ? FOR_EVER : expiresAtMs;
  const row = { key, version, value, expiresAtMs, liveUntilMs };
  return { ...row, checksum: checksumOf(row) };
}

function checksumOf({ key, version, value, expiresAtMs }: Omit<RecordRow, "checksum">): number {
  return crc32([key.kind, key.parent, key.id, version, expiresAtMs, value === null ? "-" : `+${value}`].join("\0"));
}
