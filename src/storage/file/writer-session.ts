import type { BusError } from "../../core/errors.ts";
import { DedupWindow, MAX_DEDUP_WINDOW_MS } from "../dedup-window.ts";
import { withNewEpoch } from "../epoch-links.ts";
import type { StorageEnvironment } from "../storage-adapter.ts";
import { BlockDecoder } from "./block-decoder.ts";
import { CommitQueue } from "./commit-queue.ts";
import { FileLog } from "./file-log.ts";
import type { Reader } from "./reader.ts";
import { StorageThread } from "./storage-thread.ts";
import type { OpenReply, RecentBlocksReply, ThreadData, WriterCalls } from "./thread-protocol.ts";

/** Logs given a new epoch in one transaction. */
const RENEWED_LOGS = 1_000;
const NO_BYTES = new Uint8Array(0);

export interface WriterSessionOptions {
  readonly data: ThreadData;
  readonly dedupKeys: number;
  readonly reader: Reader;
  readonly environment: StorageEnvironment;
  /** The session is dead: what is on disk is no longer known, open another one. Called once. */
  onLost(error: BusError): void;
}

/**
 * One life of the writing thread, with all that the main thread knows of the database while it lives: the logs, the
 * deduplication window and the queue of commits. When the thread dies or a commit's outcome is unknown, all of it is
 * thrown away and read again from the database.
 */
export class WriterSession {
  readonly logs: Map<string, FileLog>;
  readonly dedup: DedupWindow;
  readonly queue: CommitQueue;
  readonly #writer: StorageThread<WriterCalls>;
  readonly #environment: StorageEnvironment;
  #nextLogId: number;
  #isClosing = false;

  /** Rejects with a BusError that says what is wrong and what to do. */
  static async open(options: WriterSessionOptions): Promise<WriterSession> {
    const writer = new StorageThread<WriterCalls>("writer", options.data);
    try {
      const reply = await writer.call("open", null);
      const { log } = options.environment;
      for (const repair of reply.repairs) log.warn({ path: options.data.path }, `storage repaired: ${repair}`);
      const logs = loadLogs(reply);
      if (!reply.clean && logs.size > 0) {
        await renewEpochs(logs, writer, options.environment);
        log.warn({ logs: logs.size }, "the storage was not closed in good order: every log goes on under a new epoch");
      }
      const dedup = await loadDedup(logs, options);
      return new WriterSession(writer, logs, dedup, reply, options);
    } catch (error) {
      await writer.terminate();
      throw error;
    }
  }

  private constructor(
    writer: StorageThread<WriterCalls>,
    logs: Map<string, FileLog>,
    dedup: DedupWindow,
    { nextLogId, purge }: OpenReply,
    { environment, onLost }: WriterSessionOptions,
  ) {
    this.logs = logs;
    this.dedup = dedup;
    this.#writer = writer;
    this.#environment = environment;
    this.#nextLogId = nextLogId;
    let isLost = false;
    const lose = (error: BusError) => {
      if (isLost || this.#isClosing) return;
      isLost = true;
      onLost(error);
    };
    this.queue = new CommitQueue({
      writer,
      now: environment.now,
      purge,
      dedupMark: dedup.mark(),
      onRollback: (rolledBack, mark) => this.#rollback(rolledBack, mark),
      onLost: lose,
    });
    void writer.ended.then((error) => {
      this.queue.kill(error);
      lose(error);
    });
  }

  addLog(key: string, incarnation: string, version: number): FileLog {
    const links = withNewEpoch([], 1, this.#environment.randomEpoch);
    const log = new FileLog(this.#nextLogId++, key, incarnation, {
      version,
      fencedAt: 0,
      links,
      head: 0,
      lastAcceptedAtMs: 0,
    });
    this.logs.set(key, log);
    return log;
  }

  /** Stores what was handed over, then closes the database; `beforeClose` runs in between. */
  async close(beforeClose: () => Promise<void>): Promise<void> {
    await this.queue.settled();
    this.#isClosing = true;
    const isSound = this.queue.failure === undefined || this.queue.failure.reason === "STORAGE_FULL";
    await beforeClose();
    try {
      await this.#writer.call("close", { clean: isSound });
    } finally {
      await this.#writer.terminate();
    }
  }

  /** Ends the thread at once, without a word to the database. */
  async abandon(): Promise<void> {
    await this.#writer.terminate();
  }

  #rollback(logs: Iterable<FileLog>, dedupMark: number): void {
    this.dedup.rollback(dedupMark);
    for (const log of logs) {
      if (log.committed === undefined && this.logs.get(log.key) === log) this.logs.delete(log.key);
    }
  }
}

function loadLogs({ definitions, heads }: OpenReply): Map<string, FileLog> {
  const headOf = new Map(heads.map((head) => [head.id, head]));
  return new Map(
    definitions.map((definition) => [definition.key, FileLog.load(definition, headOf.get(definition.id)!)]),
  );
}

/** Before anything is issued, and on disk: what was lost must not be numbered again under the same epoch. */
async function renewEpochs(
  logs: ReadonlyMap<string, FileLog>,
  writer: StorageThread<WriterCalls>,
  { now, randomEpoch }: StorageEnvironment,
): Promise<void> {
  const all = [...logs.values()];
  for (let from = 0; from < all.length; from += RENEWED_LOGS) {
    const some = all.slice(from, from + RENEWED_LOGS);
    for (const log of some) {
      log.next = { ...log.next, links: withNewEpoch(log.next.links, log.next.head + 1, randomEpoch) };
      log.committed = log.next;
    }
    await writer.call("commit", {
      nowMs: now(),
      definitions: some.map((log) => log.definition(log.next)),
      // Written too: a repaired head is not yet on disk.
      heads: some.map(({ id, floor, sizeBytes, next: { head, lastAcceptedAtMs } }) => {
        return { id, head, floor, sizeBytes, lastAcceptedAtMs };
      }),
      blocks: [],
      slab: new SharedArrayBuffer(0),
      changes: [],
    });
  }
}

/** Keys of the last ten minutes, oldest first, as far as the window reaches. */
async function loadDedup(
  logs: ReadonlyMap<string, FileLog>,
  { reader, environment, dedupKeys }: WriterSessionOptions,
): Promise<DedupWindow> {
  const dedup = new DedupWindow(dedupKeys, environment.randomEpoch);
  if (logs.size === 0) return dedup;
  const live = new Set([...logs.values()].map((log) => log.id));
  const sinceMs = environment.now() - MAX_DEDUP_WINDOW_MS;
  let next: number | undefined = await reader.call("recentStart", { sinceMs, maxKeys: dedupKeys });
  while (next !== undefined) {
    const reply: RecentBlocksReply = await reader.call("recentBlocks", { afterBlock: next });
    for (const { logId, first, epoch, entries } of reply.blocks) {
      if (live.has(logId)) rememberBlock(dedup, logId, new BlockDecoder(first, epoch, entries, NO_BYTES), epoch);
    }
    next = reply.next;
  }
  return dedup;
}

function rememberBlock(dedup: DedupWindow, logId: number, block: BlockDecoder, epoch: number): void {
  for (let i = 0; i < block.count; i++) {
    const key = block.idempotencyKey(i);
    if (key === "") continue;
    dedup.lookup(logId, block.sender(i), key);
    dedup.remember(block.first + i, epoch, block.acceptedAtMs(i), block.contentDigest(i));
  }
}
