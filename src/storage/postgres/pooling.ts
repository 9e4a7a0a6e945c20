import { randomBytes } from "node:crypto";
import pg from "pg";
import { BusError } from "../../core/errors.ts";
import { destroy } from "./database.ts";
import type { ResolvedPostgresOptions } from "./options.ts";
import { sqlState, toBusError, UnusableServer } from "./postgres-errors.ts";

/**
 * How long a connection of ours keeps its session in the server: always ("direct": nothing is between, or nothing that
 * shows), as long as it is open ("session"), or for one transaction or statement, because a pooler lends it another
 * session each time.
 */
export type PoolMode = "direct" | "session" | "transaction" | "statement";

export interface Pooling {
  readonly mode: PoolMode;
  /** A statement that was prepared once can be run again, whatever session is lent. */
  readonly keepsPrepared: boolean;
}

/** What the inspection needs of a connection. */
export type InspectedClient = Pick<pg.Client, "query" | "end"> & {
  /** The process that the other side named when it greeted: of the server, or made up by a pooler. */
  readonly processID?: number | null;
};

const BACKEND = "SELECT pg_backend_pid() AS pid";
/** What PgBouncer says to a transaction in statement mode. */
const PROTOCOL_VIOLATION = "08P01";
const PREPARED_IS_LOST = new Set(["26000", "42P05"]);

/**
 * Finds out what a URL leads to. A pooler greets with a process of its own invention; then it is tried: while a second
 * connection is in a transaction, the first one must have kept the session that it had.
 *
 * A pooler in transaction mode that is busy with others may lend the same session again and pass for one in session mode:
 * the listening connection watches its session for as long as it lives, too.
 */
export async function inspectPooling(open: () => Promise<InspectedClient>): Promise<Pooling> {
  const first = await open();
  let second: InspectedClient | undefined;
  try {
    // A name that nobody has used: another program may have left its statements in the sessions that are lent.
    const ask = { name: `agentbus_${randomBytes(6).toString("hex")}`, text: BACKEND };
    const before = await backendOf(first, ask);
    if (before === first.processID) return { mode: "direct", keepsPrepared: true };
    second = await open();
    try {
      await second.query("BEGIN");
    } catch (error) {
      if (sqlState(error) === PROTOCOL_VIOLATION) return { mode: "statement", keepsPrepared: false };
      throw error;
    }
    const others = await backendOf(second, { text: BACKEND });
    let after: number;
    try {
      after = await backendOf(first, ask);
    } catch (error) {
      if (PREPARED_IS_LOST.has(sqlState(error) ?? "")) return { mode: "transaction", keepsPrepared: false };
      throw error;
    }
    await second.query("ROLLBACK");
    const isKept = after === before && others !== before;
    return { mode: isKept ? "session" : "transaction", keepsPrepared: true };
  } finally {
    // In statement mode the pooler has hung up.
    await Promise.allSettled([first.end(), second?.end()]);
  }
}

/** Throws UnusableServer, with what to do, when a URL of the storage leads to a pooler that the bus cannot work through. */
export async function checkPooling(options: ResolvedPostgresOptions): Promise<void> {
  const { url, listenUrl } = options;
  const pooling = await inspect(url, options);
  const fault = queryFault(pooling);
  if (fault !== undefined) throw new UnusableServer(fault);
  const listening = listenUrl === url ? pooling : await inspect(listenUrl, options);
  if (isKept(listening)) return;
  throw new UnusableServer(
    listenUrl === url
      ? `the URL leads to a pooler in ${listening.mode} mode, which loses LISTEN: ${ADVICE}, or give storage.postgres.listenUrl the URL of PostgreSQL itself`
      : `storage.postgres.listenUrl leads to a pooler in ${listening.mode} mode, which loses LISTEN: give it the URL of PostgreSQL itself`,
  );
}

const ADVICE = "set its pool_mode to session, or point the bus at PostgreSQL itself";

/** What keeps statements from being run through it; undefined: nothing. */
export function queryFault({ mode, keepsPrepared }: Pooling): string | undefined {
  if (mode === "statement")
    return `the URL leads to a pooler in statement mode, which takes no transactions: ${ADVICE}`;
  if (keepsPrepared) return undefined;
  return `the URL leads to a pooler in transaction mode that loses prepared statements: ${ADVICE}; or use PgBouncer 1.21 or newer with max_prepared_statements above 0, and storage.postgres.listenUrl`;
}

function isKept({ mode }: Pooling): boolean {
  return mode === "direct" || mode === "session";
}

async function inspect(url: string, { connectTimeoutMs, prefix }: ResolvedPostgresOptions): Promise<Pooling> {
  const opened = new Set<pg.Client>();
  let isLate = false;
  const patience = setTimeout(() => {
    isLate = true;
    for (const client of opened) destroy(client);
  }, connectTimeoutMs);
  const open = async () => {
    const client = new pg.Client({
      connectionString: url,
      connectionTimeoutMillis: connectTimeoutMs,
      application_name: `agentbus/${prefix}/opening`,
    });
    client.on("error", () => {}); // what is asked of it fails, too
    opened.add(client);
    await client.connect();
    return client;
  };
  try {
    return await inspectPooling(open);
  } catch (error) {
    if (!isLate) throw toBusError(error, "connecting");
    const silence =
      opened.size < 2
        ? "the server did not answer"
        : "its pool must have room for all connections of the bus: the pooler lent no second session";
    const message = `PostgreSQL, connecting: ${silence} within ${connectTimeoutMs} ms`;
    throw new BusError("STORAGE_UNAVAILABLE", message, { cause: error });
  } finally {
    clearTimeout(patience);
    for (const client of opened) destroy(client);
  }
}

async function backendOf(client: InspectedClient, query: { name?: string; text: string }): Promise<number> {
  const { rows } = await client.query<{ pid: number }>(query);
  return rows[0]!.pid;
}
