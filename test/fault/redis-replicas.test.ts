import assert from "node:assert/strict";
import { describe, it } from "vitest";
import { append, batch, INCARNATION, NAME, records } from "../conformance/appending.ts";
import { describeWithOwnServer } from "../support/server-process.ts";
import { openTcpProxy } from "../support/tcp-proxy.ts";
import { useRedis } from "./redis-fixture.ts";
import { type RedisProcess, startRedis } from "./redis-process.ts";
import { expectNewEpochFrom } from "./shared/life.ts";
import { appendWhenBack, eventually } from "./shared/recovery.ts";

await describeWithOwnServer("redis", (start) => {
  describe("redis: replicas", () => {
    const redis = useRedis(start);

    /** A master and its replica, and a node whose connections go wherever the proxy points. */
    async function replicated() {
      const [a, b] = await Promise.all([startRedis(), startRedis()]);
      for (const { stop } of [a, b]) redis.after(stop);
      await follow(b, a);
      const proxy = await openTcpProxy({ targetPort: a.port });
      redis.after(() => proxy.close());
      const storage = await redis.open({}, proxy.port);
      await storage.log.create(NAME, INCARNATION, 1);
      await append(storage.log, records(3));
      await eventually(
        async () => (await b.client.hget(redis.key("log"), "head")) === "3",
        "the replica to have it all",
      );
      return { a, b, proxy, storage };
    }

    async function follow(replica: RedisProcess, master: RedisProcess): Promise<void> {
      await replica.client.replicaof("127.0.0.1", master.port);
      const replication = async () => await replica.client.info("replication");
      await eventually(async () => (await replication()).includes("master_link_status:up"), "the replica to follow");
    }

    it("a fail-over to a replica that lacks the end begins a new epoch there", async () => {
      const { b, proxy, storage } = await replicated();
      await b.client.replicaof("NO", "ONE");
      await append(storage.log, records(2)); // only the old master has these
      proxy.retarget(b.port);
      proxy.cutAll();
      await appendWhenBack(storage, "anew");
      assert.equal((await storage.log.state(NAME))!.head, 4);
      await expectNewEpochFrom(4, storage);
    });

    it("a master that was demoted, lost its end and came back without a restart is noticed", async () => {
      const { a, b, storage } = await replicated();
      await b.client.replicaof("NO", "ONE");
      await append(storage.log, records(2));
      await follow(a, b); // its run id stays; its newest two messages are gone
      await assert.rejects(async () => storage.log.append(batch(records(1), { dedupWindowMs: 0 })), /is a replica/);
      await a.client.replicaof("NO", "ONE");
      await appendWhenBack(storage, "anew");
      assert.equal((await storage.log.state(NAME))!.head, 4);
      await expectNewEpochFrom(4, storage);
    });
  });
});
