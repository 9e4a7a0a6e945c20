import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeEach, describe, it } from "vitest";
import type { StorageAdapter } from "../../src/storage/storage-adapter.ts";
import { append, batch, INCARNATION, NAME, record, records } from "../conformance/appending.ts";
import { describeWithOwnServer } from "../support/server-process.ts";
import type { TcpProxy } from "../support/tcp-proxy.ts";
import { usePostgres } from "./postgres-fixture.ts";
import { expectNewEpochFrom } from "./shared/life.ts";
import { appendWhenBack, eventually, isPlain, unavailable } from "./shared/recovery.ts";

await describeWithOwnServer("postgres", (start) => {
  describe("postgres: states of the server", () => {
    const postgres = usePostgres(start);
    let proxy: TcpProxy;
    let storage: StorageAdapter;
    beforeEach(async () => {
      proxy = await postgres.proxy();
      storage = await postgres.open({}, proxy.port);
      await storage.log.create(NAME, INCARNATION, 1);
    });

    it("a node that froze in the middle of a step does not keep the others waiting for ever", async () => {
      const other = await postgres.open();
      const node = await postgres.openImpatient(proxy.port);
      const repeated = record();
      await append(node.log, [repeated]);
      // A duplicate takes the long way, over several statements; this one comes behind the lock, and takes its time.
      await postgres.tamper(`
        CREATE OR REPLACE FUNCTION s.clock_ms(p_now bigint) RETURNS bigint LANGUAGE plpgsql AS $$
        BEGIN PERFORM pg_sleep(0.3); RETURN 1; END $$`);
      const stuck = assert.rejects(async () => node.log.append(batch([repeated])), unavailable);
      const locked = `SELECT FROM pg_stat_activity
                       WHERE wait_event = 'PgSleep' AND application_name = 'agentbus/${postgres.prefix}'`;
      await eventually(async () => (await postgres.tamper(locked)).length > 0, "the row to be locked");
      for (const link of proxy.links) link.vanish("server");
      const [entry] = await append(other.log, records(1));
      assert.equal(entry!.sequence, 2);
      await stuck;
    });

    it("a crash that the first process of the server survives is another life", async () => {
      await append(storage.log, records(3));
      const [victim] = await postgres.tamper<{ pid: number }>(
        "SELECT pid FROM pg_stat_activity WHERE application_name LIKE 'agentbus/%' AND backend_type = 'client backend' LIMIT 1",
      );
      process.kill(victim!.pid, "SIGKILL");
      await appendWhenBack(storage, "after");
      await expectNewEpochFrom(4, storage);
    });

    it("S3-E.5: a standby takes no writes; promoted, it goes on under a new epoch", async () => {
      await append(storage.log, records(3));
      const folder = await postgres.dataFolder();
      await postgres.server.end();
      writeFileSync(join(folder, "standby.signal"), "");
      await postgres.server.start();
      await assert.rejects(async () => storage.log.append(batch(records(1))), unavailable);
      await assert.rejects(postgres.open(), unavailable);
      await eventually(() => storage.problem()?.includes("standby"), "the storage to say why");
      await postgres.tamper("SELECT pg_promote()");
      await appendWhenBack(storage, "after");
      await expectNewEpochFrom(4, storage);
    });

    it("a database that is not there, and rights that are missing, are named", async () => {
      const url = new URL(postgres.url());
      url.pathname = "/no_such_database";
      await assert.rejects(postgres.openAt(url.href), isPlain(/no_such_database/));
      await postgres.tamper(`CREATE ROLE ${postgres.prefix} LOGIN`);
      url.pathname = "/postgres";
      url.username = postgres.prefix;
      await assert.rejects(postgres.openAt(url.href), isPlain(/permission denied/));
    });
  });
});
