import assert from "node:assert/strict";
import { beforeEach, describe, it } from "vitest";
import type { StorageAdapter } from "../../src/storage/storage-adapter.ts";
import {
  append,
  batch,
  INCARNATION,
  isBusError,
  NAME,
  readAll,
  readRequest,
  record,
  records,
  sequencesOf,
} from "../conformance/appending.ts";
import type { Link, TcpProxy } from "../support/tcp-proxy.ts";
import { waitUntil, within } from "../support/wait.ts";
import { appendWhenBack, nextMissed, useRedis } from "./redis-fixture.ts";

const unavailable = isBusError("STORAGE_UNAVAILABLE");
const key = { kind: "room", parent: "", id: "a" };

import { describeWithOwnServer } from "../support/server-process.ts";

await describeWithOwnServer("redis", (start) => {
  describe("redis: outages", { timeout: 120_000 }, () => {
    const redis = useRedis(start);
    let proxy: TcpProxy;
    let storage: StorageAdapter;
    beforeEach(async () => {
      proxy = await redis.proxy();
      storage = await redis.open({}, proxy.port);
      await storage.log.create(NAME, INCARNATION, 1);
    });

    function operations(): readonly (() => unknown)[] {
      return [
        () => storage.log.append(batch(records(1))),
        () => storage.log.state(NAME),
        () => storage.log.read(readRequest()),
        () => storage.log.create(NAME, "other", 1),
        () => storage.log.fence(NAME, INCARNATION, 2),
        () => storage.log.renewEpoch(NAME),
        () => storage.log.trim(NAME, { maxAgeMs: 1, maxMessages: 1, maxBytes: 1 }),
        () => storage.log.ends([NAME]),
        () => storage.log.findId(NAME, "x"),
        () => storage.log.findTime(NAME, 1),
        () => storage.log.delete(NAME, INCARNATION),
        () => storage.directory.put(key, {}),
        () => storage.directory.get(key),
        () => storage.directory.delete(key),
        () => storage.directory.list({ kind: "room", limit: 1 }),
        () => storage.directory.count("room", ""),
        () => storage.sweep!(),
      ];
    }

    it("S3-E.5: every operation fails while the server is away, and works again when it is back", async () => {
      await storage.directory.put(key, {});
      await append(storage.log, records(3));
      const missed = nextMissed(storage);
      const missedPackets = new Promise<void>((resolve) => {
        storage.relay!.listen({ packet() {}, missed: resolve });
      });
      proxy.refuse(true);
      proxy.cutAll();
      await waitUntil(() => storage.problem() !== undefined);
      for (const operation of operations()) await assert.rejects(async () => operation(), unavailable);
      storage.doorbell.ring({ topic: "record", key });
      storage.relay!.send(Buffer.from("dropped"));
      proxy.refuse(false);
      await appendWhenBack(storage, "back");
      await within(Promise.all([missed, missedPackets]));
      await waitUntil(() => storage.problem() === undefined);
      assert.equal((await readAll(storage.log)).length, 4);
    });

    it("a server that stands still makes operations fail in time, and a retry stores nothing twice", async () => {
      await append(storage.log, records(1));
      redis.server.freeze();
      const message = record({ id: "once" });
      await assert.rejects(within(Promise.resolve(storage.log.append(batch([message])))), unavailable);
      await assert.rejects(within(storage.directory.get(key)), unavailable);
      redis.server.thaw();
      await appendWhenBack(storage, "once");
      const ids = (await readAll(storage.log)).map(({ id }) => id);
      assert.equal(ids.filter((id) => id === "once").length, 1);
    });

    it("a message whose answer was lost is a duplicate when it is sent again", async () => {
      const message = record();
      const [commands] = proxy.links;
      commands!.stall("down");
      const lost = assert.rejects(async () => storage.log.append(batch([message])), unavailable);
      const observer = await redis.open();
      await waitUntil(async () => (await observer.log.state(NAME))!.head === 1);
      commands!.cut();
      await lost;
      await waitUntil(() => storage.problem() === undefined);
      const [entry] = await append(storage.log, [message]);
      assert.deepEqual([entry!.sequence, entry!.duplicate], [1, true]);
    });

    it("what waits behind a failed append fails with it", async () => {
      const [commands] = proxy.links;
      commands!.stall("up");
      const first = storage.log.append(batch([record({ id: "first" })]));
      const outcomes = Promise.allSettled([first, ...records(5).map((each) => storage.log.append(batch([each])))]);
      commands!.cut();
      for (const outcome of await outcomes) assert.equal(outcome.status, "rejected");
      await appendWhenBack(storage, "later");
      assert.deepEqual(sequencesOf(await readAll(storage.log)), [1]);
    });

    it("connections whose peer vanished without a word are found and replaced", async () => {
      const before: readonly Link[] = [...proxy.links];
      assert.equal(before.length, 3);
      const missed = nextMissed(storage);
      for (const link of before) link.vanish();
      await within(missed, { timeoutMs: 30_000 });
      await appendWhenBack(storage, "back");
      const other = await redis.open();
      const heard = new Promise((resolve) => {
        other.doorbell.listen(({ topic }) => topic === "record" && resolve(topic));
      });
      // Until the connection for publishing is replaced, too, rings are dropped.
      await waitUntil(async () => {
        storage.doorbell.ring({ topic: "record", key });
        return await Promise.race([heard, new Promise((resolve) => setImmediate(resolve))]);
      });
    });

    it("rings that were dropped are made up for by one that says so", async () => {
      const other = await redis.open();
      const missed = nextMissed(other);
      proxy.refuse(true);
      proxy.cutAll();
      await waitUntil(() => storage.problem() !== undefined);
      storage.doorbell.ring({ topic: "record", key });
      proxy.refuse(false);
      await within(missed);
    });

    it("closing while the server stands still does not hang", async () => {
      redis.server.freeze();
      const appended = assert.rejects(async () => storage.log.append(batch(records(1))), unavailable);
      await within(storage.close(), { timeoutMs: 20_000 });
      await appended;
      redis.server.thaw();
      await assert.rejects(storage.log.state(NAME), unavailable);
      assert.equal(storage.problem(), "the storage is closed");
    });
  });
});
