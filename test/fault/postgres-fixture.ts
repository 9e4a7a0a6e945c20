import pg from "pg";
import { createPostgresStorage, type PostgresStorageOptions } from "../../src/storage/postgres/index.ts";
import type { StartServer } from "../support/server-process.ts";
import { waitUntil } from "../support/wait.ts";
import { type Backend, type FaultyBackend, TIMEOUT_MS, useBackend } from "./shared/backend.ts";

/** What does not answer a heartbeat before the next one is gone. */
const IMPATIENT = { heartbeatMs: 500, timeoutMs: TIMEOUT_MS, connectTimeoutMs: TIMEOUT_MS };

export interface PostgresBackend extends FaultyBackend, Backend<PostgresStorageOptions> {
  open: Backend<PostgresStorageOptions>["open"];
  openAt: Backend<PostgresStorageOptions>["openAt"];
  /** Behind the adapter's back. `s.` in the text stands for the schema, which is named as the prefix. */
  tamper<R extends pg.QueryResultRow>(text: string): Promise<readonly R[]>;
}

export function usePostgres(start: StartServer): PostgresBackend {
  const backend = useBackend<PostgresStorageOptions>({
    start,
    open: (url, options, environment) => createPostgresStorage(url, options, environment),
  });

  async function tamper<R extends pg.QueryResultRow>(text: string): Promise<readonly R[]> {
    const client = new pg.Client({ connectionString: backend.url() });
    client.on("error", () => {});
    await client.connect();
    try {
      return (await client.query<R>(text.replaceAll(/\bs\./g, `"${backend.prefix}".`))).rows;
    } finally {
      await client.end();
    }
  }

  return Object.assign(backend, {
    product: "PostgreSQL",
    knowsOlderRows: true,
    mergesRings: true,
    tamper,
    openImpatient: (port?: number) => backend.open(IMPATIENT, port),
    openSingle: (port: number) => backend.open({ ...IMPATIENT, maxConnections: 1 }, port),
    openNarrow: () => backend.open(),
    async fill() {
      await tamper(`
        CREATE FUNCTION s.full_disk() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN RAISE EXCEPTION 'could not extend file: No space left on device' USING ERRCODE = '53100'; END $$;
        CREATE TRIGGER full_disk BEFORE INSERT ON s.entry EXECUTE FUNCTION s.full_disk();
        CREATE TRIGGER full_disk BEFORE INSERT ON s.record EXECUTE FUNCTION s.full_disk()`);
      return () => tamper("DROP FUNCTION s.full_disk CASCADE");
    },
    async breakAppends() {
      await tamper("ALTER TABLE s.entry ADD CONSTRAINT broken CHECK (sequence < 0)");
      return /"broken"/;
    },
    async loseTail(head: number) {
      await tamper(`DELETE FROM s.entry WHERE sequence > ${head}`);
      await tamper(`DELETE FROM s.idempotency_key WHERE sequence > ${head}`);
      const bytes = `SELECT max(end_bytes) FROM s.entry WHERE sequence <= ${head}`;
      await tamper(`UPDATE s.log SET head = ${head}, end_bytes = (${bytes})`);
    },
    async save() {
      const tables = ["log", "epoch_link", "entry", "idempotency_key"];
      for (const table of tables) await tamper(`CREATE TABLE s.saved_${table} AS TABLE s.${table}`);
      return () =>
        tamper(
          tables
            .map(
              (table) =>
                `DELETE FROM s.${table}; INSERT INTO s.${table} OVERRIDING SYSTEM VALUE TABLE s.saved_${table};`,
            )
            .join(" "),
        );
    },
    async setDurability(level: "STORED" | "SYNCED") {
      const set = async (value: "on" | "off") => {
        await tamper(`ALTER SYSTEM SET synchronous_commit = ${value}`);
        await tamper("SELECT pg_reload_conf()");
        const shown = "SHOW synchronous_commit";
        await waitUntil(
          async () => (await tamper<{ synchronous_commit: string }>(shown))[0]!.synchronous_commit === value,
        );
      };
      backend.after(() => set("on"));
      await set(level === "SYNCED" ? "on" : "off");
    },
    async dataFolder() {
      return (await tamper<{ data_directory: string }>("SHOW data_directory"))[0]!.data_directory;
    },
    async markNewer() {
      await tamper("INSERT INTO s.migration (version) VALUES (99)");
    },
    layout: () => tamper("SELECT version FROM s.migration ORDER BY version"),
    async removeAll() {
      await tamper(`DROP SCHEMA "${backend.prefix}" CASCADE`);
    },
    async changeBody(sequence: number) {
      await tamper(`UPDATE s.entry SET body = body || 'x' WHERE sequence = ${sequence}`);
    },
    async remove(first: number, last: number) {
      await tamper(`DELETE FROM s.entry WHERE sequence BETWEEN ${first} AND ${last}`);
    },
    async changeRoom(id: string, part: "value" | "version") {
      const change = part === "value" ? "value = replace(value, 'a room', 'A room')" : "version = version + 1";
      await tamper(`UPDATE s.record SET ${change} WHERE kind = 'room' AND id = '${id}'`);
    },
  });
}
