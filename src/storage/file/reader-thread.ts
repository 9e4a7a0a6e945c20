import type { DatabaseSync } from "node:sqlite";
import { workerData } from "node:worker_threads";
import { findId, findTime, readBlocks } from "./block-reader.ts";
import { BlockRows } from "./block-rows.ts";
import { openForReading } from "./database.ts";
import { LogRows } from "./log-rows.ts";
import { RecentBlocks } from "./recent-blocks.ts";
import { RecordRows } from "./record-rows.ts";
import type {
  FindIdRequest,
  FindTimeRequest,
  LogHead,
  ReadBlocksReply,
  ReadBlocksRequest,
  ReaderCalls,
  ThreadData,
} from "./thread-protocol.ts";
import { serveThread } from "./thread-server.ts";

const { path } = workerData as ThreadData;

class Reader implements ReaderCalls {
  readonly #db: DatabaseSync;
  readonly #logs: LogRows;
  readonly #blocks: BlockRows;
  readonly #records: RecordRows;
  readonly #recent: RecentBlocks;

  constructor(db: DatabaseSync) {
    this.#db = db;
    this.#logs = new LogRows(db);
    this.#blocks = new BlockRows(db);
    this.#records = new RecordRows(db);
    this.#recent = new RecentBlocks(db, this.#blocks);
  }

  readBlocks(request: ReadBlocksRequest): ReadBlocksReply {
    return this.#snapshot(() => {
      const definition = this.#logs.definition(request.logId);
      const stored = this.#logs.head(request.logId);
      if (definition === undefined || stored === undefined) return { log: undefined, slices: [], damaged: [] };
      // What was committed after the request may have raised the floor beyond the head that the request knows.
      const head = Math.max(Math.min(stored.head, request.head), stored.floor - 1);
      const log: LogHead = { ...stored, head };
      return { log: { ...definition, ...log }, ...readBlocks(log, request, this.#blocks) };
    });
  }

  findId(request: FindIdRequest) {
    return this.#snapshot(() => findId(request, this.#blocks));
  }

  findTime({ logId, timeMs }: FindTimeRequest): number {
    return this.#snapshot(() => {
      const log = this.#logs.head(logId);
      return log === undefined ? 1 : findTime(log, timeMs, this.#blocks);
    });
  }

  recentStart(request: Parameters<ReaderCalls["recentStart"]>[0]) {
    return this.#snapshot(() => this.#recent.start(request));
  }

  recentBlocks(request: Parameters<ReaderCalls["recentBlocks"]>[0]) {
    return this.#snapshot(() => this.#recent.next(request.afterBlock));
  }

  getRecord({ key, nowMs }: Parameters<ReaderCalls["getRecord"]>[0]) {
    return this.#records.get(key, nowMs);
  }

  listRecords({ request, nowMs }: Parameters<ReaderCalls["listRecords"]>[0]) {
    return this.#records.list(request, nowMs);
  }

  countRecords({ kind, parent, nowMs }: Parameters<ReaderCalls["countRecords"]>[0]) {
    return this.#records.count(kind, parent, nowMs);
  }

  close(): null {
    this.#db.close();
    return null;
  }

  /**
   * Everything that one call reads is of one moment. Ended by ROLLBACK, since SQLite refuses to commit what has met a
   * damaged page.
   */
  #snapshot<T>(read: () => T): T {
    this.#db.exec("BEGIN");
    try {
      return read();
    } finally {
      this.#db.exec("ROLLBACK");
    }
  }
}

// Opened by the first call: by then the writing thread has made the schema.
let opened: Reader | undefined;
function reader(): Reader {
  opened ??= new Reader(openForReading(path));
  return opened;
}

/** A block's bytes go to the main thread without a copy. */
function transfers(result: unknown): ArrayBuffer[] {
  if (result === null || typeof result !== "object" || !("slices" in result)) return [];
  return (result as ReadBlocksReply).slices.flatMap(({ entries, bodies }) => [
    entries.buffer as ArrayBuffer,
    bodies.buffer as ArrayBuffer,
  ]);
}

serveThread(
  {
    readBlocks: (request: ReadBlocksRequest) => reader().readBlocks(request),
    findId: (request: FindIdRequest) => reader().findId(request),
    findTime: (request: FindTimeRequest) => reader().findTime(request),
    recentStart: (request: Parameters<ReaderCalls["recentStart"]>[0]) => reader().recentStart(request),
    recentBlocks: (request: Parameters<ReaderCalls["recentBlocks"]>[0]) => reader().recentBlocks(request),
    getRecord: (request: Parameters<ReaderCalls["getRecord"]>[0]) => reader().getRecord(request),
    listRecords: (request: Parameters<ReaderCalls["listRecords"]>[0]) => reader().listRecords(request),
    countRecords: (request: Parameters<ReaderCalls["countRecords"]>[0]) => reader().countRecords(request),
    close: () => opened?.close() ?? null,
  },
  transfers,
);
