import pg from "pg";
import { BusError } from "../../core/errors.ts";
import type { StorageEnvironment } from "../storage-adapter.ts";
import { Backoff } from "./backoff.ts";
import type { ResolvedPostgresOptions } from "./options.ts";
import { isConnectionLost, isRetryable, toBusError } from "./postgres-errors.ts";
import { prepareSession, type ServerFacts } from "./session.ts";
import { valueTypes } from "./value-types.ts";

/** One statement. A name keeps it prepared on each connection that has run it once. */
export interface Statement {
  readonly name?: string;
  readonly text: string;
}

/** What runs statements: the pool, each on any connection, or a transaction, all on one. */
export interface Queries {
  query<R extends pg.QueryResultRow>(statement: Statement, values: readonly unknown[]): Promise<readonly R[]>;
}

/** How often a transaction is begun anew that the server broke off for the sake of another one. */
const MAX_TRIES = 5;
const IDLE_MS = 30_000;
/** A connection is given so long to end in good order. */
const GOODBYE_MS = 1_000;
const KEEP_ALIVE_MS = 5_000;

/**
 * A bounded pool of connections. Every operation ends within its timeout, and throws BusError. After a failure to connect,
 * operations fail at once until it is time to try again, so that a server that is away is not stormed.
 */
export class Database implements Queries {
  readonly #options: ResolvedPostgresOptions;
  readonly #environment: StorageEnvironment;
  readonly #onFacts: (facts: ServerFacts) => void;
  readonly #backoff = new Backoff();
  #pool: pg.Pool;
  /** Of the pool, idle and lent. */
  #clients = new Set<pg.ClientBase>();
  /** Why there is no connection, and when to try again. */
  #away: { readonly error: BusError; readonly untilMs: number } | undefined;
  #problem: string | undefined;
  #wasReached = false;
  #isClosed = false;
  readonly #ending = new Set<Promise<void>>();

  constructor(
    options: ResolvedPostgresOptions,
    environment: StorageEnvironment,
    onFacts: (facts: ServerFacts) => void,
  ) {
    this.#options = options;
    this.#environment = environment;
    this.#onFacts = onFacts;
    this.#pool = this.#createPool();
  }

  /** Undefined: the newest operation got an answer. */
  get problem(): string | undefined {
    return this.#problem;
  }

  async query<R extends pg.QueryResultRow>(statement: Statement, values: readonly unknown[]): Promise<readonly R[]> {
    return await this.#retried(() => this.#use((queries) => queries.query<R>(statement, values)));
  }

  /** Runs `work` in a transaction, READ COMMITTED; more than once when the server breaks it off. */
  async transaction<T>(work: (queries: Queries) => Promise<T>): Promise<T> {
    const attempt = async (queries: Queries) => {
      // Also set for the session; a pooler in transaction mode may lend one where it is not.
      const patience = `SET LOCAL idle_in_transaction_session_timeout = ${this.#options.timeoutMs}`;
      await queries.query({ text: `BEGIN ISOLATION LEVEL READ COMMITTED; ${patience}` }, []);
      try {
        const result = await work(queries);
        await queries.query({ text: "COMMIT" }, []);
        return result;
      } catch (error) {
        // Fails when the connection does, and then the server rolls back by itself.
        await queries.query({ text: "ROLLBACK" }, []).catch(() => {});
        throw error;
      }
    };
    return await this.#retried(() => this.#use(attempt));
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    this.#problem = "the storage is closed";
    this.#retire();
    await Promise.all(this.#ending);
  }

  async #retried<T>(attempt: () => Promise<T>): Promise<T> {
    for (let tries = 1; ; tries++) {
      try {
        const result = await attempt();
        this.#problem = undefined;
        return result;
      } catch (error) {
        if (tries < MAX_TRIES && isRetryable(error)) continue;
        const failure = toBusError(error, "asking the server");
        if (failure.reason === "STORAGE_UNAVAILABLE" && !this.#isClosed) this.#problem = failure.message;
        throw failure;
      }
    }
  }

  /** Lends a connection; one that failed, or did not answer in time, is thrown away. */
  async #use<T>(work: (queries: Queries) => Promise<T>): Promise<T> {
    const client = await this.#connect();
    let timedOut: BusError | undefined;
    const { timeoutMs } = this.#options;
    const timer = setTimeout(() => {
      timedOut = new BusError("STORAGE_UNAVAILABLE", `PostgreSQL did not answer within ${timeoutMs} ms`);
      destroy(client);
      // Whatever made this connection silent may have silenced the others.
      this.#renew();
    }, timeoutMs);
    let lost: unknown;
    // A connection that ends while it is lent says so here, too; the query tells.
    const onError = (error: unknown) => {
      lost = error;
    };
    client.on("error", onError);
    try {
      return await work(queriesOn(client));
    } catch (error) {
      const cause = timedOut ?? error;
      if (timedOut !== undefined || (!(error instanceof BusError) && isConnectionLost(error))) lost = cause;
      throw cause;
    } finally {
      clearTimeout(timer);
      client.off("error", onError);
      client.release(lost === undefined ? undefined : true);
    }
  }

  async #connect(): Promise<pg.PoolClient> {
    if (this.#isClosed) throw new BusError("STORAGE_UNAVAILABLE", "the storage is closed");
    const pool = this.#pool;
    if (this.#away !== undefined && pool.idleCount === 0 && performance.now() < this.#away.untilMs) {
      throw this.#away.error;
    }
    try {
      const client = await pool.connect();
      if (this.#away !== undefined) {
        this.#away = undefined;
        this.#backoff.reset();
        if (this.#wasReached) this.#environment.log.info({}, "PostgreSQL is back");
      }
      this.#wasReached = true;
      return client;
    } catch (error) {
      // All connections being in use is no reason to believe that the server is away.
      const isBusy = pool === this.#pool && pool.totalCount >= this.#options.maxConnections;
      const failure = toBusError(error, "connecting");
      if (!isBusy && !this.#isClosed) {
        // Before the first connection the one who opens the storage tells, who also knows what comes of it.
        if (this.#away === undefined && this.#wasReached) {
          this.#environment.log.warn({ problem: failure.message }, "PostgreSQL is away; trying again until it is back");
        }
        this.#away = { error: failure, untilMs: performance.now() + this.#backoff.next() };
      }
      throw failure;
    }
  }

  /** New connections for all that comes now; those that are lent end when they are given back. */
  #renew(): void {
    if (this.#isClosed) return;
    this.#retire();
    this.#pool = this.#createPool();
  }

  #retire(): void {
    const clients = this.#clients;
    this.#clients = new Set();
    // Who has vanished never says goodbye; who is lent ends with its operation.
    const patience = setTimeout(
      () => {
        for (const client of clients) destroy(client);
      },
      this.#isClosed ? GOODBYE_MS : this.#options.timeoutMs + GOODBYE_MS,
    );
    const ended = this.#pool
      .end()
      .catch(() => {})
      .then(() => {
        clearTimeout(patience);
        this.#ending.delete(ended);
      });
    this.#ending.add(ended);
  }

  #createPool(): pg.Pool {
    const { url, maxConnections, connectTimeoutMs, timeoutMs, prefix } = this.#options;
    const pool = new pg.Pool({
      connectionString: url,
      max: maxConnections,
      connectionTimeoutMillis: connectTimeoutMs,
      idleTimeoutMillis: IDLE_MS,
      keepAlive: true,
      keepAliveInitialDelayMillis: KEEP_ALIVE_MS,
      application_name: `agentbus/${prefix}`,
      types: valueTypes,
      onConnect: async (client: pg.ClientBase) => {
        const silent = setTimeout(() => destroy(client), connectTimeoutMs);
        try {
          this.#onFacts(await prepareSession(client, timeoutMs));
        } finally {
          clearTimeout(silent);
        }
      },
    });
    const clients = this.#clients;
    pool.on("connect", (client) => clients.add(client));
    pool.on("remove", (client) => clients.delete(client));
    // An idle connection that breaks is taken out by the pool; without a listener it would end the process. A server
    // that is away shows, and is told, when the next connection is wanted.
    pool.on("error", () => {});
    return pool;
  }
}

function queriesOn(client: pg.ClientBase): Queries {
  return {
    async query<R extends pg.QueryResultRow>({ name, text }: Statement, values: readonly unknown[]) {
      const { rows } = await client.query<R>(
        name === undefined ? { text, values: [...values] } : { name, text, values: [...values] },
      );
      return rows;
    },
  };
}

/** Without a word to the other side, which may not be there. */
export function destroy(client: pg.ClientBase): void {
  (client as unknown as { connection: { stream: { destroy(): void } } }).connection.stream.destroy();
}
