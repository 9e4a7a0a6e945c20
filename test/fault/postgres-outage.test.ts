import assert from "node:assert/strict";
import { beforeEach, describe, it } from "vitest";
import { BusError } from "../../src/core/errors.ts";
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
import { describeWithOwnServer } from "../support/server-process.ts";
import type { TcpProxy } from "../support/tcp-proxy.ts";
import { waitUntil, within } from "../support/wait.ts";
import { appendWhenBack, nextMissed, usePostgres } from "./postgres-fixture.ts";

const unavailable = isBusError("STORAGE_UNAVAILABLE");

await describeWithOwnServer("postgres", (start) => {
  describe("postgres: outages", { timeout: 120_000 }, () => {
    const postgres = usePostgres(start);
    let proxy: TcpProxy;
    let storage: StorageAdapter;
    beforeEach(async () => {
      proxy = await postgres.proxy();
      storage = await postgres.open({}, proxy.port);
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
        () => storage.log.delete(NAME, INCARNATION),
        () => storage.directory.put(key, {}),
        () => storage.directory.get(key),
        () => storage.sweep?.(),
      ];
      for (const operation of operations) await assert.rejects(async () => operation(), unavailable);
      proxy.refuse(false);
      await appendWhenBack(storage, "back");
      await within(missed);
      await waitUntil(() => storage.problem() === undefined);
      assert.equal((await readAll(storage.log)).length, 4);
    });

    it("is well again without being asked for anything", async () => {
      proxy.refuse(true);
      proxy.cutAll();
      await assert.rejects(async () => storage.log.append(batch(records(1))), unavailable);
      proxy.refuse(false);
      await waitUntil(() => storage.problem() === undefined);
    });

    it("a commit whose answer was lost is a duplicate when it is sent again", async () => {
      const lost = record();
      await append(storage.log, records(1));
      const other = await postgres.open();
      for (const link of proxy.links) link.stall("down");
      await assert.rejects(async () => storage.log.append(batch([lost])), unavailable);
      await waitUntil(async () => (await other.log.state(NAME))!.head === 2, { what: "the commit to be stored" });
      proxy.cutAll();
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

    it("a peer that vanished without a word is noticed by time, also by the listening connection", async () => {
      const other = await postgres.open();
      const rung = new Promise<void>((resolve) => {
        other.doorbell.listen((ring) => ring.topic === "log" && resolve());
      });
      await append(storage.log, records(1));
      await within(rung); // nothing is in flight on the listening connection: only a heartbeat can find it dead
      const missed = nextMissed(storage);
      for (const link of proxy.links) link.vanish();
      await assert.rejects(async () => storage.log.state(NAME), unavailable);
      await within(missed);
      await appendWhenBack(storage, "back");
      const heard = new Promise<void>((resolve) => {
        storage.doorbell.listen((ring) => ring.topic === "log" && resolve());
      });
      await append(other.log, records(1));
      await within(heard);
    });

    it("a frozen server is an outage, not an answer", async () => {
      await append(storage.log, records(1));
      postgres.server.freeze();
      try {
        await assert.rejects(async () => storage.log.append(batch([record({ id: "frozen" })])), unavailable);
        assert.match(storage.problem() ?? "", /PostgreSQL/);
      } finally {
        postgres.server.thaw();
      }
      await appendWhenBack(storage, "thawed");
      const ids = (await readAll(storage.log)).map((entry) => entry.id);
      assert.equal(ids.filter((id) => id === "thawed").length, 1);
    });

    it("a full disk stores nothing and says so", async () => {
      await postgres.tamper(`
      CREATE FUNCTION s.full_disk() RETURNS trigger LANGUAGE plpgsql AS $$
      BEGIN RAISE EXCEPTION 'could not extend file: No space left on device' USING ERRCODE = '53100'; END $$;
      CREATE TRIGGER full_disk BEFORE INSERT ON s.entry EXECUTE FUNCTION s.full_disk()`);
      const refused = record();
      await assert.rejects(async () => storage.log.append(batch([refused])), isBusError("STORAGE_FULL"));
      assert.equal((await storage.log.state(NAME))!.head, 0);
      await postgres.tamper("DROP TRIGGER full_disk ON s.entry");
      const [entry] = await append(storage.log, [refused]);
      assert.deepEqual([entry!.sequence, entry!.duplicate], [1, false]);
    });

    it("a node that froze in the middle of a step does not keep the others waiting for ever", async () => {
      const other = await postgres.open({ timeoutMs: 10_000 });
      const repeated = record();
      await append(storage.log, [repeated]);
      // A duplicate takes the long way, over several statements; this one comes behind the lock, and takes its time.
      await postgres.tamper(`
      CREATE OR REPLACE FUNCTION s.clock_ms(p_now bigint) RETURNS bigint LANGUAGE plpgsql AS $$
      BEGIN PERFORM pg_sleep(0.3); RETURN 1; END $$`);
      const stuck = assert.rejects(async () => storage.log.append(batch([repeated])), unavailable);
      const isLocked = `SELECT FROM pg_stat_activity WHERE wait_event = 'PgSleep' AND application_name = 'agentbus/${postgres.schema}'`;
      await waitUntil(async () => (await postgres.tamper(isLocked)).length > 0);
      for (const link of proxy.links) link.vanish("server");
      const [entry] = await append(other.log, records(1));
      assert.equal(entry!.sequence, 2);
      await stuck;
    });

    it("opening fails as unavailable while waiting helps, and says what to do when it does not", async () => {
      proxy.refuse(true);
      await assert.rejects(postgres.open({}, proxy.port), unavailable);
      const isPlain = (pattern: RegExp) => (error: unknown) =>
        error instanceof Error && !(error instanceof BusError) && pattern.test(error.message);
      const { schema } = postgres;
      await postgres.tamper(`CREATE ROLE ${schema} LOGIN`);
      const { createPostgresStorage } = await import("../../src/storage/postgres/index.ts");
      const { testEnvironment } = await import("../conformance/opened-storage.ts");
      const { environment } = testEnvironment();
      const opening = (url: string) => createPostgresStorage(url, { prefix: schema }, environment);
      const url = new URL(postgres.url());
      url.pathname = "/no_such_database";
      await assert.rejects(opening(url.href), isPlain(/no_such_database/));
      url.pathname = "/postgres";
      url.username = schema;
      await assert.rejects(opening(url.href), isPlain(/permission denied/));
      await postgres.tamper("INSERT INTO s.migration (version) VALUES (99)");
      await assert.rejects(postgres.open(), isPlain(/version 99, written by a newer agentbus/));
    });
  });
});
