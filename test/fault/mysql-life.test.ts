import assert from "node:assert/strict";
import { beforeEach, describe, it } from "vitest";
import { epochAt, placeReader } from "../../src/core/epoch-chain.ts";
import type { StorageAdapter } from "../../src/storage/storage-adapter.ts";
import {
  append,
  batch,
  INCARNATION,
  isBusError,
  NAME,
  range,
  readAll,
  record,
  records,
  sequencesOf,
} from "../conformance/appending.ts";
import { waitUntil, within } from "../support/wait.ts";
import { appendWhenBack, nextMissed, useMysql } from "./mysql-fixture.ts";

const unavailable = isBusError("STORAGE_UNAVAILABLE");

describe("mysql: the life of the server", { timeout: 120_000 }, () => {
  const mysql = useMysql();
  let storage: StorageAdapter;
  beforeEach(async () => {
    storage = await mysql.open();
    await storage.log.create(NAME, INCARNATION, 1);
  });

  async function expectNewEpochFrom(first: number): Promise<void> {
    const { links, head } = (await storage.log.state(NAME))!;
    assert.deepEqual(
      links.map((link) => link.first),
      [1, first],
    );
    assert.notEqual(links[0]!.epoch, links[1]!.epoch);
    const entries = await readAll(storage.log);
    assert.deepEqual(sequencesOf(entries), range(1, head));
    for (const entry of entries) assert.equal(entry.epoch, epochAt(links, entry.sequence));
    assert.equal((await storage.log.ends([NAME]))[0]!.epoch, links[1]!.epoch);
  }

  /** The end of the log is lost, and the server says nothing of it. */
  async function loseAllAbove(head: number): Promise<void> {
    await mysql.tamper(`DELETE FROM t_block WHERE last_sequence > ${head}`);
    await mysql.tamper(
      `UPDATE t_log SET head = ${head}, total_bytes = (SELECT MAX(total_bytes) FROM t_block WHERE last_sequence <= ${head})`,
    );
  }

  async function restart(signal: "SIGTERM" | "SIGKILL" = "SIGTERM"): Promise<void> {
    await mysql.server.end(signal);
    await mysql.server.start();
  }

  for (const [how, signal] of [
    ["a restart", "SIGTERM"],
    ["kill -9", "SIGKILL"],
  ] as const) {
    it(`S3-E.5: nothing is lost over ${how}; it heals by itself and goes on under a new epoch`, async () => {
      const stored = records(20);
      await append(storage.log, stored);
      const missed = nextMissed(storage);
      await mysql.server.end(signal);
      await waitUntil(() => storage.problem() !== undefined, { what: "the storage to notice" });
      await mysql.server.start();
      await appendWhenBack(storage, "after");
      await expectNewEpochFrom(21);
      await within(missed);
      await waitUntil(() => storage.problem() === undefined, { what: "the storage to be well again" });
      const again = await append(storage.log, [stored[7]!]);
      assert.deepEqual([again[0]!.sequence, again[0]!.duplicate], [8, true]);
    });
  }

  it("goes on under one epoch while the server lives", async () => {
    await append(storage.log, records(3));
    const other = await mysql.open();
    await append(other.log, records(2));
    await append(storage.log, records(1));
    assert.equal((await storage.log.state(NAME))!.links.length, 1);
  });

  it("a lost tail shows: what is issued anew has another epoch, and readers are told", async () => {
    const written = [];
    const lost = record();
    for (let n = 1; n <= 9; n++) written.push(...(await append(storage.log, records(1))));
    written.push(...(await append(storage.log, [lost])));
    await loseAllAbove(6);
    await restart();
    await appendWhenBack(storage, "anew");
    await expectNewEpochFrom(7);
    const state = (await storage.log.state(NAME))!;
    const last = written.at(-1)!;
    assert.deepEqual(placeReader(state, last.epoch, last.sequence), {
      after: 6,
      gap: { first: 7, last: 10, cause: "NEW_EPOCH" },
      rolledBack: false,
    });
    // Its key is still known to this node, and must not stand for a message that is no more.
    const [again] = await append(storage.log, [lost]);
    assert.deepEqual([again!.sequence, again!.duplicate], [8, false]);
  });

  it("what other nodes store in the place of a lost tail is known by its keys", async () => {
    for (let n = 1; n <= 5; n++) await append(storage.log, records(1));
    await loseAllAbove(3);
    await restart();
    const other = await mysql.open();
    const anew = records(4);
    for (const each of anew) await append(other.log, [each]);
    const again = await waitUntil(() => append(storage.log, anew).catch(() => undefined));
    assert.deepEqual(
      again.map(({ sequence, duplicate }) => [sequence, duplicate]),
      range(4, 7).map((sequence) => [sequence, true]),
    );
  });

  it("a dump that is loaded into the running server is noticed by a node that has stored more", async () => {
    for (let n = 1; n <= 5; n++) await append(storage.log, records(1));
    await loseAllAbove(3);
    await append(storage.log, records(1));
    await expectNewEpochFrom(4);
  });

  it("S3-E.5: a server that became read-only takes no writes, whatever the user may do; another one goes on under a new epoch", async () => {
    await append(storage.log, records(3));
    await mysql.tamper("SET GLOBAL read_only = 1");
    try {
      await assert.rejects(async () => storage.log.append(batch(records(1))), unavailable);
      await assert.rejects(mysql.open(), unavailable);
      assert.equal((await readAll(storage.log)).length, 3);
      // A replica that takes over has the rows of the old server, and an identity of its own.
      await mysql.tamper("SET GLOBAL server_id = 77");
    } finally {
      await mysql.tamper("SET GLOBAL read_only = 0");
    }
    await appendWhenBack(storage, "after");
    await expectNewEpochFrom(4);
    await mysql.tamper("SET GLOBAL server_id = 1");
  });

  it("two nodes that find another life add one link", async () => {
    const other = await mysql.open();
    await append(storage.log, records(2));
    await restart("SIGKILL");
    await Promise.all([appendWhenBack(storage, "one"), appendWhenBack(other, "two")]);
    await append(storage.log, [record()]);
    await expectNewEpochFrom(3);
  });

  it("says what it keeps, as the server is set, and again when that changes", async () => {
    assert.equal(storage.capabilities.durability, "SYNCED");
    await mysql.tamper("SET GLOBAL innodb_flush_log_at_trx_commit = 2");
    const second = await mysql.open();
    assert.equal(second.capabilities.durability, "STORED");
    await mysql.server.end("SIGKILL");
    await mysql.server.start(); // as it was configured
    await waitUntil(() => second.capabilities.durability === "SYNCED", { what: "the durability to be read again" });
  });
});
