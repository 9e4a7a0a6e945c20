import assert from "node:assert/strict";
import { beforeEach, describe, it } from "vitest";
import type { AppendRecord } from "../../src/storage/message-log.ts";
import type { StorageAdapter } from "../../src/storage/storage-adapter.ts";
import { append, batch, entriesOf, INCARNATION, NAME, range, record, records } from "../conformance/appending.ts";
import { describeWithOwnServer } from "../support/server-process.ts";
import { useMysql } from "./mysql-fixture.ts";
import { appendTen, expectDamage } from "./shared/damage.ts";
import { eventually, inTime, nextRing } from "./shared/recovery.ts";

const roomKey = (id: string) => ({ kind: "room", parent: "", id });

await describeWithOwnServer("mariadb", (start) => {
  const mysql = useMysql(start);
  const count = async (table: string) => Number((await mysql.tamper(`SELECT COUNT(*) FROM t_${table}`))[0]![0]);

  describe("mysql: rows of rings and blocks", () => {
    let storage: StorageAdapter;
    beforeEach(async () => {
      storage = await mysql.open();
      await storage.log.create(NAME, INCARNATION, 1);
    });
    const ringOf = (listener: StorageAdapter, id: string) =>
      nextRing(listener, (ring) => ring.topic === "record" && ring.key.id === id);

    it("a ring that is committed behind later ones is not passed over", async () => {
      const other = await mysql.open();
      const heard: string[] = [];
      other.doorbell.listen(({ topic }) => heard.push(topic));
      const late = ringOf(other, "late");
      const slow = await mysql.session();
      await slow("START TRANSACTION");
      await slow(
        `INSERT INTO t_ring (source, rung_at, content) VALUES ('anybody!', UNIX_TIMESTAMP() * 1000, '["record","room","","late"]')`,
      );
      await append(storage.log, records(1));
      await eventually(() => heard.length > 0, "the later ring");
      await slow("COMMIT");
      await inTime(late, "the ring that was committed late");
      assert.deepEqual(heard, ["log", "record"]);
    });

    it("asks for nothing while nobody listens, and misses nothing of that time", async () => {
      const other = await mysql.open();
      const stop = other.doorbell.listen(() => {});
      stop();
      storage.doorbell.ring({ topic: "record", key: roomKey("meanwhile") });
      await eventually(async () => (await count("ring")) > 0, "the ring to be stored");
      await inTime(ringOf(other, "meanwhile"), "the ring");
    });

    it("S0-2.3.3: a newcomer knows the keys of many blocks, in the order in which they came", async () => {
      const repeated = record();
      await append(storage.log, [repeated]);
      await Promise.all(range(1, 1_100).map(async () => append((await Promise.resolve(storage)).log, records(1))));
      for (let n = 0; n < 600; n++) await append(storage.log, records(1));
      const newcomer = await mysql.open();
      const [again] = entriesOf(await newcomer.log.append(batch([repeated])));
      assert.deepEqual([again!.sequence, again!.duplicate], [1, true]);
    });

    it("a node keeps the newest of the idempotency keys, as many as configured", async () => {
      const narrow = await mysql.open({ dedupKeys: 3 });
      const sent = records(10);
      for (const each of sent) await append(narrow.log, [each]);
      const known = async (node: StorageAdapter, each: AppendRecord) => (await append(node.log, [each]))[0]!.duplicate;
      for (const [i, each] of sent.entries()) if (i >= 7) assert.equal(await known(narrow, each), true, `${i}`);
      assert.equal(await known(storage, sent[0]!), true, "another node keeps more");
      assert.equal(await known(narrow, sent[0]!), false);
    });

    it("sweeps remove expired records, old rings and what is left of removed logs", async () => {
      for (let n = 0; n < 5; n++) await append(storage.log, records(2));
      await storage.directory.put(roomKey("kept"), {});
      await storage.directory.put(roomKey("gone"), {}, { timeToLiveMs: 3_600_000 });

      await storage.sweep!();
      assert.deepEqual([await count("block"), await count("ring"), await count("record")], [5, 5, 2]);

      await mysql.tamper("UPDATE t_ring SET rung_at = rung_at - 100000");
      await mysql.tamper("UPDATE t_record SET expires_at = 1, live_until = 1 WHERE expires_at > 0");
      await storage.log.delete(NAME, INCARNATION);
      await storage.sweep!();
      // The newest ring stays. The record's version is still remembered.
      assert.deepEqual(await Promise.all(["block", "deleted_log", "ring", "record"].map(count)), [0, 0, 1, 2]);
      assert.equal(await storage.directory.count("room", ""), 1);
      assert.deepEqual(await mysql.tamper("SELECT records FROM t_record_parent"), [[1]]);
      await mysql.tamper("UPDATE t_record SET expires_at = 1 WHERE value IS NULL");
      await storage.sweep!();
      assert.equal(await count("record"), 1);
    });

    it("trimmed messages go when nobody can ask for their keys any more", async () => {
      for (let n = 0; n < 6; n++) await append(storage.log, records(2));
      const trim = () => storage.log.trim(NAME, { maxAgeMs: 0, maxMessages: 3, maxBytes: 0 });
      assert.equal((await trim()).floor, 10);
      assert.equal(await count("block"), 6);
      await mysql.tamper("UPDATE t_block SET accepted_at = accepted_at - 700000 WHERE last_sequence <= 4");
      assert.equal((await trim()).floor, 10);
      assert.equal(await count("block"), 4);
      await mysql.tamper("UPDATE t_block SET accepted_at = accepted_at - 700000 WHERE last_sequence > 4");
      await trim();
      // The block with 9 and 10 is still needed.
      assert.equal(await count("block"), 2);
      assert.deepEqual(await mysql.tamper("SELECT purged_to FROM t_log"), [[9]]);
    });
  });

  describe("mysql: damaged rows", () => {
    let storage: StorageAdapter;
    beforeEach(async () => {
      storage = await mysql.open();
      await appendTen(storage);
    });

    const replaced = (from: string, to: string) => `content = REPLACE(content, '${from}', '${to}')`;
    for (const [what, change, damage] of [
      ["sender", replaced("id-of-5alice", "id-of-5alicf"), { first: 5, last: 5 }],
      ["id", replaced("id-of-4", "id-of-9"), { first: 4, last: 4 }],
      ["audience", replaced("bobbody of 4", "babbody of 4"), { first: 4, last: 4 }],
      ["time", "accepted_at = accepted_at + 1", { first: 4, last: 5 }],
      ["epoch", "epoch = epoch + 1", { first: 4, last: 5 }],
      ["length", "content = CONCAT(content, 'x')", { first: 4, last: 5 }],
      ["table of headers", "content = CONCAT(x'ffffffff', SUBSTRING(content, 5))", { first: 4, last: 4 }],
      ["content that is gone", "content = ''", { first: 4, last: 5 }],
    ] as const) {
      it(`a changed ${what} is told as damaged and never returned`, async () => {
        await mysql.tamper(`UPDATE t_block SET ${change} WHERE first_sequence = 4`);
        await expectDamage(storage, damage);
      });
    }
  });
});
