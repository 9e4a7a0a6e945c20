import type { DatabaseSync } from "node:sqlite";
import { workerData } from "node:worker_threads";
import { BlockRows } from "./block-rows.ts";
import { planPurge, planTrim } from "./block-trim.ts";
import { checkIdentity, checkNotLost, leaveCleanMark, takeCleanMark } from "./clean-mark.ts";
import { openForWriting } from "./database.ts";
import { takeInventory } from "./inventory.ts";
import { LogRows } from "./log-rows.ts";
import { RecordRows } from "./record-rows.ts";
import { migrate } from "./schema.ts";
import { isDamage, isFull, StorageFailure } from "./sqlite-errors.ts";
import type {
  CommitReply,
  CommitRequest,
  MaintenanceReply,
  MaintenanceRequest,
  OpenReply,
  ThreadData,
  WriterCalls,
} from "./thread-protocol.ts";
import { OutcomeUnknown, serveThread } from "./thread-server.ts";

const { path, maxBytes } = workerData as ThreadData;
let opened: Writer | undefined;

class Writer implements Omit<WriterCalls, "open"> {
  readonly db: DatabaseSync;
  readonly #logs: LogRows;
  readonly #blocks: BlockRows;
  readonly #records: RecordRows;

  constructor(db: DatabaseSync) {
    this.db = db;
    this.#logs = new LogRows(db);
    this.#blocks = new BlockRows(db);
    this.#records = new RecordRows(db);
  }

  commit(request: CommitRequest): CommitReply {
    try {
      return this.#transaction(() => this.#store(request, true));
    } catch (error) {
      if (request.changes.length === 0 || error instanceof OutcomeUnknown || !isDamage(error)) throw error;
      // A damaged directory must not keep messages from being stored.
      return this.#transaction(() => this.#store(request, false));
    }
  }

  #store(request: CommitRequest, withChanges: boolean): CommitReply {
    for (const definition of request.definitions) this.#logs.putDefinition(definition);
    for (const block of request.blocks) this.#blocks.insert(block, request.slab);
    for (const head of request.heads) this.#logs.putHead(head);
    if (request.changes.length === 0) return [];
    if (!withChanges) return request.changes.map(() => ({ kind: "damaged" as const }));
    const outcomes = request.changes.map((change) => {
      try {
        return this.#records.change(change, request.nowMs);
      } catch (error) {
        // One record that fails its checksum; a damaged page is another thing and fails them all.
        if (error instanceof StorageFailure) return { kind: "damaged" as const };
        throw error;
      }
    });
    this.#records.sweep(request.nowMs);
    return outcomes;
  }

  maintain({ trims, drops, purge }: MaintenanceRequest): MaintenanceReply {
    const plans = trims.map((trim) => planTrim(trim, this.#logs, this.#blocks));
    const purged = purge < 0 ? [] : planPurge(purge, this.#blocks);
    const apply = (blocks: readonly number[]) =>
      this.#transaction(() => {
        for (const id of drops) this.#logs.drop(id);
        for (const { head } of plans) if (head !== undefined) this.#logs.putHead(head);
        for (const id of blocks) this.#blocks.delete(id);
      });
    let isPurged = purged.length === 0;
    try {
      apply([...plans.flatMap((plan) => plan.deletes), ...purged]);
    } catch (error) {
      if (error instanceof OutcomeUnknown || !isDamage(error)) throw error;
      // A damaged page beside them keeps blocks from being deleted: they stay, below the floor, and are not shown.
      apply([]);
      isPurged = true;
    }
    return { trims: plans.map((plan) => plan.reply), purged: isPurged };
  }

  close({ clean }: { readonly clean: boolean }): null {
    const finish = clean ? leaveCleanMark(this.db, path) : undefined;
    this.db.exec("PRAGMA wal_checkpoint(TRUNCATE)");
    this.db.close();
    finish?.();
    return null;
  }

  /** What fails before COMMIT was not stored; what fails in it may have been, unless the disk was full. */
  #transaction<T>(work: () => T): T {
    this.db.exec("BEGIN IMMEDIATE");
    let result: T;
    try {
      result = work();
    } catch (error) {
      this.#rollback(error);
      throw error;
    }
    try {
      this.db.exec("COMMIT");
    } catch (error) {
      if (!isFull(error)) throw new OutcomeUnknown("a commit failed", { cause: error });
      this.#rollback(error);
      throw error;
    }
    return result;
  }

  #rollback(cause: unknown): void {
    try {
      if (this.db.isTransaction) this.db.exec("ROLLBACK");
    } catch {
      throw new OutcomeUnknown("a transaction could not be rolled back", { cause });
    }
  }
}

function open(): OpenReply {
  checkNotLost(path);
  try {
    const db = openForWriting(path, maxBytes);
    migrate(db, path);
    checkIdentity(db, path);
    const inventory = takeInventory(db, path);
    const clean = takeCleanMark(db, path) && inventory.repairs.length === 0;
    opened = new Writer(db);
    return { clean, ...inventory };
  } catch (error) {
    if (error instanceof StorageFailure || !isDamage(error)) throw error;
    throw new StorageFailure(
      "DATA_DAMAGED",
      `${path} cannot be opened (${(error as Error).message}): it is no SQLite database or it is damaged. Restore it from ` +
        "a backup, or move it away together with the files beside it to start with an empty storage",
    );
  }
}

function writer(): Writer {
  if (opened === undefined) throw new StorageFailure("STORAGE_UNAVAILABLE", "the storage is not open");
  return opened;
}

serveThread({
  open,
  commit: (request: CommitRequest) => writer().commit(request),
  maintain: (request: MaintenanceRequest) => writer().maintain(request),
  close: (request: { readonly clean: boolean }) => opened?.close(request) ?? null,
});
