import { setTimeout as delay } from "node:timers/promises";
import pg from "pg";
import { BusError } from "../../core/errors.ts";
import type { StorageEnvironment } from "../storage-adapter.ts";
import { Backoff } from "./backoff.ts";
import { destroy, type Statement } from "./database.ts";
import type { ResolvedPostgresOptions } from "./options.ts";
import { toBusError } from "./postgres-errors.ts";
import { prepareSession, type ServerFacts } from "./session.ts";
import { valueTypes } from "./value-types.ts";

const KEEP_ALIVE_MS = 5_000;
/** The connection is given so long to end in good order. */
const GOODBYE_MS = 1_000;
const ASK_CLOCK = {
  name: "ask_clock",
  text: `SELECT floor(extract(epoch FROM clock_timestamp()) * 1000)::bigint AS clock, pg_is_in_recovery() AS in_recovery,
                pg_backend_pid() AS process`,
};

/** Found when the storage is opened (pooling.ts), but a pooler's settings may change, or have been missed there. */
const SESSION_LOST =
  "a pooler in transaction mode has taken its session away: set pool_mode to session, or give storage.postgres.listenUrl the URL of PostgreSQL itself";

interface ClockRow {
  readonly clock: number;
  readonly in_recovery: boolean;
  readonly process: number;
}

export interface SignalLineOptions {
  readonly options: ResolvedPostgresOptions;
  readonly environment: StorageEnvironment;
  readonly onFacts: (facts: ServerFacts) => void;
  readonly onClock: (clockMs: number, tookMs: number) => void;
}

export interface SignalHandler {
  /** One notification on its channel. */
  notified(payload: string): void;
  /** The line is up again after it was down: what was said meanwhile is lost. */
  restored(): void;
}

/**
 * The one connection that listens, and that rings and packets are sent over. It comes back by itself, for as long as it
 * takes.
 *
 *   connecting --(listening)--> up --(error, or no answer to a heartbeat)--> down --(pause)--> connecting
 *   any --(close)--> closed
 */
export class SignalLine {
  readonly #setup: SignalLineOptions;
  readonly #handlers = new Map<string, SignalHandler>();
  readonly #closing = new AbortController();
  readonly #backoff = new Backoff();
  #client: pg.Client | undefined;
  /** Where it listens. */
  #serverProcess = 0;
  #problem: string | undefined = "the listening connection is being opened";
  #work: Promise<unknown> = Promise.resolve();
  #running: Promise<void> | undefined;

  constructor(setup: SignalLineOptions) {
    this.#setup = setup;
  }

  /** Before open(): one handler for each channel. */
  handle(channel: string, handler: SignalHandler): void {
    this.#handlers.set(channel, handler);
  }

  get isUp(): boolean {
    return this.#client !== undefined;
  }

  /** Undefined: it listens. */
  get problem(): string | undefined {
    return this.#problem;
  }

  /** Connects once, or throws; from then on it comes back by itself. */
  async open(): Promise<void> {
    const client = await this.#connect();
    this.#running = this.#keepUp(client);
  }

  /** Runs a statement behind those that were handed over before. Throws STORAGE_UNAVAILABLE when the line is down. */
  query<R extends pg.QueryResultRow>(statement: Statement, values: readonly unknown[]): Promise<readonly R[]> {
    return this.#enqueue<R>(statement, values, this.#setup.options.timeoutMs);
  }

  #enqueue<R extends pg.QueryResultRow>(
    statement: Statement,
    values: readonly unknown[],
    timeoutMs: number,
  ): Promise<readonly R[]> {
    const client = this.#client;
    if (client === undefined) return Promise.reject(this.#down());
    const result = this.#work.then(() => {
      if (client !== this.#client) throw this.#down();
      return this.#ask<R>(client, statement, values, timeoutMs);
    });
    this.#work = result.catch(() => {});
    return result;
  }

  async close(): Promise<void> {
    this.#closing.abort();
    this.#problem = "the storage is closed";
    const client = this.#client;
    this.#client = undefined;
    if (client !== undefined) {
      const patience = setTimeout(() => destroy(client), GOODBYE_MS);
      await client.end().catch(() => {});
      clearTimeout(patience);
    }
    await this.#running;
  }

  async #keepUp(first: pg.Client): Promise<void> {
    for (let client: pg.Client | undefined = first; ; ) {
      if (client !== undefined) await this.#watch(client);
      if (this.#closing.signal.aborted) return;
      await delay(this.#backoff.next(), undefined, { signal: this.#closing.signal, ref: false }).catch(() => {});
      if (this.#closing.signal.aborted) return;
      try {
        client = await this.#connect();
        this.#setup.environment.log.info({}, "the PostgreSQL connection for notifications is back");
        for (const handler of this.#handlers.values()) handler.restored();
      } catch (error) {
        client = undefined;
        this.#problem = (error as Error).message;
      }
    }
  }

  /** Until the connection ends. */
  async #watch(client: pg.Client): Promise<void> {
    const { heartbeatMs } = this.#setup.options;
    const ended = new Promise<Error | undefined>((resolve) => {
      client.on("error", resolve);
      client.on("end", () => resolve(undefined));
    });
    let isAsking = false;
    const beat = setInterval(async () => {
      if (isAsking) return; // behind a packet that takes long, or unanswered: that has a limit of its own
      isAsking = true;
      await this.#beat(client);
      isAsking = false;
    }, heartbeatMs);
    const cause = await ended;
    clearInterval(beat);
    this.#client = undefined;
    destroy(client);
    if (this.#closing.signal.aborted) return;
    const problem = cause?.message ?? "the connection ended";
    this.#problem = `PostgreSQL, listening: ${problem}`;
    this.#setup.environment.log.warn({ problem }, "the PostgreSQL connection for notifications broke");
  }

  async #beat(client: pg.Client): Promise<void> {
    await this.#work; // waiting for others is not the server's time
    const sentAt = performance.now();
    try {
      const { heartbeatMs } = this.#setup.options;
      const [row] = await this.#enqueue<ClockRow>(ASK_CLOCK, [], heartbeatMs);
      this.#setup.onClock(row!.clock, performance.now() - sentAt);
      if (row!.process !== this.#serverProcess) client.emit("error", new Error(SESSION_LOST));
      else if (row!.in_recovery) destroy(client);
    } catch {
      destroy(client);
    }
  }

  async #connect(): Promise<pg.Client> {
    const { listenUrl, connectTimeoutMs, timeoutMs, prefix } = this.#setup.options;
    const client = new pg.Client({
      connectionString: listenUrl,
      connectionTimeoutMillis: connectTimeoutMs,
      keepAlive: true,
      keepAliveInitialDelayMillis: KEEP_ALIVE_MS,
      application_name: `agentbus/${prefix}/listen`,
      types: valueTypes,
    });
    client.on("error", () => {}); // until #watch listens; a connection that breaks before fails what is asked here
    client.on("notification", ({ channel, payload }) => this.#handlers.get(channel)?.notified(payload ?? ""));
    const silent = setTimeout(() => destroy(client), connectTimeoutMs);
    try {
      await client.connect();
      const facts = await prepareSession(client, timeoutMs);
      this.#serverProcess = facts.serverProcess;
      this.#setup.onFacts(facts);
      for (const channel of this.#handlers.keys()) await client.query(`LISTEN "${channel}"`);
    } catch (error) {
      destroy(client);
      throw toBusError(error, "listening");
    } finally {
      clearTimeout(silent);
    }
    if (this.#closing.signal.aborted) {
      destroy(client);
      throw new BusError("STORAGE_UNAVAILABLE", "the storage is closed");
    }
    this.#client = client;
    this.#problem = undefined;
    this.#backoff.reset();
    return client;
  }

  async #ask<R extends pg.QueryResultRow>(
    client: pg.Client,
    { name, text }: Statement,
    values: readonly unknown[],
    timeoutMs: number,
  ): Promise<readonly R[]> {
    // No answer: the peer has vanished without a word.
    const silent = setTimeout(() => destroy(client), timeoutMs);
    try {
      return (await client.query<R>({ ...(name !== undefined && { name }), text, values: [...values] })).rows;
    } catch (error) {
      throw toBusError(error, "notifying");
    } finally {
      clearTimeout(silent);
    }
  }

  #down(): BusError {
    return new BusError("STORAGE_UNAVAILABLE", this.#problem ?? "the listening connection is down");
  }
}
