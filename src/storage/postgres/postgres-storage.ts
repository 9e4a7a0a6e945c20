import { randomBytes } from "node:crypto";
import pg from "pg";
import type { Durability } from "../../core/room.ts";
import type { StorageAdapter, StorageCapabilities, StorageEnvironment, StorageFactory } from "../storage-adapter.ts";
import { Database } from "./database.ts";
import { LockedLogs } from "./locked-log.ts";
import { migrateSchema, quoted } from "./migrations.ts";
import { type PostgresStorageOptions, type ResolvedPostgresOptions, resolvePostgresOptions } from "./options.ts";
import { checkPooling } from "./pooling.ts";
import { PostgresDirectory } from "./postgres-directory.ts";
import { PostgresDoorbell } from "./postgres-doorbell.ts";
import { settingFault } from "./postgres-errors.ts";
import { PostgresMessageLog } from "./postgres-message-log.ts";
import { PostgresRelay } from "./postgres-relay.ts";
import type { ServerFacts } from "./session.ts";
import { SignalLine } from "./signal-line.ts";

/** While something is wrong, the server is asked so often whether it still is. */
const PROBE_MS = 500;

/**
 * Opens the bus that lives in one schema of a PostgreSQL database, and makes the schema when it is not there. Throws
 * BusError STORAGE_UNAVAILABLE when the server cannot be reached or does not take writes yet, and an Error that says what
 * to do for wrong options, rights or versions.
 */
export async function createPostgresStorage(
  url: string,
  options: PostgresStorageOptions,
  environment: StorageEnvironment,
): Promise<PostgresStorage> {
  const resolved = resolvePostgresOptions(url, options);
  checkDriverTakes(resolved);
  const storage = new PostgresStorage(resolved, environment);
  try {
    await storage.open();
    return storage;
  } catch (error) {
    await storage.close();
    const fault = settingFault(error);
    throw fault === undefined ? error : new Error(`the postgres storage cannot be opened: ${fault}`, { cause: error });
  }
}

/** `postgres://user:password@host:5432/database` or `postgresql://…`, with `?sslmode=verify-full` for TLS. */
export const postgresStorage: StorageFactory = (url, options, environment) =>
  createPostgresStorage(url, options, environment);

export class PostgresStorage implements StorageAdapter {
  readonly kind = "postgres";
  readonly log: PostgresMessageLog;
  readonly directory: PostgresDirectory;
  readonly doorbell: PostgresDoorbell;
  readonly relay: PostgresRelay;
  readonly #options: ResolvedPostgresOptions;
  readonly #environment: StorageEnvironment;
  readonly #database: Database;
  readonly #line: SignalLine;
  #durability: Durability = "STORED";
  /** The server's clock minus ours. */
  #clockOffsetMs = 0;
  #probe: NodeJS.Timeout | undefined;
  #closed: Promise<void> | undefined;

  constructor(options: ResolvedPostgresOptions, environment: StorageEnvironment) {
    this.#options = options;
    this.#environment = environment;
    const onFacts = (facts: ServerFacts) => {
      this.#durability = facts.durability;
      this.#setClock(facts.clockMs, facts.tookMs);
    };
    const onClock = (clockMs: number, tookMs: number) => this.#setClock(clockMs, tookMs);
    const database = new Database(options, environment, onFacts);
    this.#database = database;
    this.#line = new SignalLine({ options, environment, onFacts, onClock });
    const schema = quoted(options.prefix);
    const sender = randomBytes(6).toString("base64url");
    const storeClock = () => environment.storeClock?.() ?? null;
    this.doorbell = new PostgresDoorbell(this.#line, `${options.prefix}_rings`, sender, environment);
    const channel = `${options.prefix}_packets`;
    const maxBytes = options.maxRelayBytes;
    this.relay = new PostgresRelay({ line: this.#line, schema, channel, sender, environment, maxBytes });
    this.directory = new PostgresDirectory(database, schema, storeClock);
    this.log = new PostgresMessageLog({
      database,
      schema,
      locks: new LockedLogs(schema, environment.randomEpoch),
      storeClock,
      maxPendingBytes: options.maxPendingBytes,
      dedupKeys: options.dedupKeys,
      onStored: ({ key }, { head, epoch }) => this.doorbell.stored({ topic: "log", key, head, epoch }),
    });
  }

  get capabilities(): StorageCapabilities {
    return { durable: true, shared: true, notifies: true, durability: this.#durability };
  }

  async open(): Promise<void> {
    const { prefix } = this.#options;
    await checkPooling(this.#options);
    const applied = await migrateSchema(this.#database, prefix);
    if (applied.length > 0)
      this.#environment.log.info({ prefix, applied }, "the PostgreSQL schema was brought up to date");
    await this.#line.open();
    // Without traffic nobody would notice that the server is back, or that its settings have changed.
    let isAsking = false;
    this.#probe = setInterval(async () => {
      if (isAsking || this.#database.problem === undefined) return;
      isAsking = true;
      await this.#database.query({ text: "SELECT 1" }, []).catch(() => {});
      isAsking = false;
    }, PROBE_MS);
    this.#probe.unref();
  }

  now(): number {
    return this.#environment.storeClock?.() ?? Math.round(this.#environment.now() + this.#clockOffsetMs);
  }

  problem(): string | undefined {
    return this.#database.problem ?? this.#line.problem;
  }

  async sweep(): Promise<void> {
    await this.log.sweep();
    await this.directory.sweep();
    await this.#database.query(this.relay.sweepStatement, []);
  }

  close(): Promise<void> {
    this.#closed ??= this.#close();
    return this.#closed;
  }

  async #close(): Promise<void> {
    clearInterval(this.#probe);
    await this.log.settled();
    await this.#line.close();
    await this.#database.close();
  }

  #setClock(clockMs: number, tookMs: number): void {
    this.#clockOffsetMs = clockMs + tookMs / 2 - this.#environment.now();
  }
}

/** Files of certificates that are not there, and such: said by the driver when it is given the URL. */
function checkDriverTakes({ url, listenUrl }: ResolvedPostgresOptions): void {
  for (const connectionString of new Set([url, listenUrl])) {
    try {
      new pg.Client({ connectionString });
    } catch (cause) {
      throw new Error(`the postgres storage's URL cannot be used: ${(cause as Error).message}`, { cause });
    }
  }
}
