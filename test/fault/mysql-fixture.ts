import { type Connection, createConnection } from "mysql2/promise";
import { createMysqlStorage, type MysqlStorageOptions } from "../../src/storage/mysql/index.ts";
import type { OwnServer, StartServer } from "../support/server-process.ts";
import { waitUntil } from "../support/wait.ts";
import { type Backend, type FaultyBackend, TIMEOUT_MS, useBackend } from "./shared/backend.ts";

/** The server's own database would take no triggers. */
const DATABASE = "fault";
const IMPATIENT = { timeoutMs: TIMEOUT_MS, connectTimeoutMs: TIMEOUT_MS };

type Rows = readonly (readonly unknown[])[];

export interface MysqlBackend extends FaultyBackend, Backend<MysqlStorageOptions> {
  open: Backend<MysqlStorageOptions>["open"];
  openAt: Backend<MysqlStorageOptions>["openAt"];
  /** A connection that goes around the adapter; `t_` in front of a table's name stands for the prefix. */
  session(): Promise<(text: string) => Promise<Rows>>;
  /** One statement behind the adapter's back. */
  tamper(text: string): Promise<Rows>;
}

export function useMysql(start: StartServer): MysqlBackend {
  const backend = useBackend<MysqlStorageOptions>({
    start,
    database: DATABASE,
    async prepare(server: OwnServer) {
      const connection = await createConnection(server.url);
      await connection.query(`CREATE DATABASE ${DATABASE}`);
      await connection.end();
    },
    open: (url, options, environment) => createMysqlStorage(url, { ...options }, environment),
  });

  const connect = async (): Promise<Connection> => {
    const connection = await createConnection({ uri: backend.url(), rowsAsArray: true });
    connection.on("error", () => {});
    return connection;
  };
  const query = async (connection: Connection, text: string) => {
    return (await connection.query(text.replaceAll(/\bt_/g, `${backend.prefix}_`)))[0] as unknown[][];
  };
  const tamper = async (text: string): Promise<Rows> => {
    const connection = await connect();
    try {
      return await query(connection, text);
    } finally {
      await connection.end();
    }
  };
  const session = async () => {
    const connection = await connect();
    backend.after(() => connection.end());
    return (text: string) => query(connection, text);
  };

  return Object.assign(backend, {
    product: "MySQL",
    knowsOlderRows: false,
    mergesRings: true,
    tamper,
    session,
    openImpatient: (port?: number) => backend.open(IMPATIENT, port),
    openSingle: (port: number) => backend.open({ ...IMPATIENT, poolSize: 1 }, port),
    openNarrow: () => backend.open(),
    async fill() {
      const full = "FOR EACH ROW SIGNAL SQLSTATE 'HY000' SET MYSQL_ERRNO = 1021";
      await tamper(`CREATE TRIGGER full_of_blocks BEFORE INSERT ON t_block ${full}`);
      await tamper(`CREATE TRIGGER full_of_records BEFORE INSERT ON t_record ${full}`);
      return async () => {
        await tamper("DROP TRIGGER full_of_blocks");
        await tamper("DROP TRIGGER full_of_records");
      };
    },
    async breakAppends() {
      await tamper("ALTER TABLE t_block DROP COLUMN id_prints");
      return /id_prints/;
    },
    async holdCommits() {
      // The answers to the statements before come through, those to the last one and to the commit do not.
      const gate = `'${backend.prefix}'`;
      const keeper = await session();
      await keeper(`SELECT GET_LOCK(${gate}, 0)`);
      await tamper(
        `CREATE TRIGGER held BEFORE INSERT ON t_ring FOR EACH ROW SET @ignored = GET_LOCK(${gate}, 100) + RELEASE_LOCK(${gate})`,
      );
      const held = "SELECT id FROM information_schema.processlist WHERE state = 'User lock'";
      return {
        begun: () =>
          waitUntil(async () => (await tamper(held)).length > 0, { what: "the last statement to be held up" }),
        async end() {
          await keeper(`SELECT RELEASE_LOCK(${gate})`);
          await tamper("DROP TRIGGER held"); // behind the commit
        },
      };
    },
    async loseTail(head: number) {
      await tamper(`DELETE FROM t_block WHERE last_sequence > ${head}`);
      const bytes = `SELECT MAX(total_bytes) FROM t_block WHERE last_sequence <= ${head}`;
      await tamper(`UPDATE t_log SET head = ${head}, total_bytes = (${bytes})`);
    },
    async save() {
      for (const table of ["log", "block"]) await tamper(`CREATE TABLE t_saved_${table} AS SELECT * FROM t_${table}`);
      return async () => {
        const load = await connect();
        try {
          await load.beginTransaction();
          for (const table of ["log", "block"]) {
            await query(load, `DELETE FROM t_${table}`);
            await query(load, `INSERT INTO t_${table} SELECT * FROM t_saved_${table}`);
          }
          await load.commit();
        } finally {
          await load.end();
        }
      };
    },
    async setDurability(level: "STORED" | "SYNCED") {
      const set = async (flush: number) => {
        await tamper(`SET GLOBAL innodb_flush_log_at_trx_commit = ${flush}`);
      };
      backend.after(() => set(1));
      await set(level === "SYNCED" ? 1 : 2);
    },
    async dataFolder() {
      return String((await tamper("SELECT @@datadir"))[0]![0]).replace(/\/$/, "");
    },
    async markNewer() {
      await tamper("INSERT INTO t_schema_version (version) VALUES (99)");
    },
    layout: () => tamper("SELECT version FROM t_schema_version ORDER BY version"),
    async removeAll() {
      const tables = (await tamper(`SHOW TABLES LIKE '${backend.prefix}%'`)).map(([name]) => name);
      await tamper(`DROP TABLE ${tables.join(", ")}`);
    },
    async changeBody(sequence: number) {
      const changed = `REPLACE(content, 'body of ${sequence}', 'Body of ${sequence}')`;
      await tamper(
        `UPDATE t_block SET content = ${changed} WHERE ${sequence} BETWEEN first_sequence AND last_sequence`,
      );
    },
    async remove(first: number, last: number) {
      await tamper(`DELETE FROM t_block WHERE first_sequence >= ${first} AND last_sequence <= ${last}`);
    },
    async changeRoom(id: string, part: "value" | "version") {
      const change = part === "value" ? "value = REPLACE(value, 'a room', 'A room')" : "version = version + 1";
      await tamper(`UPDATE t_record SET ${change} WHERE kind = 'room' AND id = '${id}'`);
    },
  });
}
