import { randomUUID } from "node:crypto";
import {
  closeSync,
  existsSync,
  fsyncSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeSync,
} from "node:fs";
import { dirname, join } from "node:path";
import type { DatabaseSync } from "node:sqlite";
import { StorageFailure } from "./sqlite-errors.ts";

// Two small files beside the database tell what the database cannot know of itself.
//
//   clean   a random word that the database holds, too. Written at a clean close, removed at open. Whoever finds both and
//           finds them equal has the very database that was closed; else its end may be missing.
//   store   the database's own id. Where it stands and the database is missing, empty or another one, something happened
//           that no open may paper over.

const CLEAN = "clean";
const STORE = "store";

/**
 * Throws when the database file is missing or empty in a directory that has had one: SQLite would make a new one and
 * throw the write-ahead log away.
 */
export function checkNotLost(path: string): void {
  const hasBytes = existsSync(path) && statSync(path).size > 0;
  if (hasBytes || !existsSync(beside(path, STORE))) return;
  throw new StorageFailure(
    "STORAGE_UNAVAILABLE",
    `${path} is missing or empty, but the directory was in use: restore the file from a backup, ` +
      `or delete ${beside(path, STORE)} to start with an empty storage`,
  );
}

/** Ties database and directory together. Throws when they do not belong to each other. */
export function checkIdentity(db: DatabaseSync, path: string): void {
  const file = beside(path, STORE);
  const known = readText(file);
  let id = readMeta(db, "store_id");
  if (id === undefined) {
    id = randomUUID();
    writeMeta(db, "store_id", id);
    // What makes it ours must not be lost with a write-ahead log.
    db.exec("PRAGMA wal_checkpoint(TRUNCATE)");
  }
  if (known === undefined) {
    writeDurably(file, id);
  } else if (known !== id) {
    throw new StorageFailure(
      "STORAGE_UNAVAILABLE",
      `${path} is the database of another storage (${id}; the directory's own was ${known}): put the right file back, ` +
        `or delete ${file} to use this one`,
    );
  }
}

/** Whether the last close was clean. Takes the mark away: from now on, only close() makes it so again. */
export function takeCleanMark(db: DatabaseSync, path: string): boolean {
  const file = beside(path, CLEAN);
  const inFile = readText(file);
  const inDatabase = readMeta(db, "clean");
  rmSync(file, { force: true });
  syncDirectory(path);
  if (inDatabase !== undefined) db.prepare("DELETE FROM meta WHERE name = 'clean'").run();
  return inFile !== undefined && inFile !== "" && inFile === inDatabase;
}

/** Puts the mark into the database. Answers what finishes it, to be called when the database is closed. */
export function leaveCleanMark(db: DatabaseSync, path: string): () => void {
  const word = randomUUID();
  writeMeta(db, "clean", word);
  return () => writeDurably(beside(path, CLEAN), word);
}

function readMeta(db: DatabaseSync, name: string): string | undefined {
  const value = db.prepare("SELECT value FROM meta WHERE name = ?").get(name)?.["value"];
  return typeof value === "string" ? value : undefined;
}

function writeMeta(db: DatabaseSync, name: string, value: string): void {
  db.prepare("INSERT INTO meta (name, value) VALUES (?, ?) ON CONFLICT DO UPDATE SET value = excluded.value").run(
    name,
    value,
  );
}

function beside(path: string, name: string): string {
  return join(dirname(path), name);
}

function readText(file: string): string | undefined {
  return existsSync(file) ? readFileSync(file, "utf8").trim() : undefined;
}

/** The file is there in full or not at all, also after a power cut. */
function writeDurably(file: string, text: string): void {
  const draft = `${file}.new`;
  const fd = openSync(draft, "w", 0o600);
  try {
    writeSync(fd, `${text}\n`);
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
  renameSync(draft, file);
  syncDirectory(file);
}

function syncDirectory(file: string): void {
  const fd = openSync(dirname(file), "r");
  try {
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}
