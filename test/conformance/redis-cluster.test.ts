import { randomBytes } from "node:crypto";
import type { Redis } from "ioredis";
import { afterAll, beforeAll, describe } from "vitest";
import { createRedisStorage } from "../../src/storage/redis/index.ts";
import { type RedisProcess, startCluster } from "../fault/redis-process.ts";
import { describeWithOwnServer } from "../support/server-process.ts";
import { describeDirectory } from "./directory.ts";
import { describeDoorbell } from "./doorbell.ts";
import { describeMessageLog } from "./message-log.ts";
import { type OpenStorage, testEnvironment } from "./opened-storage.ts";
import { describeRelay } from "./relay.ts";
import { PATIENT } from "./served-storage.ts";
import { describeShared } from "./shared.ts";

// A cluster refuses every step whose keys are not on one server: the whole suite shows that none needs two.
await describeWithOwnServer("redis", () => {
  describe("a cluster of three masters", () => {
    let nodes: readonly RedisProcess[] = [];
    beforeAll(async () => {
      nodes = await startCluster();
    });
    afterAll(() => Promise.all(nodes.map(({ stop }) => stop())));

    const open: OpenStorage = async () => {
      const { environment: local, advance } = testEnvironment();
      const environment = { ...local, storeClock: local.now };
      const prefix = `test-${randomBytes(6).toString("hex")}`;
      const url = `redis+cluster://${nodes.map(({ port }) => `127.0.0.1:${port}`).join(",")}`;
      const node = () => createRedisStorage(url, { prefix, ...PATIENT }, environment);
      let [newest, other] = await Promise.all([node(), node()]);
      return {
        storage: newest,
        other,
        advance,
        async reopen() {
          await newest.close();
          newest = await node();
          return newest;
        },
        async dispose() {
          await Promise.all([newest.close(), other.close()]);
          await Promise.all(nodes.map(({ client }) => removeKeys(client, prefix)));
        },
      };
    };

    describeMessageLog("S1-4.1c redis cluster", open);
    describeDirectory("S1-4.1c redis cluster", open);
    describeDoorbell("S1-4.1c redis cluster", open);
    describeRelay("S1-4.1c redis cluster", open);
    describeShared("S1-4.1c redis cluster", open);
  });
});

async function removeKeys(client: Redis, prefix: string): Promise<void> {
  for await (const keys of client.scanStream({ match: `{${prefix}*`, count: 1_000 })) {
    for (const key of keys as string[]) await client.unlink(key);
  }
}
