import { StorageRegistry } from "./storage/factory.ts";
import { fileStorage } from "./storage/file/index.ts";
import { memoryStorage } from "./storage/memory/index.ts";
import type { StorageFactory } from "./storage/storage-adapter.ts";

/** The kinds of storage that come with the bus. A driver is loaded when a URL first asks for it. */
export function builtInStorages(): StorageRegistry {
  const registry = new StorageRegistry().register("memory", memoryStorage).register("file", fileStorage);
  for (const [schemes, factory] of REMOTE) {
    for (const scheme of schemes) registry.register(scheme, factory, { remote: true });
  }
  return registry;
}

const redis: StorageFactory = async (...args) => (await import("./storage/redis/index.ts")).redisStorage(...args);
const postgres: StorageFactory = async (...args) =>
  (await import("./storage/postgres/index.ts")).postgresStorage(...args);
const mysql: StorageFactory = async (...args) => (await import("./storage/mysql/index.ts")).mysqlStorage(...args);

const REMOTE: readonly (readonly [schemes: readonly string[], factory: StorageFactory])[] = [
  [["redis", "rediss", "redis+sentinel", "rediss+sentinel", "redis+cluster", "rediss+cluster"], redis],
  [["postgres", "postgresql"], postgres],
  [["mysql", "mariadb"], mysql],
];
