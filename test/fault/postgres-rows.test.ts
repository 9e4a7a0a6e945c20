import assert from "node:assert/strict";
import { beforeEach, describe, it } from "vitest";
import type { StorageAdapter } from "../../src/storage/storage-adapter.ts";
import { append, INCARNATION, NAME, records } from "../conformance/appending.ts";
import { describeWithOwnServer } from "../support/server-process.ts";
import type { TcpProxy } from "../support/tcp-proxy.ts";
import { usePostgres } from "./postgres-fixture.ts";
import { appendTen, expectDamage } from "./shared/damage.ts";
import { eventually, inTime, nextMissed, nextRing } from "./shared/recovery.ts";

await describeWithOwnServer("postgres", (start) => {
  const postgres = usePostgres(start);

  describe("postgres: notifications and packets", () => {
    let proxy: TcpProxy;
    let one: StorageAdapter;
    /** Of its connections only the listening one goes through the proxy. */
    let two: StorageAdapter;
    beforeEach(async () => {
      proxy = await postgres.proxy();
      one = await postgres.open();
      two = await postgres.open({ listenUrl: postgres.url(proxy.port) });
    });

    it("brings packets of any size, in order, to all others", async () => {
      const sizes = [0, 1, 100, 5_000, 5_900, 6_000, 10, 300_000, 1, 8 * 2 ** 20, 2];
      const heard: Uint8Array[] = [];
      two.relay!.listen({ packet: (packet) => heard.push(packet), missed: () => assert.fail("nothing was missed") });
      const sent = sizes.map((size, i) => Buffer.alloc(size, i + 1));
      for (const packet of sent.slice(0, 5)) one.relay!.send(packet);
      await eventually(() => heard.length >= 5, "the small packets");
      for (const packet of sent.slice(5)) one.relay!.send(packet);
      await eventually(() => heard.length >= sizes.length, "all packets");
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
      await eventually(() => bytes >= 31 * 2 ** 20, "what was taken");
      const marker = 7;
      one.relay!.send(Buffer.alloc(marker));
      await eventually(() => bytes % 2 ** 20 === marker, "the marker");
      assert.equal(bytes, 31 * 2 ** 20 + marker);
    });

    it("tells a node whose listening line alone was cut that it missed rings and packets", async () => {
      const ring = nextMissed(two);
      const packets = new Promise<void>((missed) => two.relay!.listen({ packet() {}, missed }));
      proxy.cutAll();
      await inTime(ring, "rings to be called missing");
      await inTime(packets, "packets to be called missing");
      const heard = nextRing(two, ({ topic }) => topic === "log");
      await one.log.create(NAME, INCARNATION, 1);
      await append(one.log, records(1));
      await inTime(heard, "a ring");
    });

    it("sweeps remove old keys, expired records, packets that were read, and what is left of removed logs", async () => {
      await one.log.create(NAME, INCARNATION, 1);
      await append(one.log, records(5));
      const count = async (table: string) =>
        Number((await postgres.tamper<{ n: string }>(`SELECT count(*) AS n FROM s.${table}`))[0]!.n);
      await one.directory.put({ kind: "room", parent: "", id: "kept" }, {});
      await one.directory.put({ kind: "room", parent: "", id: "gone" }, {}, { timeToLiveMs: 1 });
      one.relay!.send(Buffer.alloc(10_000));
      await eventually(async () => (await count("packet")) === 1, "the packet to be stored");

      await one.sweep!();
      assert.deepEqual([await count("idempotency_key"), await count("packet")], [5, 1]);

      await postgres.tamper("UPDATE s.idempotency_key SET accepted_at = accepted_at - 700000 WHERE sequence <= 3");
      await postgres.tamper(
        "UPDATE s.record SET expires_at = 1, checksum = s.record_checksum(kind, parent, id, version, 1, value) WHERE expires_at > 0",
      );
      await postgres.tamper("UPDATE s.packet SET created_at = created_at - interval '1 hour'");
      await postgres.tamper("INSERT INTO s.removed_log SELECT id FROM s.log");
      await postgres.tamper("DELETE FROM s.log");
      await postgres.tamper("UPDATE s.idempotency_key SET log_id = -1");
      await one.sweep!();
      const left = ["idempotency_key", "packet", "record", "entry", "removed_log"];
      assert.deepEqual(await Promise.all(left.map(count)), [2, 0, 1, 0, 0]);
      assert.equal(await one.directory.count("room", ""), 1);
      assert.equal(Number((await postgres.tamper<{ n: string }>("SELECT records AS n FROM s.record_count"))[0]!.n), 1);
    });
  });

  it("postgres: the sweep keeps the newest of the idempotency keys, as many as configured", async () => {
    let now = 1_750_000_000_000;
    const storage = await postgres.open({ dedupKeys: 3 }, undefined, { storeClock: () => now++ });
    await storage.log.create(NAME, INCARNATION, 1);
    const sent = records(10);
    for (const each of sent) await append(storage.log, [each]);
    await storage.sweep!();
    const again = await append(storage.log, sent);
    assert.deepEqual(
      again.map(({ duplicate }) => duplicate),
      sent.map((_, i) => i >= 7),
    );
  });

  describe("postgres: damaged rows", () => {
    for (const [what, change] of [
      ["sender", "sender = 'mallory'"],
      ["audience", "audience = ''"],
      ["time", "accepted_at = accepted_at + 1"],
      ["time to live", "time_to_live = 5"],
      ["epoch", "epoch = epoch + 1"],
      ["id", "id = 'another'"],
    ]) {
      it(`a changed ${what} is told as damaged and never returned`, async () => {
        const storage = await postgres.open();
        await appendTen(storage);
        await postgres.tamper(`UPDATE s.entry SET ${change} WHERE sequence IN (4, 5)`);
        await expectDamage(storage, { first: 4, last: 5 });
      });
    }
  });
});
