import type { Durability } from "../core/room.ts";
import type { Directory } from "./directory.ts";
import type { Doorbell } from "./doorbell.ts";
import type { MessageLog } from "./message-log.ts";
import type { Relay } from "./relay.ts";

/** What an adapter can do, as data: callers ask here and never by trying. */
export interface StorageCapabilities {
  /** What it holds outlives the process. */
  readonly durable: boolean;
  /** Several nodes may use it at the same time. */
  readonly shared: boolean;
  /** The best a publish reaches; weaker levels are met, too. Read from the server's settings where it is shared. */
  readonly durability: Durability;
  /** Rings of other nodes come by themselves, at once; else the doorbell has to ask for them, every 4 to 500 ms. */
  readonly notifies: boolean;
}

/** One storage: the ports over one backend. */
export interface StorageAdapter {
  /** "memory", "file", ... */
  readonly kind: string;
  /** A shared storage reads them again whenever it connects: ask each time. */
  readonly capabilities: StorageCapabilities;
  readonly log: MessageLog;
  readonly directory: Directory;
  readonly doorbell: Doorbell;
  /** Carries VOLATILE messages between nodes. Undefined: not shared, or VOLATILE channels are stored like the others. */
  readonly relay?: Relay;
  /** The store's clock, in milliseconds since 1970: as good a guess as can be had without asking. */
  now(): number;
  /** Undefined: it works. Else what is wrong, for /health and people. */
  problem(): string | undefined;
  /**
   * Removes what has expired (records, idempotency keys, rings) from the backend, a bounded part of it. Nodes elect one
   * that calls it from time to time. Undefined: there is nothing to do. Throws BusError STORAGE_UNAVAILABLE.
   */
  sweep?(): Promise<void>;
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
  /** Takes the place of a shared backend's own clock, in milliseconds since 1970; for tests. Unset: the backend's. */
  readonly storeClock?: () => number;
}

export interface StorageLogger {
  info(fields: object, text: string): void;
  warn(fields: object, text: string): void;
  error(fields: object, text: string): void;
}

/**
 * Opens a storage, from a URL such as "file:./data" and its options. Throws BusError STORAGE_UNAVAILABLE when it cannot be
 * reached or is not ready yet: for a shared storage, try again later. Any other error (a wrong option, a setting of the
 * server that would lose messages, a schema of a newer program) stays until somebody acts.
 */
export type StorageFactory = (
  url: string,
  options: Readonly<Record<string, unknown>>,
  environment: StorageEnvironment,
) => Promise<StorageAdapter>;
