import assert from "node:assert/strict";
import { once } from "node:events";
import { rmSync } from "node:fs";
import { describe, it } from "vitest";
import { parseRedisAddress } from "../../src/storage/redis/redis-address.ts";
import { RedisConnection } from "../../src/storage/redis/redis-connection.ts";
import { resolveRedisOptions } from "../../src/storage/redis/redis-options.ts";
import type { StorageLogger } from "../../src/storage/storage-adapter.ts";
import { append, batch, INCARNATION, isBusError, NAME, readAll, record, records } from "../conformance/appending.ts";
import { describeWithOwnServer } from "../support/server-process.ts";
import { openRedis, useRedis } from "./redis-fixture.ts";
import { startRedis } from "./redis-process.ts";
import { realTime, TIMEOUT_MS } from "./shared/backend.ts";
import { eventually, isInTrouble, unavailable } from "./shared/recovery.ts";

async function failureOf(opening: Promise<unknown>): Promise<Error> {
  try {
    await opening;
  } catch (error) {
    return error as Error;
  }
  assert.fail("it was opened");
}

await describeWithOwnServer("redis", (start) => {
  describe("redis: states and settings of the server", () => {
    const redis = useRedis(start);

    async function own(...settings: readonly string[]) {
      const server = await startRedis(...settings);
      redis.after(server.stop);
      return server;
    }

    it("STORED and SYNCED are what the server's settings say, also when they change", async () => {
      const storage = await redis.open();
      assert.equal(storage.capabilities.durability, "SYNCED");
      const client = redis.client();
      redis.after(() => client.config("SET", "appendfsync", "always"));
      await client.config("SET", "appendfsync", "everysec");
      await eventually(() => storage.capabilities.durability === "STORED", "STORED");
      await client.config("SET", "appendfsync", "always", "no-appendfsync-on-rewrite", "yes");
      const second = await redis.open();
      assert.equal(second.capabilities.durability, "STORED");
      await client.config("SET", "no-appendfsync-on-rewrite", "no");
      await eventually(() => storage.capabilities.durability === "SYNCED", "SYNCED");
    });

    it("says once when the server keeps nothing over its restart", async () => {
      const server = await own();
      const warnings: string[] = [];
      const log: StorageLogger = { info() {}, error() {}, warn: (_fields, text) => void warnings.push(text) };
      const storage = await redis.open({}, server.port, { log });
      assert.equal(warnings.filter((text) => text.includes("appendonly")).length, 1);
      assert.equal(storage.capabilities.durability, "STORED");
    });

    it("memory that is full refuses messages and stores nothing of them; reading and deleting go on", async () => {
      const server = await own();
      const storage = await redis.open({}, server.port);
      await storage.log.create(NAME, INCARNATION, 1);
      await append(storage.log, records(3));
      await storage.directory.put({ kind: "room", parent: "", id: "a" }, {});
      await server.client.config("SET", "maxmemory", "1mb");
      const full = isBusError("STORAGE_FULL");
      const refused = record();
      await assert.rejects(async () => storage.log.append(batch([refused])), full);
      await assert.rejects(storage.directory.put({ kind: "room", parent: "", id: "b" }, {}), full);
      assert.equal((await readAll(storage.log)).length, 3);
      assert.equal((await storage.log.trim(NAME, { maxAgeMs: 0, maxMessages: 1, maxBytes: 0 })).floor, 3);
      assert.equal(await storage.directory.delete({ kind: "room", parent: "", id: "a" }), true);
      await server.client.config("SET", "maxmemory", "0");
      const [entry] = await append(storage.log, [refused]);
      assert.deepEqual([entry!.sequence, entry!.duplicate], [4, false]);
      await server.client.config("SET", "maxmemory", "1mb");
      await storage.log.delete(NAME, INCARNATION);
      assert.equal(await storage.log.state(NAME), undefined);
    });

    it("a disk that takes nothing refuses messages, says why, and heals", async () => {
      const server = await own("--stop-writes-on-bgsave-error", "yes");
      const storage = await redis.open({}, server.port);
      await storage.log.create(NAME, INCARNATION, 1);
      const folder = ((await server.client.config("GET", "dir")) as string[])[1]!;
      await server.client.config("SET", "save", "3600 1000000");
      rmSync(folder, { recursive: true });
      await server.client.bgsave();
      const persistence = async () => await server.client.info("persistence");
      await eventually(
        async () => (await persistence()).includes("rdb_last_bgsave_status:err"),
        "the snapshot to fail",
      );
      await assert.rejects(
        async () => storage.log.append(batch(records(1))),
        (error: Error) => {
          return unavailable(error) && /cannot write to its disk/.test(error.message);
        },
      );
      await eventually(() => storage.problem()?.includes("snapshot"), "the storage to say why");
      await server.client.config("SET", "save", "");
      await append(storage.log, records(1));
    });

    it("a replica is refused at the start and while running", async () => {
      const server = await own();
      const storage = await redis.open({}, server.port);
      await storage.log.create(NAME, INCARNATION, 1);
      await server.client.replicaof("127.0.0.1", redis.server.port);
      const replication = async () => await server.client.info("replication");
      await eventually(async () => (await replication()).includes("master_link_status:up"), "the replica to follow");
      await assert.rejects(async () => storage.log.append(batch(records(1))), unavailable);
      await isInTrouble(storage);
      await assert.rejects(redis.open({}, server.port), unavailable);
    });

    it("settings under which messages would be lost are refused, with what to do", async () => {
      const server = await own("--maxmemory-policy", "allkeys-lru");
      const error = await failureOf(redis.open({}, server.port));
      assert.equal(unavailable(error), false);
      assert.match(error.message, /maxmemory-policy is allkeys-lru.*noeviction/);
      await server.client.config("SET", "maxmemory-policy", "noeviction");
      const storage = await redis.open({}, server.port);
      await server.client.config("SET", "maxmemory-policy", "volatile-lru");
      await eventually(() => storage.problem()?.includes("noeviction"), "the storage to say why");
    });

    it("a driver that gave up is told to connect again", async () => {
      // It does so when sentinels tell of a fail-over while it connects; disconnect() leaves it the same way.
      const options = resolveRedisOptions({ prefix: redis.prefix, timeoutMs: TIMEOUT_MS });
      const connection = new RedisConnection(parseRedisAddress(redis.url()), options, realTime());
      redis.after(() => connection.close());
      await connection.open();
      for (let time = 1; time <= 2; time++) {
        const ended = once(connection.client, "end");
        connection.client.disconnect();
        await ended;
        await eventually(() => connection.problem() === undefined, "the connection to be back");
      }
    });

    // The driver went on in database 0 and said nothing: two buses that were to be apart were one.
    it("a database that the server has not is refused", async () => {
      const server = await own("--databases", "4");
      const open = (database: number) => openRedis(`redis://127.0.0.1:${server.port}/${database}`);
      const error = await failureOf(open(4));
      assert.equal(unavailable(error), false);
      assert.match(error.message, /database 4: ERR DB index is out of range; .*prefix/);
      const storage = await open(3);
      await storage.close();
    });

    it("what is said of a server that is away is no riddle of the driver", async () => {
      const server = await own();
      const warnings: string[] = [];
      const log: StorageLogger = { info() {}, error() {}, warn: (_fields, text) => void warnings.push(text) };
      const storage = await redis.open({}, server.port, { log });
      await server.stop();
      await eventually(() => storage.problem() !== undefined, "the loss to be noticed");
      for (let attempts = 0; attempts < 5; attempts++) {
        const error = await failureOf(storage.log.state(NAME));
        assert.equal(error.message, "Redis does not answer: it cannot be reached");
      }
      // The connection that listens may have been the first to notice.
      const told = () => warnings.filter((text) => text.startsWith("Redis is away")).length;
      await eventually(() => told() > 0, "the loss to be told");
      assert.equal(told(), 1, warnings.join("\n"));
    });

    it("a wrong password is told without the password, and waiting is no use", async () => {
      const server = await own();
      await server.client.call("ACL", "SETUSER", "bus", "on", ">right", "~*", "&*", "+@all");
      const open = (user: string) => openRedis(`redis://${user}@127.0.0.1:${server.port}`);
      const error = await failureOf(open("bus:s3cret"));
      assert.equal(unavailable(error), false);
      assert.match(error.message, /user and password/);
      assert.doesNotMatch(`${error.stack} ${JSON.stringify(error)}`, /s3cret/);
      const storage = await open("bus:right");
      await storage.close();
    });
  });
});
