import type { StorageAdapter, StorageEnvironment } from "../../src/storage/storage-adapter.ts";

/** A storage nobody has written to, whose time stands still until `advance` moves it. */
export interface OpenedStorage {
  readonly storage: StorageAdapter;
  /** Moves the store's clock; negative: it steps back. */
  advance(ms: number): void;
  /** For durable ones: closes the storage in good order and opens the same again. */
  reopen?(): Promise<StorageAdapter>;
  /** For shared ones: another node on the same backend with the same clock, opened at the same time as `storage`. */
  readonly other?: StorageAdapter;
  /**
   * For shared ones: cuts every link between `storage` (not `other`) and the backend and refuses new ones, as a broken
   * network does; false: links can be made again. See test/support/proxied-url.ts.
   */
  cutOff?(isCut: boolean): void;
  /** Closes everything and removes what is left. */
  dispose(): Promise<void>;
}

export type OpenStorage = () => Promise<OpenedStorage>;

export const START_MS = 1_750_000_000_000;

/** What a storage is opened with in tests: a clock that is moved by hand, epochs that differ, faults that show. */
export function testEnvironment(): { environment: StorageEnvironment; advance(ms: number): void } {
  let now = START_MS;
  let epoch = 0;
  return {
    environment: {
      now: () => now,
      randomEpoch: () => (Math.imul(++epoch, 0x9e3779b1) ^ (Math.random() * 2 ** 32)) >>> 0 || 1,
      log: { info() {}, warn() {}, error() {} },
    },
    advance(ms) {
      now += ms;
    },
  };
}
