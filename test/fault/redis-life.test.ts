import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { rmSync } from "node:fs";
import { describe, it } from "vitest";
import { epochAt, placeReader } from "../../src/core/epoch-chain.ts";
import { newestEpoch } from "../../src/storage/epoch-links.ts";
import { append, INCARNATION, NAME, range, readAll, record, records, sequencesOf } from "../conformance/appending.ts";
import { describeWithOwnServer } from "../support/server-process.ts";
import { openTcpProxy } from "../support/tcp-proxy.ts";
import { waitUntil } from "../support/wait.ts";
import { appendWhenBack, useRedis } from "./redis-fixture.ts";
import { type RedisProcess, startRedis } from "./redis-process.ts";

await describeWithOwnServer("redis", (start) => {
  describe("redis: lives of the server", { timeout: 120_000 }, () => {
    const redis = useRedis(start);

    it("a restart keeps what was acknowledged, and what comes behind it has a new epoch", async () => {
      const storage = await redis.open();
      const first = await storage.log.create(NAME, INCARNATION, 1);
      const repeated = record();
      await append(storage.log, [...records(4), repeated]);
      await redis.server.end("SIGTERM");
      await redis.server.start();
      await appendWhenBack(storage, "behind");
      const { links, head } = (await storage.log.state(NAME))!;
      assert.equal(head, 6);
      assert.deepEqual(
        links.map((link) => link.first),
        [1, 6],
      );
      assert.equal(links[0]!.epoch, first.links[0]!.epoch);
      for (const entry of await readAll(storage.log)) assert.equal(entry.epoch, epochAt(links, entry.sequence));
      const [again] = await append(storage.log, [repeated]);
      assert.deepEqual([again!.sequence, again!.epoch, again!.duplicate], [5, links[0]!.epoch, true]);
    });

    it("S3-SC-003: a kill under load loses nothing that was acknowledged and leaves no hole", async () => {
      const storage = await redis.open();
      await storage.log.create(NAME, INCARNATION, 1);
      const acknowledged = new Map<number, string>();
      const publish = async () => {
        for (;;) {
          const message = record();
          const [entry] = await append(storage.log, [message]).catch(() => []);
          if (entry === undefined) return;
          acknowledged.set(entry.sequence, message.id);
        }
      };
      const publishing = range(1, 20).map(publish);
      await waitUntil(() => acknowledged.size > 2_000, { timeoutMs: 30_000 });
      await redis.server.end("SIGKILL");
      await Promise.all(publishing);
      await redis.server.start();
      await appendWhenBack(storage, "behind");
      const entries = await readAll(storage.log);
      assert.deepEqual(sequencesOf(entries), range(1, entries.length));
      const stored = new Map(entries.map(({ sequence, id }) => [sequence, id]));
      for (const [sequence, id] of acknowledged) assert.equal(stored.get(sequence), id);
      assert.equal(new Set(stored.values()).size, stored.size, "nothing twice");
    });

    it("a restored backup is noticed: numbers issued again have a new epoch, and readers learn of it", async () => {
      const storage = await redis.open();
      await storage.log.create(NAME, INCARNATION, 1);
      await append(storage.log, records(3));
      const folder = (await redis.client().config("GET", "dir"))[1]!;
      await redis.server.end("SIGTERM");
      copy(folder, `${folder}.backup`);
      redis.after(() => rmSync(`${folder}.backup`, { recursive: true, force: true }));
      await redis.server.start();
      await appendWhenBack(storage, "lost");
      await append(storage.log, records(4));
      const before = (await storage.log.state(NAME))!;
      assert.equal(before.head, 8);
      await redis.server.end("SIGKILL");
      rmSync(`${folder}/appendonlydir`, { recursive: true });
      copy(`${folder}.backup/appendonlydir`, `${folder}/appendonlydir`);
      await redis.server.start();
      await appendWhenBack(storage, "anew");
      const after = (await storage.log.state(NAME))!;
      assert.deepEqual([after.head, after.links.at(-1)!.first], [4, 4]);
      assert.notEqual(newestEpoch(after.links), newestEpoch(before.links));
      const { after: from, gap } = placeReader(after, newestEpoch(before.links), 8);
      assert.equal(gap?.cause, "NEW_EPOCH");
      assert.ok(from < 4);
    });

    it("a tail that is gone without a trace is noticed with the next life", async () => {
      const storage = await redis.open();
      await storage.log.create(NAME, INCARNATION, 1);
      for (const message of records(5)) await append(storage.log, [message]);
      const client = redis.client();
      const [log, stream] = [`{${redis.prefix}:${NAME.key}}:log`, `{${redis.prefix}:${NAME.key}}:stream`];
      await client.xdel(stream, "4-0", "5-0");
      await client.call("XSETID", stream, "3-0");
      await client.hset(log, "head", "3");
      await redis.server.end("SIGKILL");
      await redis.server.start();
      await appendWhenBack(storage, "anew");
      const { head, links } = (await storage.log.state(NAME))!;
      assert.deepEqual([head, links.at(-1)!.first, links.length], [4, 4, 2]);
    });

    describe("replicas", () => {
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
        await waitUntil(async () => (await headOf(b)) === "3");
        return { a, b, proxy, storage };
      }

      async function follow(replica: RedisProcess, master: RedisProcess): Promise<void> {
        await replica.client.replicaof("127.0.0.1", master.port);
        await waitUntil(async () => (await replica.client.info("replication")).includes("master_link_status:up"), {
          timeoutMs: 30_000,
        });
      }

      const headOf = (server: RedisProcess) => server.client.hget(`{${redis.prefix}:${NAME.key}}:log`, "head");

      it("a fail-over to a replica that lacks the end begins a new epoch there", async () => {
        const { b, proxy, storage } = await replicated();
        await b.client.replicaof("NO", "ONE");
        await append(storage.log, records(2)); // only the old master has these
        proxy.retarget(b.port);
        proxy.cutAll();
        await appendWhenBack(storage, "anew");
        const { head, links } = (await storage.log.state(NAME))!;
        assert.deepEqual([head, links.at(-1)!.first, links.length], [4, 4, 2]);
      });

      it("a master that was demoted, lost its end and came back without a restart is noticed", async () => {
        const { a, b, storage } = await replicated();
        await b.client.replicaof("NO", "ONE");
        await append(storage.log, records(2));
        await follow(a, b); // its run id stays; its newest two messages are gone
        await assert.rejects(
          async () =>
            storage.log.append({
              name: NAME,
              incarnation: INCARNATION,
              version: 1,
              dedupWindowMs: 0,
              records: records(1),
            }),
          /is a replica/,
        );
        await a.client.replicaof("NO", "ONE");
        await appendWhenBack(storage, "anew");
        const { head, links } = (await storage.log.state(NAME))!;
        assert.deepEqual([head, links.at(-1)!.first, links.length], [4, 4, 2]);
      });
    });
  });
});

/** With its owner: the server does not run as we do. */
function copy(from: string, to: string): void {
  execFileSync("cp", ["-a", from, to]);
}
