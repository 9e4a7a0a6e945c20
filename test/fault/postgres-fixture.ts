import { randomBytes } from "node:crypto";
import pg from "pg";
import { afterAll, afterEach, beforeAll } from "vitest";
import { BusError } from "../../src/core/errors.ts";
import { createPostgresStorage, type PostgresStorageOptions } from "../../src/storage/postgres/index.ts";
import type { StorageAdapter } from "../../src/storage/storage-adapter.ts";
import { batch, record } from "../conformance/appending.ts";
import { testEnvironment } from "../conformance/opened-storage.ts";
import type { OwnServer, StartServer } from "../support/server-process.ts";
import { openTcpProxy, type TcpProxy } from "../support/tcp-proxy.ts";
import { waitUntil } from "../support/wait.ts";

export const HEARTBEAT_MS = 200;
export const TIMEOUT_MS = 1_000;

/** A PostgreSQL of the test file's own, a fresh schema and a fresh proxy for each test, and everything closed at the end. */
export function usePostgres(start: StartServer) {
  let server: OwnServer;
  let prefix = "";
  const closing: (() => Promise<unknown>)[] = [];

  beforeAll(async () => {
    server = await start();
  });
  afterAll(() => server?.discard());
  afterEach(async () => {
    for (const close of closing.splice(0).reverse()) await close();
    prefix = "";
  });

  const url = (port = server.port) => server.url.replace(`:${server.port}/`, `:${port}/`);
  return {
    get server() {
      return server;
    },
    get schema() {
      prefix ||= `fault_${randomBytes(6).toString("hex")}`;
      return prefix;
    },
    url,
    /** Another node of the bus that this test is about. */
    async open(options: PostgresStorageOptions = {}, port = server.port): Promise<StorageAdapter> {
      prefix ||= `fault_${randomBytes(6).toString("hex")}`;
      const { environment: moved } = testEnvironment();
      const environment = { ...moved, now: Date.now };
      const short = { heartbeatMs: HEARTBEAT_MS, timeoutMs: TIMEOUT_MS, connectTimeoutMs: TIMEOUT_MS };
      const storage = await createPostgresStorage(url(port), { prefix, ...short, ...options }, environment);
      closing.push(() => storage.close());
      return storage;
    },
    async proxy(): Promise<TcpProxy> {
      const proxy = await openTcpProxy({ targetPort: server.port });
      closing.push(() => proxy.close());
      return proxy;
    },
    /** The server's folder, for what only a file can tell it. */
    async dataFolder(): Promise<string> {
      const [row] = await this.tamper<{ data_directory: string }>("SHOW data_directory");
      return row!.data_directory;
    },
    /** Behind the adapter's back. `s.` in the text stands for the schema. */
    async tamper<R extends pg.QueryResultRow>(text: string): Promise<readonly R[]> {
      const client = new pg.Client({ connectionString: url() });
      client.on("error", () => {});
      await client.connect();
      try {
        return (await client.query<R>(text.replaceAll(/\bs\./g, `"${prefix}".`))).rows;
      } finally {
        await client.end();
      }
    },
  };
}

/** Appends one message until the storage takes it: from then on it works again. */
export async function appendWhenBack(storage: StorageAdapter, id: string): Promise<void> {
  await waitUntil(
    async () => {
      try {
        return (await storage.log.append(batch([record({ id })]))).kind === "appended";
      } catch (error) {
        if (error instanceof BusError && error.reason === "STORAGE_UNAVAILABLE") return false;
        throw error;
      }
    },
    { timeoutMs: 30_000, what: "the storage to take a message again" },
  );
}

/** Resolves at the next `missed` ring. */
export function nextMissed(storage: StorageAdapter): Promise<void> {
  return new Promise((resolve) => {
    const stop = storage.doorbell.listen(({ topic }) => {
      if (topic !== "missed") return;
      stop();
      resolve();
    });
  });
}
