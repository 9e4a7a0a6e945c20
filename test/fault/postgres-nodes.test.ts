import assert from "node:assert/strict";
import { beforeEach, describe, it } from "vitest";
import { channelName } from "../../src/core/names.ts";
import type { Ring } from "../../src/storage/doorbell.ts";
import type { AppendedEntry } from "../../src/storage/message-log.ts";
import type { StorageAdapter } from "../../src/storage/storage-adapter.ts";
import {
  append,
  batch,
  entriesOf,
  INCARNATION,
  NAME,
  range,
  readAll,
  record,
  records,
} from "../conformance/appending.ts";
import { describeWithOwnServer } from "../support/server-process.ts";
import type { TcpProxy } from "../support/tcp-proxy.ts";
import { waitUntil, within } from "../support/wait.ts";
import { nextMissed, usePostgres } from "./postgres-fixture.ts";

await describeWithOwnServer("postgres", (start) => {
  describe("postgres: signals between nodes", { timeout: 60_000 }, () => {
    const postgres = usePostgres(start);
    let proxy: TcpProxy;
    let one: StorageAdapter;
    let two: StorageAdapter;
    beforeEach(async () => {
      proxy = await postgres.proxy();
      one = await postgres.open({ timeoutMs: 10_000 });
      two = await postgres.open({ timeoutMs: 10_000, listenUrl: postgres.url(proxy.port) });
      await one.log.create(NAME, INCARNATION, 1);
    });

    function rings(storage: StorageAdapter): Ring[] {
      const heard: Ring[] = [];
      storage.doorbell.listen((ring) => heard.push(ring));
      return heard;
    }

    it("an append rings on every node, with the head and its epoch", async () => {
      const heard = [rings(one), rings(two)];
      const last = (await append(one.log, records(3))).at(-1)!;
      const expected: Ring = { topic: "log", key: NAME.key, head: 3, epoch: last.epoch };
      for (const each of heard) await waitUntil(() => each.length > 0);
      assert.deepEqual(heard, [[expected], [expected]]);
    });

    it("many rings go in few notifications, and none is lost", async () => {
      const heard = rings(two);
      const names = range(1, 1_000).map((n) => channelName("science", `channel-${n}-${"x".repeat(100)}`));
      for (let head = 1; head <= 5; head++) {
        for (const { key } of names) one.doorbell.ring({ topic: "log", key, head, epoch: 7 });
      }
      const newest = () => new Map(heard.flatMap((ring) => (ring.topic === "log" ? [[ring.key, ring.head]] : [])));
      await waitUntil(() => newest().size === names.length && [...newest().values()].every((head) => head === 5));
      assert.ok(heard.length < 2 * names.length, `${heard.length} rings were heard`);
    });

    it("beyond its buffer it says that rings are missing, and not which", async () => {
      const missed = nextMissed(two);
      for (let n = 0; n < 30_000; n++) {
        one.doorbell.ring({ topic: "record", key: { kind: "room", parent: "", id: `${n}` } });
      }
      await within(missed);
    });

    it("brings packets of any size, in order, to all others", async () => {
      const sizes = [0, 1, 100, 5_000, 5_900, 6_000, 10, 300_000, 1, 8 * 2 ** 20, 2];
      const heard: Uint8Array[] = [];
      two.relay!.listen({ packet: (packet) => heard.push(packet), missed: () => assert.fail("nothing was missed") });
      const sent = sizes.map((size, i) => Buffer.alloc(size, i + 1));
      for (const packet of sent.slice(0, 5)) one.relay!.send(packet);
      await waitUntil(() => heard.length >= 5);
      for (const packet of sent.slice(5)) one.relay!.send(packet);
      await waitUntil(() => heard.length >= sizes.length);
      assert.deepEqual(
        heard.map((packet) => [packet.length, packet[0]]),
        sent.map((packet) => [packet.length, packet[0]]),
      );
      for (const [i, packet] of heard.entries()) assert.ok(sent[i]!.equals(packet));
    });

    it("bounds what waits to be sent", async () => {
      let bytes = 0;
      two.relay!.listen({
        packet: (packet) => {
          bytes += packet.length;
        },
        missed() {},
      });
      const block = Buffer.alloc(2 ** 20);
      for (let n = 0; n < 100; n++) one.relay!.send(block);
      await waitUntil(() => bytes >= 31 * 2 ** 20);
      const marker = 7;
      one.relay!.send(Buffer.alloc(marker));
      await waitUntil(() => bytes % 2 ** 20 === marker);
      assert.equal(bytes, 31 * 2 ** 20 + marker);
    });

    it("tells a node whose line was cut that it missed rings and packets", async () => {
      const ring = nextMissed(two);
      const packets = new Promise<void>((missed) => two.relay!.listen({ packet() {}, missed }));
      proxy.cutAll();
      await within(Promise.all([ring, packets]));
      const heard = rings(two);
      await append(one.log, records(1));
      await waitUntil(() => heard.some((each) => each.topic === "log"));
    });

    it("what was rung while the line was away is rung when it is back", async () => {
      proxy.refuse(true);
      proxy.cutAll();
      await waitUntil(() => two.problem() !== undefined);
      const heard = rings(one);
      two.doorbell.ring({ topic: "record", key: { kind: "room", parent: "", id: "late" } });
      proxy.refuse(false);
      await waitUntil(() => heard.some((ring) => ring.topic === "record" && ring.key.id === "late"));
    });

    it("nodes that append to one log at the same time leave no hole, and store what all of them send once", async () => {
      const nodes = [one, two, await postgres.open(), await postgres.open()];
      const rounds = await Promise.all(
        nodes.map(async ({ log }, node) => {
          const entries: AppendedEntry[] = [];
          for (const round of range(1, 40)) {
            const shared = record({ id: `round-${round}` });
            entries.push(...(await append(log, [...records(2, { sender: `agent-${node}` }), shared])));
          }
          return entries;
        }),
      );
      const stored = rounds.flat().filter((entry) => !entry.duplicate);
      const sequences = stored.map((entry) => entry.sequence).sort((a, b) => a - b);
      assert.deepEqual(sequences, range(1, 40 * (nodes.length * 2 + 1)));
      const ids = (await readAll(one.log)).map((entry) => entry.id);
      assert.equal(new Set(ids).size, ids.length);
    });

    it("a key stored through one node is a duplicate on the other", async () => {
      const repeated = record();
      const [first] = await append(one.log, [repeated]);
      const [again] = entriesOf(await two.log.append(batch([repeated])));
      assert.deepEqual(again, { ...first!, duplicate: true });
      const conflict = await two.log.append(batch([record(), { ...repeated, contentDigest: 1 }]));
      assert.deepEqual(conflict, { kind: "conflict", index: 1 });
    });

    it("nodes that start at once make one schema", async () => {
      const before = await postgres.tamper<{ n: number }>("SELECT count(*) AS n FROM s.migration");
      await postgres.tamper(`DROP SCHEMA "${postgres.schema}" CASCADE`);
      const nodes = await Promise.all(range(1, 4).map(() => postgres.open()));
      await nodes[0]!.log.create(NAME, INCARNATION, 1);
      await append(nodes[3]!.log, records(1));
      const after = await postgres.tamper<{ n: number }>("SELECT count(*) AS n FROM s.migration");
      assert.deepEqual(after, before);
    });
  });

  describe("postgres: sweep", { timeout: 60_000 }, () => {
    const postgres = usePostgres(start);

    it("removes old keys, expired records, packets that were read, and what is left of removed logs", async () => {
      const storage = await postgres.open();
      await storage.log.create(NAME, INCARNATION, 1);
      await append(storage.log, records(5));
      const count = async (table: string) =>
        Number((await postgres.tamper<{ n: string }>(`SELECT count(*) AS n FROM s.${table}`))[0]!.n);
      await storage.directory.put({ kind: "room", parent: "", id: "kept" }, {});
      await storage.directory.put({ kind: "room", parent: "", id: "gone" }, {}, { timeToLiveMs: 1 });
      storage.relay!.send(Buffer.alloc(10_000));
      await waitUntil(async () => (await count("packet")) === 1);

      await storage.sweep!();
      assert.deepEqual([await count("idempotency_key"), await count("packet")], [5, 1]);

      await postgres.tamper("UPDATE s.idempotency_key SET accepted_at = accepted_at - 700000 WHERE sequence <= 3");
      await postgres.tamper("UPDATE s.record SET expires_at = 1 WHERE expires_at > 0");
      await postgres.tamper("UPDATE s.packet SET created_at = created_at - interval '1 hour'");
      await postgres.tamper("INSERT INTO s.removed_log SELECT id FROM s.log");
      await postgres.tamper("DELETE FROM s.log");
      await postgres.tamper("UPDATE s.idempotency_key SET log_id = -1");
      await storage.sweep!();
      assert.deepEqual(await Promise.all(["idempotency_key", "packet", "record", "entry", "removed_log"].map(count)), [
        ...[2, 0, 1, 0, 0],
      ]);
      assert.equal(await storage.directory.count("room", ""), 1);
      assert.equal(Number((await postgres.tamper<{ n: string }>("SELECT records AS n FROM s.record_count"))[0]!.n), 1);
    });
  });
});
