import { existsSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { BusError } from "../../core/errors.ts";

/**
 * Makes this process the only one that has the directory open. Throws STORAGE_UNAVAILABLE when another one has it.
 *
 * The lock is SQLite's own lock on an empty database: the operating system releases it when the process ends, however it
 * ends. That file must not be opened by anything else in this process, because closing it would release the lock; so the
 * owner's process id stands in another one, and is only a hint.
 */
export function lockDirectory(directory: string): () => void {
  const hint = join(directory, "owner.pid");
  const lock = new DatabaseSync(join(directory, "owner.lock"), { timeout: 0 });
  try {
    lock.exec("PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE");
  } catch (cause) {
    lock.close();
    const pid = existsSync(hint) ? readFileSync(hint, "utf8").trim() : "";
    throw new BusError(
      "STORAGE_UNAVAILABLE",
      `${directory} is in use by another agentbus${pid === "" ? "" : ` (process ${pid})`}: stop it first, or name another ` +
        "directory. A file storage belongs to one process; several nodes share a redis, postgres or mysql storage",
      { cause },
    );
  }
  writeFileSync(hint, `${process.pid}\n`);
  return () => {
    rmSync(hint, { force: true });
    lock.close();
  };
}
