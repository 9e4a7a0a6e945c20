import type { DatabaseSync } from "node:sqlite";
import { StorageFailure } from "./sqlite-errors.ts";

/** "agbu": says to SQLite's tools and to us whose file it is. */
export const APPLICATION_ID = 0x61676275;

/**
 * Names each block's range apart from its row: when the row is damaged, this says what is missing. Not part of the
 * migrations, because it is built anew when it is damaged or missing.
 */
const BLOCK_INDEX = "CREATE UNIQUE INDEX IF NOT EXISTS block_by_log ON block (log_id, first_sequence, last_sequence)";

/** Migration n brings the schema from version n to n + 1. Never changed once released; new ones go to the end. */
const MIGRATIONS: readonly string[] = [
  `
  CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;

  -- What changes seldom of a log. Ids are never used twice: blocks of a deleted log may outlive it for a while. Names are
  -- kept unique by the main thread; an index for that would be one more thing to be damaged.
  CREATE TABLE log (
    id INTEGER PRIMARY KEY, name TEXT NOT NULL, incarnation TEXT NOT NULL, version INTEGER NOT NULL,
    fenced_at INTEGER NOT NULL, links BLOB NOT NULL, checksum INTEGER NOT NULL);

  -- What changes with each append. The head is kept beside the blocks, so that the loss of the last one shows.
  CREATE TABLE log_head (
    id INTEGER PRIMARY KEY, head INTEGER NOT NULL, floor INTEGER NOT NULL, size_bytes INTEGER NOT NULL,
    last_accepted_at INTEGER NOT NULL, checksum INTEGER NOT NULL);

  -- One row for each (log, commit), see block-format.ts. Ids grow with time over all logs. The blobs stand last, so that
  -- the numbers and the hashes are read without them.
  CREATE TABLE block (
    id INTEGER PRIMARY KEY, log_id INTEGER NOT NULL, first_sequence INTEGER NOT NULL, last_sequence INTEGER NOT NULL,
    epoch INTEGER NOT NULL, first_accepted_at INTEGER NOT NULL, last_accepted_at INTEGER NOT NULL,
    body_bytes INTEGER NOT NULL, checksum INTEGER NOT NULL,
    id_hashes BLOB NOT NULL, entries BLOB NOT NULL, bodies BLOB NOT NULL);

  -- value NULL: deleted; the row remembers the version until expires_at.
  CREATE TABLE record (
    kind TEXT NOT NULL, parent TEXT NOT NULL, id TEXT NOT NULL, version INTEGER NOT NULL, value TEXT,
    expires_at INTEGER NOT NULL, checksum INTEGER NOT NULL, PRIMARY KEY (kind, parent, id)) WITHOUT ROWID;
  CREATE INDEX record_by_expiry ON record (expires_at) WHERE expires_at > 0;
  -- Rows with a value, expired ones included.
  CREATE TABLE record_count (
    kind TEXT NOT NULL, parent TEXT NOT NULL, records INTEGER NOT NULL, PRIMARY KEY (kind, parent)) WITHOUT ROWID;
  `,
];

/** Creates the schema or brings it up to date, in one transaction. Throws when it is another program's or a newer one's. */
export function migrate(db: DatabaseSync, path: string): void {
  const version = pragma(db, "user_version");
  const applicationId = pragma(db, "application_id");
  const isEmpty = db.prepare("SELECT count(*) AS n FROM sqlite_schema").get()?.["n"] === 0;
  if (!isEmpty && applicationId !== APPLICATION_ID) {
    throw new StorageFailure(
      "STORAGE_UNAVAILABLE",
      `${path} is a SQLite database of another program; move it away or name another directory`,
    );
  }
  if (version > MIGRATIONS.length) {
    throw new StorageFailure(
      "STORAGE_UNAVAILABLE",
      `${path} has schema ${version}, written by a newer agentbus; this one knows schemas up to ${MIGRATIONS.length}: update it`,
    );
  }
  if (version === MIGRATIONS.length) return;
  db.exec("BEGIN IMMEDIATE");
  try {
    for (const migration of MIGRATIONS.slice(version)) db.exec(migration);
    db.exec(`PRAGMA application_id = ${APPLICATION_ID}`);
    db.exec(`PRAGMA user_version = ${MIGRATIONS.length}`);
    db.exec("COMMIT");
  } catch (error) {
    if (db.isTransaction) db.exec("ROLLBACK");
    throw error;
  }
}

/** Makes the index of blocks when it is not there. */
export function ensureBlockIndex(db: DatabaseSync): void {
  db.exec(BLOCK_INDEX);
}

/**
 * Builds the index of blocks anew from its table. A damaged one can neither be rebuilt in place nor dropped, as both look
 * into it first; so it is struck from the schema, and its pages are given up.
 */
export function rebuildBlockIndex(db: DatabaseSync): void {
  db.enableDefensive(false);
  db.exec("PRAGMA writable_schema = ON");
  try {
    db.exec("DELETE FROM sqlite_schema WHERE type = 'index' AND name = 'block_by_log'");
  } finally {
    db.exec("PRAGMA writable_schema = RESET");
    db.enableDefensive(true);
  }
  ensureBlockIndex(db);
}

export function pragma(db: DatabaseSync, name: string): number {
  return Number(db.prepare(`PRAGMA ${name}`).get()?.[name]);
}
