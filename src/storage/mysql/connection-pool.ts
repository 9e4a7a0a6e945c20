import { setTimeout as pause } from "node:timers/promises";
import { BusError } from "../../core/errors.ts";
import type { StorageLogger } from "../storage-adapter.ts";
import { type Answer, lockWaitSeconds, type MysqlConnection } from "./connection.ts";
import { describeError, NoAnswer, toBusError } from "./driver-errors.ts";
import type { ServerFacts } from "./server-facts.ts";

export interface PoolOptions {
  readonly size: number;
  readonly maxWaiting: number;
  readonly timeoutMs: number;
  /** For people: "MySQL at host:3306". */
  readonly where: string;
  readonly open: () => Promise<MysqlConnection>;
  readonly log: StorageLogger;
}

/** A connection for the time of one operation. */
export interface Session {
  readonly facts: ServerFacts;
  /** As MysqlConnection.send, within what is left of the operation's time. */
  send(statements: readonly string[]): Promise<readonly Answer[]>;
  /** Milliseconds that are left of the operation's time. */
  remainingMs(): number;
  /** Whether enough is left of it to wait for a locked row. */
  hasTimeForLock(): boolean;
  /** The connection is not given to anybody else. */
  discard(): void;
}

interface Waiter {
  readonly take: (connection: MysqlConnection) => void;
  readonly failed: (error: BusError) => void;
}

/** Below the server's patience, so that nobody is given a connection that the server is about to close. */
const MAX_IDLE_MS = 5_000;
const FIRST_BACKOFF_MS = 50;
const MAX_BACKOFF_MS = 2_000;

/**
 * A bounded number of connections.
 *
 *   up --(a connection cannot be opened)--> away --(one can, tried with backoff)--> up
 *
 * While the server is away everything is refused at once; nothing waits for it.
 */
export class ConnectionPool {
  readonly #options: PoolOptions;
  readonly #open = new Set<MysqlConnection>();
  /** The one used last is at the end and is used first, so that the others grow old and go. */
  readonly #idle: { readonly connection: MysqlConnection; readonly sinceMs: number }[] = [];
  readonly #waiting = new Set<Waiter>();
  readonly #closing = new AbortController();
  #opening = 0;
  #away: BusError | undefined;
  #facts: ServerFacts;
  #recovered: (() => void)[] = [];
  readonly #idleTimer: NodeJS.Timeout;

  /** `first` is a connection that works. */
  constructor(options: PoolOptions, first: MysqlConnection) {
    this.#options = options;
    this.#facts = first.facts;
    this.#adopt(first);
    this.#idleTimer = setInterval(() => this.#closeIdle(), MAX_IDLE_MS / 2);
    this.#idleTimer.unref();
  }

  /** Of the newest connection. */
  get facts(): ServerFacts {
    return this.#facts;
  }

  /** Undefined: the server can be reached. */
  get problem(): string | undefined {
    return this.isClosed ? "the storage is closed" : this.#away?.message;
  }

  get isClosed(): boolean {
    return this.#closing.signal.aborted;
  }

  /** Calls the listener whenever the server was away and is back. */
  onRecovered(listener: () => void): void {
    this.#recovered.push(listener);
  }

  /**
   * Runs one operation on a connection of its own. Rejects with BusError for whatever the driver throws.
   *
   * @param endsAtMs performance.now() at which it fails. Default: after the pool's timeout.
   */
  async use<T>(
    run: (session: Session) => Promise<T>,
    endsAtMs = performance.now() + this.#options.timeoutMs,
  ): Promise<T> {
    const connection = await this.#acquire(endsAtMs);
    try {
      return await run({
        facts: connection.facts,
        send: (statements) => connection.send(statements, Math.max(1, endsAtMs - performance.now())),
        remainingMs: () => endsAtMs - performance.now(),
        hasTimeForLock: () => endsAtMs - performance.now() > 1_000 * lockWaitSeconds(this.#options.timeoutMs),
        discard: () => connection.destroy(),
      });
    } catch (error) {
      // Where one answer does not come, the others will not, either: their sockets may be open at this end alone.
      if (error instanceof NoAnswer) for (const { connection: idle } of this.#idle.splice(0)) idle.destroy();
      throw toBusError(error, this.#options.where);
    } finally {
      this.#release(connection);
    }
  }

  /** What is still running fails. */
  close(): void {
    if (this.isClosed) return;
    this.#closing.abort();
    clearInterval(this.#idleTimer);
    this.#failWaiting(closed());
    for (const connection of [...this.#open]) connection.destroy();
  }

  #acquire(endsAtMs: number): Promise<MysqlConnection> {
    if (this.isClosed) return Promise.reject(closed());
    if (this.#away !== undefined) return Promise.reject(this.#away);
    const idle = this.#idle.pop();
    if (idle !== undefined) return Promise.resolve(idle.connection);
    if (this.#waiting.size >= this.#options.maxWaiting) {
      const message = `${this.#waiting.size} operations wait for a connection already`;
      return Promise.reject(new BusError("OVERLOADED", message, { retryDelayMs: 100 }));
    }
    const wanted = new Promise<MysqlConnection>((take, failed) => {
      const end = <A>(outcome: (argument: A) => void) => {
        return (argument: A) => {
          clearTimeout(timer);
          this.#waiting.delete(waiter);
          outcome(argument);
        };
      };
      const waiter: Waiter = { take: end(take), failed: end(failed) };
      const timer = setTimeout(
        () =>
          waiter.failed(new BusError("STORAGE_UNAVAILABLE", `${this.#options.where}: no connection came free in time`)),
        Math.max(1, endsAtMs - performance.now()),
      );
      this.#waiting.add(waiter);
    });
    this.#grow();
    return wanted;
  }

  #grow(): void {
    while (this.#opening < this.#waiting.size && this.#open.size + this.#opening < this.#options.size) {
      void this.#openOne();
    }
  }

  async #openOne(): Promise<boolean> {
    this.#opening++;
    try {
      const connection = await this.#options.open();
      this.#opening--;
      if (this.isClosed) {
        connection.destroy();
        return false;
      }
      this.#cameBack();
      this.#adopt(connection);
      return true;
    } catch (error) {
      this.#opening--;
      if (!this.isClosed) this.#wentAway(error);
      return false;
    }
  }

  #adopt(connection: MysqlConnection): void {
    this.#facts = connection.facts;
    this.#open.add(connection);
    connection.onBroken = () => {
      this.#open.delete(connection);
      const at = this.#idle.findIndex((idle) => idle.connection === connection);
      if (at >= 0) this.#idle.splice(at, 1);
      if (this.isClosed) return;
      this.#grow();
      // Whether the server is still there must be known before somebody wants something of it.
      if (this.#open.size + this.#opening === 0 && this.#away === undefined) void this.#openOne();
    };
    this.#release(connection);
  }

  #release(connection: MysqlConnection): void {
    if (connection.isBroken) return;
    for (const waiter of this.#waiting) {
      waiter.take(connection);
      return;
    }
    this.#idle.push({ connection, sinceMs: performance.now() });
  }

  #closeIdle(): void {
    const before = performance.now() - MAX_IDLE_MS;
    while (this.#idle.length > 0 && this.#idle[0]!.sinceMs < before) this.#idle.shift()!.connection.destroy();
  }

  #wentAway(error: unknown): void {
    const said = toBusError(error, `${this.#options.where} cannot be used`);
    const failure = said instanceof BusError ? said : new BusError("STORAGE_UNAVAILABLE", describeError(error));
    const isNews = this.#away === undefined;
    this.#away = failure;
    this.#failWaiting(failure);
    if (!isNews) return;
    this.#options.log.warn({ problem: failure.message }, "the storage's server is away; trying again until it is back");
    void this.#comeBack();
  }

  async #comeBack(): Promise<void> {
    for (let backoffMs = FIRST_BACKOFF_MS; this.#away !== undefined; backoffMs *= 2) {
      const delayMs = Math.min(backoffMs, MAX_BACKOFF_MS) * (0.5 + Math.random() / 2);
      await pause(delayMs, undefined, { signal: this.#closing.signal, ref: false }).catch(() => {});
      if (this.isClosed || (await this.#openOne())) return;
    }
  }

  #cameBack(): void {
    if (this.#away === undefined) return;
    this.#away = undefined;
    this.#options.log.info({}, "the storage's server is back");
    for (const listener of this.#recovered) listener();
  }

  #failWaiting(error: BusError): void {
    for (const waiter of [...this.#waiting]) waiter.failed(error);
  }
}

function closed(): BusError {
  return new BusError("STORAGE_UNAVAILABLE", "the storage was closed");
}
