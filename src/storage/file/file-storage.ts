import { mkdirSync } from "node:fs";
import { endianness } from "node:os";
import { join, resolve } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { BusError } from "../../core/errors.ts";
import { DEFAULT_DEDUP_KEYS } from "../dedup-window.ts";
import { createLocalDoorbell } from "../local-doorbell.ts";
import type { StorageAdapter, StorageEnvironment, StorageFactory } from "../storage-adapter.ts";
import { type IntegerOption, resolveIntegerOptions } from "../storage-options.ts";
import { FileDirectory } from "./file-directory.ts";
import { FileMessageLog } from "./file-message-log.ts";
import { lockDirectory } from "./owner-lock.ts";
import { Reader } from "./reader.ts";
import { WriterSession } from "./writer-session.ts";

export interface FileStorageOptions {
  /**
   * Quota of the database file in bytes; the write-ahead log beside it takes up to 64 MiB more. When it is reached,
   * STORAGE_FULL. Space that retention frees is used again, the file does not shrink. 1 MiB to 2^44. Default 64 GiB.
   */
  readonly maxBytes?: number;
  /**
   * Idempotency keys remembered, of all channels together; the oldest are forgotten first. 44 bytes each, taken as they
   * come. 1 to 16,000,000. Default 1,000,000.
   */
  readonly dedupKeys?: number;
}

const OPTIONS = {
  maxBytes: { default: 64 * 2 ** 30, min: 2 ** 20, max: 2 ** 44 },
  dedupKeys: { default: DEFAULT_DEDUP_KEYS, min: 1, max: 16_000_000 },
} as const satisfies Record<keyof FileStorageOptions, IntegerOption>;

const FIRST_RETRY_MS = 50;
const MAX_RETRY_MS = 5_000;

/**
 * Opens the storage in a directory, which is made when it is not there. Throws BusError STORAGE_UNAVAILABLE or
 * DATA_DAMAGED with a message that says what to do, and an Error that names every wrong option.
 */
export async function createFileStorage(
  directory: string,
  options: FileStorageOptions,
  environment: StorageEnvironment,
): Promise<FileStorage> {
  const resolved = resolveIntegerOptions("file", { ...options }, OPTIONS);
  if (endianness() !== "LE") throw unavailable("the file storage's format is little-endian; this machine is not");
  const root = resolve(directory);
  const unlock = lock(root);
  const storage = new FileStorage(root, resolved, environment, unlock);
  try {
    await storage.open();
    return storage;
  } catch (error) {
    await storage.close();
    throw error;
  }
}

/** `file:./data`, `file:/var/lib/agentbus` or `file:///var/lib/agentbus`. */
export const fileStorage: StorageFactory = async (url, options, environment) => {
  const path = /^file:\/\/\//i.test(url) ? fileURLToPath(url) : url.replace(/^file:/i, "");
  if (path === "" || path.startsWith("//")) {
    throw unavailable(`storage ${JSON.stringify(url)}: name a directory, for example file:./data`);
  }
  return await createFileStorage(path, options, environment);
};

/**
 *   opening --> open --(thread died, commit of unknown outcome)--> recovering --> open
 *   any --(close)--> closed
 */
export class FileStorage implements StorageAdapter {
  readonly kind = "file";
  readonly capabilities = { durable: true, shared: false, durability: "SYNCED", notifies: true } as const;
  readonly log: FileMessageLog;
  readonly directory: FileDirectory;
  readonly doorbell;
  readonly now: () => number;
  readonly #path: string;
  readonly #options: Required<FileStorageOptions>;
  readonly #environment: StorageEnvironment;
  readonly #unlock: () => void;
  readonly #reader: Reader;
  readonly #closing = new AbortController();
  #session: WriterSession | undefined;
  #recovery: Promise<void> | undefined;
  #closed: Promise<void> | undefined;
  #problem = "the storage is being opened";

  constructor(
    root: string,
    options: Required<FileStorageOptions>,
    environment: StorageEnvironment,
    unlock: () => void,
  ) {
    this.#path = join(root, "agentbus.db");
    this.#options = options;
    this.#environment = environment;
    this.#unlock = unlock;
    this.#reader = new Reader({ path: this.#path, maxBytes: options.maxBytes });
    const session = () => this.#openSession();
    this.log = new FileMessageLog(session, this.#reader, environment);
    this.directory = new FileDirectory(session, this.#reader, environment.now);
    this.doorbell = createLocalDoorbell(environment.log);
    this.now = environment.now;
  }

  async open(): Promise<void> {
    this.#session = await WriterSession.open({
      data: { path: this.#path, maxBytes: this.#options.maxBytes },
      dedupKeys: this.#options.dedupKeys,
      reader: this.#reader,
      environment: this.#environment,
      onLost: (error) => {
        this.#recovery = this.#recover(error);
      },
    });
  }

  problem(): string | undefined {
    if (this.#session === undefined) return this.#problem;
    return this.#session.queue.failure?.message;
  }

  close(): Promise<void> {
    this.#closed ??= this.#close();
    return this.#closed;
  }

  async #close(): Promise<void> {
    this.#closing.abort();
    await this.#recovery;
    try {
      await this.#session?.close(() => this.#reader.close());
    } finally {
      this.#session = undefined;
      this.#problem = "the storage is closed";
      await this.#reader.close();
      this.#unlock();
    }
  }

  #openSession(): WriterSession {
    if (this.#closing.signal.aborted) throw unavailable("the storage is closed");
    if (this.#session === undefined) throw unavailable(this.#problem);
    return this.#session;
  }

  /** Opens the database again, until it works: nothing is answered from what memory says of it. */
  async #recover(error: BusError): Promise<void> {
    const lost = this.#session;
    this.#session = undefined;
    this.#problem = `the storage is being opened again: ${error.message}`;
    this.#environment.log.error({ err: error }, "the storage failed; it is being opened again");
    await lost?.abandon();
    for (let retryMs = FIRST_RETRY_MS; !this.#closing.signal.aborted; retryMs = Math.min(retryMs * 2, MAX_RETRY_MS)) {
      try {
        await this.open();
        this.#environment.log.info({}, "the storage is open again");
        return;
      } catch (cause) {
        this.#problem = `the storage cannot be opened again: ${(cause as Error).message}`;
        this.#environment.log.error({ err: cause, retryMs }, "the storage cannot be opened again");
      }
      await delay(retryMs, undefined, { signal: this.#closing.signal }).catch(() => {});
    }
  }
}

function lock(root: string): () => void {
  try {
    mkdirSync(root, { recursive: true, mode: 0o700 });
    return lockDirectory(root);
  } catch (cause) {
    if (cause instanceof BusError) throw cause;
    throw unavailable(`the storage's directory ${root} cannot be used: ${(cause as Error).message}`, cause);
  }
}

function unavailable(message: string, cause?: unknown): BusError {
  return new BusError("STORAGE_UNAVAILABLE", message, { cause });
}
