import { DatabaseSync } from "node:sqlite";

export const PAGE_BYTES = 4_096;
/** How long one of our two connections waits for the other; nobody else has the file open. */
const BUSY_MS = 10_000;
/** Pages in the write-ahead log before they are copied to the database: 16 MiB, a copy every few dozen full commits. */
const CHECKPOINT_PAGES = 4_096;
/** What the write-ahead log is cut back to after a checkpoint. */
const WAL_BYTES = 67_108_864;

/** The connection that writes. Every commit is on disk when it returns. */
export function openForWriting(path: string, maxBytes: number): DatabaseSync {
  const db = new DatabaseSync(path, { timeout: BUSY_MS });
  try {
    db.exec(`
      PRAGMA page_size = ${PAGE_BYTES};
      PRAGMA journal_mode = WAL;
      PRAGMA synchronous = FULL;
      PRAGMA cell_size_check = ON;
      PRAGMA wal_autocheckpoint = ${CHECKPOINT_PAGES};
      PRAGMA journal_size_limit = ${WAL_BYTES};
      PRAGMA cache_size = -32768;
      PRAGMA max_page_count = ${Math.max(1, Math.floor(maxBytes / PAGE_BYTES))};
    `);
    return db;
  } catch (error) {
    db.close();
    throw error;
  }
}

/** The connection that reads, beside the one that writes: in WAL mode neither waits for the other. */
export function openForReading(path: string): DatabaseSync {
  const db = new DatabaseSync(path, { timeout: BUSY_MS });
  db.exec("PRAGMA query_only = ON; PRAGMA cell_size_check = ON; PRAGMA cache_size = -16384;");
  return db;
}
