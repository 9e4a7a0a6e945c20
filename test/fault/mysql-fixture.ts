import { randomBytes } from "node:crypto";
import { type Connection, createConnection } from "mysql2/promise";
import { afterAll, afterEach, beforeAll } from "vitest";
import { BackendServer } from "../../scripts/chaos/backend-server.ts";
import { BusError } from "../../src/core/errors.ts";
import { createMysqlStorage, type MysqlStorageOptions } from "../../src/storage/mysql/index.ts";
import type { StorageAdapter } from "../../src/storage/storage-adapter.ts";
import { batch, record } from "../conformance/appending.ts";
import { testEnvironment } from "../conformance/opened-storage.ts";
import { openTcpProxy, type TcpProxy } from "../support/tcp-proxy.ts";
import { waitUntil } from "../support/wait.ts";

export const TIMEOUT_MS = 1_000;
/** The server's own database would take no triggers. */
const DATABASE = "fault";

/** A MariaDB of the test file's own, fresh tables and a fresh proxy for each test, and everything closed at the end. */
export function useMysql() {
  let server: BackendServer;
  let prefix = "";
  const closing: (() => Promise<unknown>)[] = [];

  beforeAll(async () => {
    server = await BackendServer.launch({ name: "mariadb", durability: "SYNCED" });
    const connection = await createConnection(server.kind.url("127.0.0.1", server.port));
    await connection.query(`CREATE DATABASE ${DATABASE}`);
    await connection.end();
  });
  afterAll(() => server?.discard());
  afterEach(async () => {
    for (const close of closing.splice(0).reverse()) await close();
    prefix = "";
  });

  const url = (port = server.port) => {
    const named = new URL(server.kind.url("127.0.0.1", port));
    named.pathname = `/${DATABASE}`;
    return named.href;
  };
  const admin = async (): Promise<Connection> => {
    const connection = await createConnection({ uri: url(), rowsAsArray: true });
    connection.on("error", () => {});
    return connection;
  };
  return {
    get server() {
      return server;
    },
    get prefix() {
      prefix ||= `fault_${randomBytes(6).toString("hex")}`;
      return prefix;
    },
    url,
    /** Another node of the bus that this test is about. */
    async open(options: MysqlStorageOptions = {}, port = server.port): Promise<StorageAdapter> {
      prefix ||= `fault_${randomBytes(6).toString("hex")}`;
      const { environment: moved } = testEnvironment();
      const environment = { ...moved, now: Date.now };
      const short = { timeoutMs: TIMEOUT_MS, connectTimeoutMs: TIMEOUT_MS };
      const storage = await createMysqlStorage(url(port), { prefix, ...short, ...options }, environment);
      closing.push(() => storage.close());
      return storage;
    },
    async proxy(): Promise<TcpProxy> {
      const proxy = await openTcpProxy({ targetPort: server.port });
      closing.push(() => proxy.close());
      return proxy;
    },
    /** A connection that goes around the adapter; `t_` in front of a table's name stands for the prefix. */
    async session(): Promise<(text: string) => Promise<readonly (readonly unknown[])[]>> {
      const connection = await admin();
      closing.push(() => connection.end());
      return async (text) => (await connection.query(text.replaceAll(/\bt_/g, `${prefix}_`)))[0] as unknown[][];
    },
    /** One statement behind the adapter's back. */
    async tamper(text: string): Promise<readonly (readonly unknown[])[]> {
      const connection = await admin();
      try {
        return (await connection.query(text.replaceAll(/\bt_/g, `${prefix}_`)))[0] as unknown[][];
      } finally {
        await connection.end();
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
