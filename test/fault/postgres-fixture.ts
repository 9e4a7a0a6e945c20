import pg from "pg";
import { createPostgresStorage, type PostgresStorageOptions } from "../../src/storage/postgres/index.ts";
import type { StartServer } from "../support/server-process.ts";
import { waitUntil } from "../support/wait.ts";
import { type Backend, type FaultyBackend, useBackend } from "./shared/backend.ts";

const HEARTBEAT_MS = 200;

export interface PostgresBackend extends FaultyBackend, Backend<PostgresStorageOptions> {
  open: Backend<PostgresStorageOptions>["open"];
  openAt: Backend<PostgresStorageOptions>["openAt"];
  /** Behind the adapter's back. `s.` in the text stands for the schema, which is named as the prefix. */
  tamper<R extends pg.QueryResultRow>(text: string): Promise<readonly R[]>;
}

export function usePostgres(start: StartServer): PostgresBackend {
  const backend = useBackend<PostgresStorageOptions>({
    start,
    open: (url, options, environment) => {
      return createPostgresStorage(url, { heartbeatMs: HEARTBEAT_MS, ...options }, environment);
    },
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
    mergesRings: true,
    tamper,
    openSingle: (port: number) => backend.open({ maxConnections: 1 }, port),
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
  });
}
