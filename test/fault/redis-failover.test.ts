import assert from "node:assert/strict";
import { afterEach, describe, it } from "vitest";
import { channelName } from "../../src/core/names.ts";
import type { StorageAdapter } from "../../src/storage/storage-adapter.ts";
import { append, INCARNATION, NAME, readAll, records } from "../conformance/appending.ts";
import { describeWithOwnServer } from "../support/server-process.ts";
import { waitUntil, within } from "../support/wait.ts";
import { openRedis } from "./redis-fixture.ts";
import { startCluster, startRedis, startSentinel } from "./redis-process.ts";
import { appendWhenBack, nextMissed } from "./shared/recovery.ts";

await describeWithOwnServer("redis", () => {
  describe("redis: fail-overs", () => {
    const closing: (() => unknown)[] = [];
    afterEach(async () => {
      for (const close of closing.splice(0).reverse()) await close();
    });

    async function open(url: string): Promise<StorageAdapter> {
      const storage = await openRedis(url);
      closing.push(() => storage.close());
      return storage;
    }

    it("goes where the sentinels point, and begins a new epoch there", async () => {
      const [a, b] = await Promise.all([startRedis(), startRedis()]);
      closing.push(a.stop, b.stop);
      await b.client.replicaof("127.0.0.1", a.port);
      const sentinel = await startSentinel("bus", a.port);
      closing.push(sentinel.stop);
      await waitUntil(
        async () => {
          const replicas = (await sentinel.client.call("sentinel", "replicas", "bus")) as string[][];
          return replicas.length === 1 && replicas[0]!.join(" ").includes("master-link-status ok");
        },
        { timeoutMs: 60_000, what: "the sentinel to know the replica" },
      );
      const storage = await open(`redis+sentinel://127.0.0.1:${sentinel.port}/bus/0`);
      await storage.log.create(NAME, INCARNATION, 1);
      await append(storage.log, records(3));
      await waitUntil(async () => (await b.client.hget("{agentbus:science:explore}:log", "head")) === "3");
      const missed = nextMissed(storage);
      await a.stop();
      await appendWhenBack(storage, "anew");
      await within(missed, { timeoutMs: 60_000 });
      const { head, links } = (await storage.log.state(NAME))!;
      assert.deepEqual([head, links.at(-1)!.first, links.length], [4, 4, 2]);
      assert.equal((await readAll(storage.log)).length, 4);
      await waitUntil(() => storage.problem() === undefined);
    });

    it("a node of a cluster that is gone takes its channels with it, and they come back with it", async () => {
      const nodes = await startCluster();
      closing.push(...nodes.map(({ stop }) => stop));
      for (const { client } of nodes) await client.config("SET", "cluster-require-full-coverage", "no");
      const storage = await open(`redis+cluster://127.0.0.1:${nodes[0]!.port}`);
      const names = Array.from({ length: 12 }, (_, n) => channelName("science", `channel-${n}`));
      for (const name of names) await storage.log.create(name, INCARNATION, 1);
      const appendTo = (name = names[0]!) => append(storage.log, records(1), { name });
      const ends = await storage.log.ends([...names, channelName("no", "such")]);
      assert.deepEqual(
        ends.map((end) => end?.head),
        [...names.map(() => 0), undefined],
      );

      const gone = nodes[2]!;
      gone.freeze();
      closing.push(() => gone.thaw());
      const settled = await Promise.allSettled(names.map((name) => within(appendTo(name), { timeoutMs: 60_000 })));
      const stored = settled.filter(({ status }) => status === "fulfilled").length;
      assert.ok(stored > 0 && stored < names.length, `${stored} of ${names.length} channels took a message`);
      for (const outcome of settled) {
        if (outcome.status === "rejected") assert.equal(outcome.reason.reason, "STORAGE_UNAVAILABLE");
      }
      await waitUntil(() => storage.problem()?.includes(`${gone.port}`), { timeoutMs: 60_000 });
      gone.thaw();
      for (const name of names) {
        await waitUntil(
          () =>
            appendTo(name).then(
              () => true,
              () => false,
            ),
          { timeoutMs: 60_000, what: name.key },
        );
      }
      await waitUntil(() => storage.problem() === undefined, { timeoutMs: 60_000 });
    });
  });
});
