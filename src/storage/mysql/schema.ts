import { createHash } from "node:crypto";
import { type Migration, type MigrationSession, migrate } from "../sql/migrations.ts";
import { rowsOf } from "./connection.ts";
import type { ConnectionPool, Session } from "./connection-pool.ts";
import { isMissingTable, NoAnswer, orWrongServer, WrongServer } from "./driver-errors.ts";
import { integer, text } from "./sql-text.ts";

/** Names of one bus's tables. */
export interface Tables {
  readonly schemaVersion: string;
  readonly log: string;
  readonly block: string;
  readonly deletedLog: string;
  readonly record: string;
  readonly recordParent: string;
  readonly ring: string;
  readonly serverLife: string;
}

/** `prefix` is checked: a-z 0-9 _. */
export function tablesOf(prefix: string): Tables {
  const name = (table: string) => `\`${prefix}_${table}\``;
  return {
    schemaVersion: name("schema_version"),
    log: name("log"),
    block: name("block"),
    deletedLog: name("deleted_log"),
    record: name("record"),
    recordParent: name("record_parent"),
    ring: name("ring"),
    serverLife: name("server_life"),
  };
}

/**
 * Names and texts are VARBINARY and BLOB: `Science` is not `science`, and no character set can change them. Times are
 * milliseconds since 1970. All numbers are signed, so that a difference below 0 is one.
 */
function migrationsOf(t: Tables): readonly Migration[] {
  const inno = "ENGINE=InnoDB ROW_FORMAT=DYNAMIC DEFAULT CHARACTER SET ascii";
  return [
    {
      version: 1,
      statements: [
        // epoch_links: 12 bytes a link, as log-row.ts packs them. epoch: of the newest one. total_bytes: of all bodies ever
        // stored; floor_bytes: of those below the floor; purged_to: what lies below is not only trimmed, but gone.
        `CREATE TABLE IF NOT EXISTS ${t.log} (
           name VARBINARY(320) NOT NULL,
           id BIGINT NOT NULL AUTO_INCREMENT,
           incarnation VARBINARY(128) NOT NULL,
           version BIGINT NOT NULL,
           fenced_at BIGINT NOT NULL DEFAULT 0,
           head BIGINT NOT NULL DEFAULT 0,
           floor_sequence BIGINT NOT NULL DEFAULT 1,
           purged_to BIGINT NOT NULL DEFAULT 1,
           total_bytes BIGINT NOT NULL DEFAULT 0,
           floor_bytes BIGINT NOT NULL DEFAULT 0,
           last_accepted_at BIGINT NOT NULL DEFAULT 0,
           server_life VARBINARY(64) NOT NULL,
           epoch BIGINT NOT NULL,
           epoch_links MEDIUMBLOB NOT NULL,
           PRIMARY KEY (name),
           UNIQUE KEY log_by_id (id)
         ) ${inno}`,
        // One row for the entries that were stored together, as block-codec.ts packs them. total_bytes: of all bodies up to
        // the block's last one. What is asked for most is in front, so that it stays in the row when the content does not.
        `CREATE TABLE IF NOT EXISTS ${t.block} (
           log_id BIGINT NOT NULL,
           last_sequence BIGINT NOT NULL,
           first_sequence BIGINT NOT NULL,
           epoch BIGINT NOT NULL,
           accepted_at BIGINT NOT NULL,
           total_bytes BIGINT NOT NULL,
           body_bytes BIGINT NOT NULL,
           idempotency_keys MEDIUMBLOB NOT NULL,
           id_prints MEDIUMBLOB NOT NULL,
           content LONGBLOB NOT NULL,
           PRIMARY KEY (log_id, last_sequence)
         ) ${inno}`,
        `CREATE TABLE IF NOT EXISTS ${t.deletedLog} (log_id BIGINT NOT NULL, PRIMARY KEY (log_id)) ${inno}`,
        // live_until: 0 for a record that was deleted and whose version is still known. forget_at: when a row may go.
        `CREATE TABLE IF NOT EXISTS ${t.record} (
           kind VARBINARY(128) NOT NULL,
           parent VARBINARY(768) NOT NULL,
           id VARBINARY(768) NOT NULL,
           version BIGINT NOT NULL,
           value LONGBLOB NULL,
           expires_at BIGINT NOT NULL,
           live_until BIGINT NOT NULL,
           checksum BIGINT NOT NULL,
           PRIMARY KEY (kind, parent, id),
           KEY record_by_life (kind, parent, live_until),
           KEY record_by_expiry (expires_at)
         ) ${inno}`,
        `CREATE TABLE IF NOT EXISTS ${t.recordParent} (
           kind VARBINARY(128) NOT NULL,
           parent VARBINARY(768) NOT NULL,
           records BIGINT NOT NULL,
           PRIMARY KEY (kind, parent)
         ) ${inno}`,
        `CREATE TABLE IF NOT EXISTS ${t.ring} (
           id BIGINT NOT NULL AUTO_INCREMENT,
           source BINARY(8) NOT NULL,
           rung_at BIGINT NOT NULL,
           content BLOB NOT NULL,
           PRIMARY KEY (id)
         ) ${inno}`,
        `CREATE TABLE IF NOT EXISTS ${t.serverLife} (
           server VARBINARY(400) NOT NULL,
           life BINARY(16) NOT NULL,
           PRIMARY KEY (server)
         ) ENGINE=MEMORY`,
      ],
    },
  ];
}

const LOCK_SECONDS = 30;

/** Brings the tables up to date. Throws WrongServer when they are a newer program's or the server refuses to make them. */
export async function prepareSchema(
  pool: ConnectionPool,
  database: string,
  prefix: string,
): Promise<readonly number[]> {
  const tables = tablesOf(prefix);
  const migrations = migrationsOf(tables);
  const where = `the schema of the tables ${prefix}_* in database ${database}`;
  // Tables of this size are made in seconds even where another node has to be waited for.
  const endsAtMs = performance.now() + 2 * LOCK_SECONDS * 1_000;
  return await pool.use(async (session) => {
    const migrating = sessionOf(session, tables);
    if ((await readVersion(session, tables)) === migrations.length) return [];
    // Names of locks have 64 characters at the most.
    const lock = text(`agentbus ${createHash("sha256").update(`${database} ${prefix}`).digest("hex").slice(0, 40)}`);
    const [taken] = await session.send([`SELECT GET_LOCK(${lock}, ${LOCK_SECONDS})`]);
    if (rowsOf<[number]>(taken)[0]?.[0] !== 1) throw new Error("another node prepares the tables for very long");
    try {
      return await migrate(migrating, migrations, where).catch((error: unknown) => {
        throw refusal(error);
      });
    } finally {
      await session.send([`SELECT RELEASE_LOCK(${lock})`]).catch(() => session.discard());
    }
  }, endsAtMs);
}

function sessionOf(session: Session, t: Tables): MigrationSession {
  return {
    version: () => readVersion(session, t),
    // Every CREATE commits by itself here. They bear to be run again, and the version is noted behind them.
    async apply({ version, statements }: Migration) {
      for (const statement of statements) await session.send([statement]);
      await session.send([
        `CREATE TABLE IF NOT EXISTS ${t.schemaVersion} (version INT NOT NULL PRIMARY KEY) ENGINE=InnoDB`,
        `INSERT IGNORE INTO ${t.schemaVersion} (version) VALUES (${integer(version)})`,
      ]);
    },
  };
}

/** Asks first and makes nothing: a user who may not make tables can use what is there. */
async function readVersion(session: Session, t: Tables): Promise<number> {
  try {
    const [answer] = await session.send([`SELECT COALESCE(MAX(version), 0) FROM ${t.schemaVersion}`]);
    return rowsOf<[number]>(answer)[0]![0];
  } catch (error) {
    if (isMissingTable(error)) return 0;
    throw error;
  }
}

/** migrate() refuses with a plain Error of its own; the driver's errors have a code. */
function refusal(error: unknown): unknown {
  const isOwn = error instanceof Error && !("code" in error) && !(error instanceof NoAnswer);
  return isOwn ? new WrongServer(error.message) : orWrongServer(error);
}
