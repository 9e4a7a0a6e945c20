import assert from "node:assert/strict";
import { beforeEach, describe, it } from "vitest";
import { BusError } from "../../src/core/errors.ts";
import { createMysqlStorage } from "../../src/storage/mysql/index.ts";
import type { StorageAdapter } from "../../src/storage/storage-adapter.ts";
import {
  append,
  batch,
  entriesOf,
  INCARNATION,
  isBusError,
  NAME,
  readAll,
  readRequest,
  record,
  records,
  sequencesOf,
} from "../conformance/appending.ts";
import { testEnvironment } from "../conformance/opened-storage.ts";
import type { TcpProxy } from "../support/tcp-proxy.ts";
import { waitUntil, within } from "../support/wait.ts";
import { appendWhenBack, nextMissed, useMysql } from "./mysql-fixture.ts";

const unavailable = isBusError("STORAGE_UNAVAILABLE");
const LOCKED = "SELECT trx_id FROM information_schema.innodb_trx WHERE trx_rows_locked > 0";

describe("mysql: outages", { timeout: 120_000 }, () => {
  const mysql = useMysql();
  let proxy: TcpProxy;
  let storage: StorageAdapter;
  beforeEach(async () => {
    proxy = await mysql.proxy();
    storage = await mysql.open({}, proxy.port);
    await storage.log.create(NAME, INCARNATION, 1);
  });

  it("S3-E.5: every operation fails while the server is away, and works again when it is back", async () => {
    await append(storage.log, records(3));
    const missed = nextMissed(storage);
    proxy.refuse(true);
    proxy.cutAll();
    await waitUntil(() => storage.problem() !== undefined);
    const key = { kind: "room", parent: "", id: "a" };
    const operations: (() => unknown)[] = [
      () => storage.log.append(batch(records(1))),
      () => storage.log.state(NAME),
      () => storage.log.read(readRequest()),
      () => storage.log.create(NAME, "other", 1),
      () => storage.log.fence(NAME, INCARNATION, 2),
      () => storage.log.renewEpoch(NAME),
      () => storage.log.trim(NAME, { maxAgeMs: 1, maxMessages: 1, maxBytes: 1 }),
      () => storage.log.ends([NAME]),
      () => storage.log.findId(NAME, "a"),
      () => storage.log.findTime(NAME, 1),
      () => storage.log.delete(NAME, INCARNATION),
      () => storage.directory.put(key, {}),
      () => storage.directory.get(key),
      () => storage.directory.list({ kind: "room", limit: 1 }),
      () => storage.sweep?.(),
    ];
    for (const operation of operations) await assert.rejects(async () => operation(), unavailable);
    proxy.refuse(false);
    await appendWhenBack(storage, "back");
    await within(missed);
    await waitUntil(() => storage.problem() === undefined);
    assert.equal((await readAll(storage.log)).length, 4);
  });

  it("notices by itself that the server is away, and that it is back", async () => {
    proxy.refuse(true);
    proxy.cutAll();
    await waitUntil(() => storage.problem() !== undefined);
    proxy.refuse(false);
    await waitUntil(() => storage.problem() === undefined);
  });

  it("S0-2.3.3: a commit whose answer was lost is a duplicate when it is sent again", async () => {
    const lost = record();
    await append(storage.log, records(1));
    const other = await mysql.open();
    // The transaction's last statement takes its time; the answers to it and to the commit do not come through.
    await mysql.tamper("CREATE TRIGGER slow BEFORE INSERT ON t_ring FOR EACH ROW SET @ignored = SLEEP(0.3)");
    const sent = assert.rejects(async () => storage.log.append(batch([lost])), unavailable);
    const isSlow = "SELECT id FROM information_schema.processlist WHERE state = 'User sleep'";
    await waitUntil(async () => (await mysql.tamper(isSlow)).length > 0, { what: "the last statement to run" });
    for (const link of proxy.links) link.stall("down");
    await waitUntil(async () => (await other.log.state(NAME))!.head === 2, { what: "the commit to be stored" });
    await mysql.tamper("DROP TRIGGER slow");
    proxy.cutAll();
    await sent;
    await appendWhenBack(storage, "next");
    const [again] = entriesOf(await storage.log.append(batch([lost])));
    assert.deepEqual([again!.sequence, again!.duplicate], [2, true]);
    assert.deepEqual(sequencesOf(await readAll(other.log)), [1, 2, 3]);
  });

  it("an append that fails takes those behind it with it", async () => {
    for (const link of proxy.links) link.stall();
    const handed = [1, 2, 3].map(() => Promise.resolve(storage.log.append(batch(records(1)))));
    const outcomes = await Promise.allSettled(handed);
    for (const outcome of outcomes) assert.ok(outcome.status === "rejected" && unavailable(outcome.reason));
  });

  it("a peer that vanished without a word is noticed by time, also by the doorbell", async () => {
    const other = await mysql.open();
    await append(storage.log, records(1));
    const heard = new Promise<void>((resolve) => {
      storage.doorbell.listen((ring) => ring.topic === "log" && ring.head === 3 && resolve());
    });
    for (const link of proxy.links) link.vanish();
    await assert.rejects(async () => storage.log.state(NAME), unavailable);
    await appendWhenBack(storage, "back");
    await append(other.log, records(1));
    await within(heard, { what: "the other node's ring" });
  });

  it("a connection whose answer did not come is not used again", async () => {
    const single = await mysql.open({ poolSize: 1 }, proxy.port);
    await append(single.log, records(1));
    for (const link of proxy.links) link.stall();
    await assert.rejects(async () => single.log.state(NAME), unavailable);
    assert.equal((await single.log.state(NAME))!.head, 1);
  });

  it("a frozen server is an outage, not an answer", async () => {
    await append(storage.log, records(1));
    mysql.server.freeze();
    try {
      // The signal needs a moment to reach all of the server's threads.
      const failure = await waitUntil(async () => {
        const append = async () => storage.log.append(batch([record({ id: "frozen" })]));
        return await append().then(
          () => undefined,
          (error: unknown) => error,
        );
      });
      assert.ok(unavailable(failure));
      await waitUntil(() => storage.problem()?.includes("MySQL at 127.0.0.1"), { what: "the storage to say why" });
    } finally {
      mysql.server.thaw();
    }
    await appendWhenBack(storage, "thawed");
    const ids = (await readAll(storage.log)).map((entry) => entry.id);
    assert.equal(ids.filter((id) => id === "thawed").length, 1);
  });

  it("a full disk stores nothing and says so", async () => {
    await mysql.tamper(
      "CREATE TRIGGER full_disk BEFORE INSERT ON t_block FOR EACH ROW SIGNAL SQLSTATE 'HY000' SET MYSQL_ERRNO = 1021",
    );
    const refused = record();
    await assert.rejects(async () => storage.log.append(batch([refused])), isBusError("STORAGE_FULL"));
    assert.equal((await storage.log.state(NAME))!.head, 0);
    await mysql.tamper("DROP TRIGGER full_disk");
    const [entry] = await append(storage.log, [refused]);
    assert.deepEqual([entry!.sequence, entry!.duplicate], [1, false]);
  });

  it("a node that vanished with the lock in its hand does not keep the others waiting for ever", async () => {
    const other = await mysql.open({ timeoutMs: 20_000 });
    await append(storage.log, records(1));
    for (const link of proxy.links) link.stall("down");
    const stuck = assert.rejects(async () => storage.log.append(batch(records(1))), unavailable);
    await waitUntil(async () => (await mysql.tamper(LOCKED)).length > 0, { what: "the row to be locked" });
    for (const link of proxy.links) link.vanish("server");
    const [entry] = await append(other.log, records(1));
    assert.equal(entry!.sequence, 2);
    await stuck;
  });

  it("a row that is locked for too long is an outage, and nothing is stored later", async () => {
    const patient = await mysql.open({ timeoutMs: 3_000 });
    const admin = await mysql.session();
    await admin("START TRANSACTION");
    await admin("SELECT id FROM t_log FOR UPDATE");
    await assert.rejects(
      async () => patient.log.append(batch(records(1))),
      (error) => unavailable(error) && /Lock wait timeout/.test((error as Error).message),
    );
    await admin("ROLLBACK");
    const [entry] = await append(storage.log, records(1));
    assert.equal(entry!.sequence, 1);
  });

  it("messages and passwords are not in its errors", async () => {
    const body = Buffer.from("a secret body");
    await mysql.tamper("ALTER TABLE t_block DROP COLUMN id_prints");
    await assert.rejects(
      async () => storage.log.append(batch([record({ body })])),
      (error: unknown) => {
        assert.ok(unavailable(error));
        const { message, details } = error as BusError;
        const said = JSON.stringify([message, details, details.cause, Object.entries(details.cause as object)]);
        assert.match(said, /id_prints/);
        return !said.includes(body.toString("hex"));
      },
    );
    const opening = createMysqlStorage(
      mysql.url().replace("root@", "nobody:hunter2@"),
      {},
      testEnvironment().environment,
    );
    await assert.rejects(
      opening,
      (error: Error) => /user and password/.test(error.message) && !/hunter2/.test(error.message),
    );
  });

  it("opening fails as unavailable while waiting helps, and says what to do when it does not", async () => {
    const isPlain = (pattern: RegExp) => (error: unknown) =>
      error instanceof Error && !(error instanceof BusError) && pattern.test(error.message);
    proxy.refuse(true);
    await assert.rejects(mysql.open({}, proxy.port), unavailable);
    await assert.rejects(
      createMysqlStorage(mysql.url().replace(/\/fault$/, "/no_such"), {}, testEnvironment().environment),
      isPlain(/no_such.*create the database/),
    );
    await mysql.tamper("INSERT INTO t_schema_version (version) VALUES (99)");
    await assert.rejects(mysql.open(), isPlain(/version 99, written by a newer agentbus/));
  });
});
