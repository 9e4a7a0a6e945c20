import { BusError } from "../../core/errors.ts";
import { DEFAULT_DEDUP_KEYS, DedupWindow } from "../dedup-window.ts";
import { createLocalDoorbell } from "../local-doorbell.ts";
import type { StorageAdapter, StorageEnvironment, StorageFactory } from "../storage-adapter.ts";
import { type IntegerOption, resolveIntegerOptions } from "../storage-options.ts";
import { MemoryDirectory } from "./memory-directory.ts";
import { MemoryMessageLog } from "./memory-message-log.ts";

export interface MemoryStorageOptions {
  /** Messages kept of one channel; the next one takes the oldest one's place. 1 to 100,000,000. Default 10,000. */
  readonly ringSize?: number;
  /**
   * Bytes of all channels together, with 160 bytes of bookkeeping a message. Above it the oldest of the same channel go;
   * when it has none left, STORAGE_FULL. 1 to 2^53 - 1. Default 1 GiB.
   */
  readonly maxBytes?: number;
  /**
   * Idempotency keys remembered, of all channels together; the oldest are forgotten first. 44 bytes each, taken as they
   * come. 1 to 16,000,000. Default 1,000,000.
   */
  readonly dedupKeys?: number;
}

const OPTIONS = {
  ringSize: { default: 10_000, min: 1, max: 100_000_000 },
  maxBytes: { default: 2 ** 30, min: 1, max: Number.MAX_SAFE_INTEGER },
  dedupKeys: { default: DEFAULT_DEDUP_KEYS, min: 1, max: 16_000_000 },
} as const satisfies Record<keyof MemoryStorageOptions, IntegerOption>;

/** A storage that forgets everything when the process ends. Throws an Error that names every wrong option. */
export function createMemoryStorage(options: MemoryStorageOptions, environment: StorageEnvironment): StorageAdapter {
  const resolved = resolveIntegerOptions("memory", { ...options }, OPTIONS);
  return {
    kind: "memory",
    capabilities: { durable: false, shared: false, durability: "VOLATILE", notifies: true },
    log: new MemoryMessageLog(resolved, environment, new DedupWindow(resolved.dedupKeys, environment.randomEpoch)),
    directory: new MemoryDirectory(environment.now),
    doorbell: createLocalDoorbell(environment.log),
    now: environment.now,
    problem: () => undefined,
    async close() {},
  };
}

/** `memory:` takes nothing behind the colon. */
export const memoryStorage: StorageFactory = async (url, options, environment) => {
  if (url.replace(/^memory:(\/\/)?/i, "") !== "") {
    throw new BusError(
      "STORAGE_UNAVAILABLE",
      `storage ${JSON.stringify(url)}: write memory: and give options apart from it`,
    );
  }
  return createMemoryStorage(options, environment);
};
