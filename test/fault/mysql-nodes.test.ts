import assert from "node:assert/strict";
import { beforeEach, describe, it } from "vitest";
import { channelName } from "../../src/core/names.ts";
import type { Ring } from "../../src/storage/doorbell.ts";
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
  sequencesOf,
} from "../conformance/appending.ts";
import type { TcpProxy } from "../support/tcp-proxy.ts";
import { waitUntil, within } from "../support/wait.ts";
import { nextMissed, useMysql } from "./mysql-fixture.ts";

const roomKey = (id: string) => ({ kind: "room", parent: "", id });

describe("mysql: signals between nodes", { timeout: 60_000 }, () => {
  const mysql = useMysql();
  let proxy: TcpProxy;
  let one: StorageAdapter;
  let two: StorageAdapter;
  beforeEach(async () => {
    proxy = await mysql.proxy();
    one = await mysql.open();
    two = await mysql.open({}, proxy.port);
    await one.log.create(NAME, INCARNATION, 1);
  });

  function rings(storage: StorageAdapter): Ring[] {
    const heard: Ring[] = [];
    storage.doorbell.listen((ring) => heard.push(ring));
    return heard;
  }

  it("S3-FR-005: an append rings on every node, once, with the head and its epoch", async () => {
    const heard = [rings(one), rings(two)];
    const last = (await append(one.log, records(3))).at(-1)!;
    one.doorbell.ring({ topic: "record", key: roomKey("behind") });
    const expected: Ring[] = [
      { topic: "log", key: NAME.key, head: 3, epoch: last.epoch },
      { topic: "record", key: roomKey("behind") },
    ];
    for (const each of heard) await waitUntil(() => each.length >= 2);
    assert.deepEqual(heard, [expected, expected]);
  });

  it("a ring that is committed behind later ones is not passed over", async () => {
    const heard = rings(two);
    const slow = await mysql.session();
    await slow("START TRANSACTION");
    await slow(
      `INSERT INTO t_ring (source, rung_at, content) VALUES ('anybody!', UNIX_TIMESTAMP() * 1000, '["record","room","","late"]')`,
    );
    await append(one.log, records(1));
    await waitUntil(() => heard.some((ring) => ring.topic === "log"));
    await slow("COMMIT");
    await waitUntil(() => heard.some((ring) => ring.topic === "record" && ring.key.id === "late"));
    assert.equal(heard.length, 2);
  });

  it("many rings go in few statements, and none is lost", async () => {
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
    for (let n = 0; n < 15_000; n++) one.doorbell.ring({ topic: "record", key: roomKey(`${n}`) });
    await within(missed);
  });

  it("asks for nothing while nobody listens, and misses nothing of that time", async () => {
    const stop = two.doorbell.listen(() => {});
    stop();
    one.doorbell.ring({ topic: "record", key: roomKey("meanwhile") });
    await waitUntil(async () => (await mysql.tamper("SELECT id FROM t_ring")).length > 0);
    const heard = rings(two);
    await waitUntil(() => heard.some((ring) => ring.topic === "record" && ring.key.id === "meanwhile"));
  });

  it("tells a node whose line was cut that it may have missed rings", async () => {
    const missed = nextMissed(two);
    proxy.refuse(true);
    proxy.cutAll();
    await waitUntil(() => two.problem() !== undefined);
    proxy.refuse(false);
    await within(missed);
    const heard = rings(two);
    await append(one.log, records(1));
    await waitUntil(() => heard.some((each) => each.topic === "log"));
  });

  it("what was rung while the line was away is rung when it is back", async () => {
    proxy.refuse(true);
    proxy.cutAll();
    await waitUntil(() => two.problem() !== undefined);
    const heard = rings(one);
    two.doorbell.ring({ topic: "record", key: roomKey("late") });
    proxy.refuse(false);
    await waitUntil(() => heard.some((ring) => ring.topic === "record" && ring.key.id === "late"));
  });

  it("S0-2.3.3: a key stored through one node is a duplicate on the other, at once and for a newcomer", async () => {
    await append(two.log, records(1));
    const repeated = record();
    const [first] = await append(one.log, [repeated]);
    const newcomer = await mysql.open();
    for (const node of [two, newcomer]) {
      assert.deepEqual(entriesOf(await node.log.append(batch([repeated]))), [{ ...first!, duplicate: true }]);
      const conflict = await node.log.append(batch([record(), { ...repeated, contentDigest: 1 }]));
      assert.deepEqual(conflict, { kind: "conflict", index: 1 });
    }
  });

  it("S0-2.3.3: a newcomer knows the keys of many blocks, in the order in which they came", async () => {
    const repeated = record();
    await append(one.log, [repeated]);
    await Promise.all(range(1, 1_100).map(async () => append((await Promise.resolve(one)).log, records(1))));
    for (let n = 0; n < 600; n++) await append(one.log, records(1));
    const newcomer = await mysql.open();
    const [again] = entriesOf(await newcomer.log.append(batch([repeated])));
    assert.deepEqual([again!.sequence, again!.duplicate], [1, true]);
  });

  it("four nodes that append to one log as fast as they can leave no hole and no double", async () => {
    const nodes = [one, two, await mysql.open({ timeoutMs: 30_000 }), await mysql.open({ timeoutMs: 30_000 })];
    const shared = records(20);
    const patient = nodes.slice(2);
    const appended = await Promise.all(
      range(0, 399).map((n) => append(patient[n % 2]!.log, n % 4 === 0 ? [shared[(n / 4) % 20]!] : records(2))),
    );
    const fresh = appended.flat().filter((entry) => !entry.duplicate);
    assert.equal(fresh.length, 620);
    assert.deepEqual(
      sequencesOf(fresh).sort((a, b) => a - b),
      range(1, 620),
    );
    for (const node of nodes) assert.deepEqual(sequencesOf(await readAll(node.log)), range(1, 620));
  });

  it("nodes that start at once make one schema", async () => {
    const tables = (await mysql.tamper(`SHOW TABLES LIKE '${mysql.prefix}%'`)).map(([name]) => name);
    await mysql.tamper(`DROP TABLE ${tables.join(", ")}`);
    const nodes = await Promise.all(range(1, 4).map(() => mysql.open({ timeoutMs: 10_000 })));
    await nodes[0]!.log.create(NAME, INCARNATION, 1);
    await append(nodes[3]!.log, records(1));
    assert.deepEqual(await mysql.tamper("SELECT version FROM t_schema_version"), [[1]]);
  });
});

describe("mysql: sweep", { timeout: 60_000 }, () => {
  const mysql = useMysql();

  it("removes expired records, old rings and what is left of removed logs", async () => {
    const storage = await mysql.open();
    await storage.log.create(NAME, INCARNATION, 1);
    for (let n = 0; n < 5; n++) await append(storage.log, records(2));
    const count = async (table: string) => Number((await mysql.tamper(`SELECT COUNT(*) FROM t_${table}`))[0]![0]);
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
    const storage = await mysql.open();
    await storage.log.create(NAME, INCARNATION, 1);
    for (let n = 0; n < 6; n++) await append(storage.log, records(2));
    const blocks = async () => (await mysql.tamper("SELECT COUNT(*) FROM t_block"))[0]![0];
    const trim = () => storage.log.trim(NAME, { maxAgeMs: 0, maxMessages: 3, maxBytes: 0 });
    assert.equal((await trim()).floor, 10);
    assert.equal(await blocks(), 6);
    await mysql.tamper("UPDATE t_block SET accepted_at = accepted_at - 700000 WHERE last_sequence <= 4");
    assert.equal((await trim()).floor, 10);
    assert.equal(await blocks(), 4);
    await mysql.tamper("UPDATE t_block SET accepted_at = accepted_at - 700000 WHERE last_sequence > 4");
    await trim();
    // The block with 9 and 10 is still needed.
    assert.equal(await blocks(), 2);
    assert.deepEqual(await mysql.tamper("SELECT purged_to FROM t_log"), [[9]]);
  });
});
