import { SeenEnds } from "../seen-ends.ts";
import type { StorageAdapter, StorageEnvironment, StorageFactory } from "../storage-adapter.ts";
import { MysqlConnection } from "./connection.ts";
import { ConnectionPool } from "./connection-pool.ts";
import { toBusError, WrongServer } from "./driver-errors.ts";
import { KeyWindow } from "./key-window.ts";
import { MysqlDirectory } from "./mysql-directory.ts";
import { MysqlDoorbell } from "./mysql-doorbell.ts";
import { MysqlMessageLog } from "./mysql-message-log.ts";
import { resolveMysqlOptions } from "./options.ts";
import { prepareSchema, tablesOf } from "./schema.ts";
import { StoreClock } from "./store-clock.ts";
import { sweep } from "./sweeper.ts";

export type { MysqlStorageOptions, TlsMode } from "./options.ts";

/**
 * A storage on MySQL (8.0.1 or newer) or MariaDB (10.6 or newer) that several nodes may share.
 *
 * @param url mysql://user:password@host:port/database, or mariadb://. `?ssl-mode=`, `ssl-ca`, `ssl-cert` and `ssl-key` may
 *   stand in it as well as in the options.
 * @throws BusError STORAGE_UNAVAILABLE when the server does not answer, or takes no writes now: try again later. Error for
 *   what somebody has to change first.
 */
export const mysqlStorage: StorageFactory = (url, options, environment) =>
  createMysqlStorage(url, options, environment);

export async function createMysqlStorage(
  url: string,
  options: Readonly<Record<string, unknown>>,
  environment: StorageEnvironment,
): Promise<StorageAdapter> {
  const resolved = resolveMysqlOptions(url, options);
  const { address, prefix, timeoutMs, poolSize, maxWaiting, maxGroupRecords, maxPendingBytes, dedupKeys } = resolved;
  const { pollMs: minWaitMs } = resolved;
  const where = `MySQL at ${address.host}:${address.port}`;
  const open = () => MysqlConnection.open(resolved);
  const first = await open().catch((error: unknown) => {
    throw atStart(error, where);
  });
  const pool = new ConnectionPool({ size: poolSize, maxWaiting, timeoutMs, where, open, log: environment.log }, first);
  const tables = tablesOf(prefix);
  const clock = new StoreClock(environment);
  const seen = new SeenEnds();
  const doorbell = new MysqlDoorbell({ pool, tables, clock, seen, log: environment.log, minWaitMs });
  try {
    const applied = await prepareSchema(pool, address.database, prefix);
    if (applied.length > 0) environment.log.info({ versions: applied, prefix }, "the storage's tables were made");
    await doorbell.start();
  } catch (error) {
    pool.close();
    throw atStart(error, where);
  }
  environment.log.info({ server: pool.facts.version, durability: pool.facts.durability }, `storage on ${where}`);

  const { randomEpoch } = environment;
  const log = new MysqlMessageLog(
    { pool, tables, clock, randomEpoch, rings: doorbell, seen, keys: new KeyWindow(tables, dedupKeys, randomEpoch) },
    { maxGroupRecords, maxPendingBytes },
  );
  const directory = new MysqlDirectory(pool, tables, clock);
  return {
    kind: "mysql",
    get capabilities() {
      return { durable: true, shared: true, durability: pool.facts.durability, notifies: false };
    },
    log,
    directory,
    doorbell,
    now: () => clock.now(),
    problem: () => pool.problem,
    sweep: () => sweep({ pool, tables, clock, directory }),
    async close() {
      await log.settled();
      await doorbell.close();
      pool.close();
    },
  };
}

function atStart(error: unknown, where: string): unknown {
  return error instanceof WrongServer ? new Error(`${where}: ${error.message}`) : toBusError(error, where);
}
