import net from "node:net";
import { type Connection, createConnection, type QueryError } from "mysql2";
import { NoAnswer, orWrongServer } from "./driver-errors.ts";
import type { ResolvedMysqlOptions } from "./options.ts";
import { READ_FACTS, readFacts, type ServerFacts } from "./server-facts.ts";
import { packetsOf } from "./sql-text.ts";

/** What one statement answered: rows, each an array in the order of its columns, or what it did. */
export type Answer = readonly (readonly unknown[])[] | { readonly affectedRows: number };

/** Rows of a SELECT. */
export function rowsOf<R extends readonly unknown[]>(answer: Answer | undefined): readonly R[] {
  if (!Array.isArray(answer)) throw new TypeError("the statement answered no rows");
  return answer as readonly R[];
}

export function affectedRows(answer: Answer | undefined): number {
  return answer !== undefined && "affectedRows" in answer ? answer.affectedRows : 0;
}

/** The kernel asks a peer that has said nothing for so long whether it is still there. */
const KEEP_ALIVE_MS = 10_000;
/**
 * The server closes a connection that says nothing for so long, and rolls back what it was in the middle of: a node that
 * was stopped while it held the lock of a log's row must not hold up all others.
 */
const SERVER_PATIENCE_SECONDS = 10;
/** The same inside a transaction, where the server can tell the two apart. */
const TRANSACTION_PATIENCE_SECONDS = 3;
/** Room for the packet's own few bytes. */
const PACKET_MARGIN = 1_024;

/** How long a statement waits for a row that somebody else has locked: twice fits an operation's time. */
export function lockWaitSeconds(timeoutMs: number): number {
  return Math.max(1, Math.floor(timeoutMs / 2_500));
}

/**
 * Settings that the statements rely on: no gap locks, text that is refused and never cut, a clock without daylight saving.
 */
function sessionSettings(facts: ServerFacts, timeoutMs: number): string[] {
  const lockSeconds = lockWaitSeconds(timeoutMs);
  const settings = [
    "sql_mode = 'STRICT_ALL_TABLES,NO_ENGINE_SUBSTITUTION'",
    "time_zone = '+00:00'",
    "autocommit = 1",
    `innodb_lock_wait_timeout = ${lockSeconds}`,
    `wait_timeout = ${SERVER_PATIENCE_SECONDS}`,
    ...(facts.hasTransactionTimeout ? [`idle_transaction_timeout = ${TRANSACTION_PATIENCE_SECONDS}`] : []),
  ];
  return [
    `SET ${settings.map((setting) => `SESSION ${setting}`).join(", ")}`,
    "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED",
  ];
}

/** One session on the server, for one user at a time. */
export class MysqlConnection {
  readonly #socket: net.Socket;
  readonly #driver: Connection;
  #facts: ServerFacts | undefined;
  #broken: Error | undefined;
  /** Rejects what waits for the server: the driver forgets some of it when the connection ends. */
  readonly #waiting = new Set<(error: Error) => void>();
  /** Called once, when the connection is lost or destroyed. */
  onBroken: () => void = () => {};

  /** Rejects with a driver's error, WrongServer or BusError. */
  static async open(options: ResolvedMysqlOptions): Promise<MysqlConnection> {
    const connection = new MysqlConnection(options);
    try {
      await connection.#greet(options.connectTimeoutMs);
      const [variables] = await connection.send([READ_FACTS], options.connectTimeoutMs);
      connection.#facts = readFacts(rowsOf<[string, string]>(variables));
      await connection.send(sessionSettings(connection.facts, options.timeoutMs), options.connectTimeoutMs);
      return connection;
    } catch (error) {
      connection.destroy();
      throw orWrongServer(error);
    }
  }

  private constructor({ address, tls, connectTimeoutMs }: ResolvedMysqlOptions) {
    const { host, port, user, password, database } = address;
    // A socket of our own: the driver ends sockets in good order, which takes for ever with a peer that is gone.
    this.#socket = net.connect({
      host,
      port,
      noDelay: true,
      keepAlive: true,
      keepAliveInitialDelay: KEEP_ALIVE_MS,
    });
    this.#driver = createConnection({
      stream: () => this.#socket,
      host,
      port,
      user,
      password,
      database,
      connectTimeout: connectTimeoutMs,
      charset: "utf8mb4",
      // Nothing is to be put into a statement any more: that is not even looked for.
      queryFormat: (statement: string) => statement,
      // Safe because no value can end its literal: see sql-text.ts.
      multipleStatements: true,
      rowsAsArray: true,
      supportBigNumbers: true,
      flags: ["-LOCAL_FILES"],
      ...(tls === undefined ? {} : { ssl: tls }),
    });
    const lost = (error?: Error) => this.#break(error ?? new Error("the server closed the connection"));
    this.#driver.on("error", lost);
    this.#driver.on("end", () => lost());
    this.#socket.on("close", () => lost());
  }

  get facts(): ServerFacts {
    return this.#facts!;
  }

  get isBroken(): boolean {
    return this.#broken !== undefined;
  }

  /**
   * Sends statements in one packet, in one round trip (or a few, when they are larger than a packet may be). The first one
   * that fails ends the packet: those behind it do not run. Rejects with NoAnswer, the connection destroyed, when the
   * answer takes longer than `timeoutMs`.
   */
  async send(statements: readonly string[], timeoutMs: number): Promise<readonly Answer[]> {
    const maxBytes = this.#facts === undefined ? Number.POSITIVE_INFINITY : this.#facts.maxPacketBytes - PACKET_MARGIN;
    const answers: Answer[] = [];
    for (const packet of packetsOf(statements, maxBytes)) answers.push(...(await this.#sendPacket(packet, timeoutMs)));
    return answers;
  }

  destroy(): void {
    this.#break(new Error("the connection was closed"));
  }

  async #greet(timeoutMs: number): Promise<void> {
    await this.#withTimeout(timeoutMs, "did not greet", (done, failed) => {
      this.#driver.connect((error) => (error ? failed(error) : done(undefined)));
    });
  }

  #sendPacket(statements: readonly string[], timeoutMs: number): Promise<readonly Answer[]> {
    return this.#withTimeout(timeoutMs, "did not answer", (done, failed) => {
      this.#driver.query(statements.join(";"), (error: QueryError | null, answer: unknown) => {
        if (error !== null) failed(error);
        else done((statements.length === 1 ? [answer] : answer) as readonly Answer[]);
      });
    });
  }

  #withTimeout<T>(
    timeoutMs: number,
    what: string,
    start: (done: (value: T) => void, failed: (error: Error) => void) => void,
  ): Promise<T> {
    return new Promise((resolve, reject) => {
      if (this.#broken !== undefined) {
        reject(this.#broken);
        return;
      }
      // The driver's own timeout leaves the connection as it is, with the answer still to come: whoever got it next would
      // wait behind that answer, inside somebody else's transaction.
      const timer = setTimeout(() => {
        const error = new NoAnswer(`the server ${what} within ${Math.round(timeoutMs)} ms`);
        this.#break(error);
        reject(error);
      }, timeoutMs);
      const settle = <A>(outcome: (argument: A) => void) => {
        return (argument: A) => {
          clearTimeout(timer);
          this.#waiting.delete(failed);
          outcome(argument);
        };
      };
      const failed = settle(reject);
      this.#waiting.add(failed);
      start(settle(resolve), failed);
    });
  }

  #break(error: Error): void {
    if (this.#broken !== undefined) return;
    this.#broken = error;
    this.#driver.destroy();
    this.#socket.destroy();
    for (const failed of this.#waiting) failed(error);
    this.onBroken();
  }
}
