import type { ClientBase } from "pg";
import { BusError } from "../../core/errors.ts";
import type { Durability } from "../../core/room.ts";
import { UnusableServer } from "./postgres-errors.ts";

export const OLDEST_VERSION = 130_000;

/** What a new connection finds out about its server. */
export interface ServerFacts {
  readonly durability: Durability;
  /** The server's clock, and how long asking took. */
  readonly clockMs: number;
  readonly tookMs: number;
  /** The server's process that serves the connection. Another one later: a pooler has lent it another session. */
  readonly serverProcess: number;
}

/**
 * In a statement's list: its commit is not waited for, which is for rings and packets, whose loss costs nothing. For the
 * one transaction, never for the session: a pooler would lend that to somebody whose commits count.
 */
export const CARELESS = "set_config('synchronous_commit', 'off', true)";

interface FactsRow {
  readonly version: number;
  readonly encoding: string;
  readonly in_recovery: boolean;
  readonly fsync: string;
  readonly synchronous_commit: string;
  readonly standbys: string;
  readonly clock: number;
  readonly process: number;
}

const PREPARE_SESSION = `
  SELECT current_setting('server_version_num')::int AS version, current_setting('server_encoding') AS encoding,
         pg_is_in_recovery() AS in_recovery, current_setting('fsync') AS fsync,
         current_setting('synchronous_commit') AS synchronous_commit,
         current_setting('synchronous_standby_names') AS standbys,
         floor(extract(epoch FROM clock_timestamp()) * 1000)::bigint AS clock,
         pg_backend_pid() AS process,
         set_config('default_transaction_isolation', 'read committed', false),
         set_config('statement_timeout', $1, false),
         set_config('idle_in_transaction_session_timeout', $1, false),
         set_config('tcp_keepalives_idle', '10', false),
         set_config('tcp_keepalives_interval', '5', false),
         set_config('tcp_keepalives_count', '3', false),
         set_config('bytea_output', 'hex', false),
         set_config('jit', 'off', false),
         set_config('max_parallel_workers_per_gather', '0', false)`;

/**
 * Makes a fresh connection ours. The server ends what runs longer than we wait, and transactions of a node that froze in
 * the middle, so that nobody waits for their locks. Throws STORAGE_UNAVAILABLE for a server that does not write.
 */
export async function prepareSession(client: ClientBase, timeoutMs: number): Promise<ServerFacts> {
  const startedAt = performance.now();
  const { rows } = await client.query<FactsRow>(PREPARE_SESSION, [`${timeoutMs}`]);
  const tookMs = performance.now() - startedAt;
  const row = rows[0]!;
  if (row.version < OLDEST_VERSION) {
    throw new UnusableServer(`PostgreSQL ${row.version / 10_000} is too old: 13 or newer is needed`);
  }
  if (row.encoding !== "UTF8") {
    throw new UnusableServer(`the database's encoding is ${row.encoding}; create one with ENCODING 'UTF8'`);
  }
  if (row.in_recovery) {
    throw new BusError("STORAGE_UNAVAILABLE", "PostgreSQL is a standby or still recovers: it takes no writes");
  }
  return { durability: durabilityOf(row), clockMs: row.clock, tookMs, serverProcess: row.process };
}

/** `local` does not wait for the standbys that somebody asked for: after a fail-over, what was answered may be missing. */
function durabilityOf({ fsync, synchronous_commit, standbys }: FactsRow): Durability {
  if (fsync !== "on" || synchronous_commit === "off") return "STORED";
  return synchronous_commit === "local" && standbys !== "" ? "STORED" : "SYNCED";
}
