import type { Durability } from "../core/room.ts";
import type { Directory } from "./directory.ts";
import type { Doorbell } from "./doorbell.ts";
import type { MessageLog } from "./message-log.ts";

/** What an adapter can do, as data: callers ask here and never by trying. */
export interface StorageCapabilities {
  /** What it holds outlives the process. */
  readonly durable: boolean;
  /** Several nodes may use it at the same time. */
  readonly shared: boolean;
  /** The best a publish reaches; weaker levels are met, too. */
  readonly durability: Durability;
}

/** One storage: the ports over one backend. */
export interface StorageAdapter {
  /** "memory", "file", ... */
  readonly kind: string;
  readonly capabilities: StorageCapabilities;
  readonly log: MessageLog;
  readonly directory: Directory;
  readonly doorbell: Doorbell;
  /** The store's clock, in milliseconds since 1970: as good a guess as can be had without asking. */
  now(): number;
  /** Undefined: it works. Else what is wrong, for /health and people. */
  problem(): string | undefined;
  /** Ends it cleanly: what was acknowledged is stored, then files and connections are closed. */
  close(): Promise<void>;
}

/** What an adapter gets from the one who opens it. */
export interface StorageEnvironment {
  /** Milliseconds since 1970; tests give their own. */
  readonly now: () => number;
  /** A random unsigned 32-bit number, never 0. */
  readonly randomEpoch: () => number;
  readonly log: StorageLogger;
}

export interface StorageLogger {
  info(fields: object, text: string): void;
  warn(fields: object, text: string): void;
  error(fields: object, text: string): void;
}

/** Opens a storage, from a URL such as "file:./data" and its options. Throws BusError STORAGE_UNAVAILABLE. */
export type StorageFactory = (
  url: string,
  options: Readonly<Record<string, unknown>>,
  environment: StorageEnvironment,
) => Promise<StorageAdapter>;
