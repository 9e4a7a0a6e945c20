import { randomBytes } from "node:crypto";
import { Redis } from "ioredis";
import { afterAll, afterEach, beforeAll } from "vitest";
import { BusError } from "../../src/core/errors.ts";
import { createRedisStorage, type RedisStorageOptions } from "../../src/storage/redis/index.ts";
import type { StorageAdapter, StorageEnvironment } from "../../src/storage/storage-adapter.ts";
import { batch, record } from "../conformance/appending.ts";
import { testEnvironment } from "../conformance/opened-storage.ts";
import type { OwnServer, StartServer } from "../support/server-process.ts";
import { openTcpProxy, type TcpProxy } from "../support/tcp-proxy.ts";
import { waitUntil } from "../support/wait.ts";

const SHORT = { heartbeatMs: 200, timeoutMs: 1_000, connectTimeoutMs: 5_000 };

/** A storage on real time, with patience short enough for tests. */
export async function openRedis(
  url: string,
  options: RedisStorageOptions,
  over: Partial<StorageEnvironment> = {},
): Promise<StorageAdapter> {
  const { environment } = testEnvironment();
  return await createRedisStorage(url, { ...SHORT, ...options }, { ...environment, now: Date.now, ...over });
}

/** A Redis of the test file's own that syncs each write, and a fresh prefix for each test; everything closed at the end. */
export function useRedis(start: StartServer) {
  let server: OwnServer;
  let prefix = "";
  const closing: (() => unknown)[] = [];

  beforeAll(async () => {
    server = await start();
  });
  afterAll(() => server?.discard());
  afterEach(async () => {
    for (const close of closing.splice(0).reverse()) await close();
    prefix = "";
  });

  const url = (port = server.port) => `redis://127.0.0.1:${port}`;
  const redis = {
    get server() {
      return server;
    },
    get prefix() {
      prefix ||= `fault-${randomBytes(6).toString("hex")}`;
      return prefix;
    },
    url,
    /** Another node of the bus that this test is about. */
    async open(
      options: RedisStorageOptions = {},
      port = server.port,
      over: Partial<StorageEnvironment> = {},
    ): Promise<StorageAdapter> {
      const storage = await openRedis(url(port), { prefix: redis.prefix, ...options }, over);
      closing.push(() => storage.close());
      return storage;
    },
    async proxy(): Promise<TcpProxy> {
      const proxy = await openTcpProxy({ targetPort: server.port });
      closing.push(() => proxy.close());
      return proxy;
    },
    /** A client that acts behind the adapter's back. */
    client(port = server.port): Redis {
      const client = new Redis(port, "127.0.0.1");
      client.on("error", () => {});
      closing.push(() => client.disconnect());
      return client;
    },
    /** Runs when the test is over, last come first. */
    after(close: () => unknown): void {
      closing.push(close);
    },
  };
  return redis;
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
