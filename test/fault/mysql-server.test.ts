import assert from "node:assert/strict";
import { beforeEach, describe, it } from "vitest";
import type { StorageAdapter } from "../../src/storage/storage-adapter.ts";
import { append, batch, INCARNATION, NAME, readAll, records } from "../conformance/appending.ts";
import { describeWithOwnServer } from "../support/server-process.ts";
import type { TcpProxy } from "../support/tcp-proxy.ts";
import { useMysql } from "./mysql-fixture.ts";
import { expectNewEpochFrom } from "./shared/life.ts";
import { appendWhenBack, eventually, isPlain, unavailable } from "./shared/recovery.ts";

const LOCKED = "SELECT trx_id FROM information_schema.innodb_trx WHERE trx_rows_locked > 0";

await describeWithOwnServer("mariadb", (start) => {
  describe("mysql: states of the server", () => {
    const mysql = useMysql(start);
    let proxy: TcpProxy;
    let storage: StorageAdapter;
    beforeEach(async () => {
      proxy = await mysql.proxy();
      storage = await mysql.open({}, proxy.port);
      await storage.log.create(NAME, INCARNATION, 1);
    });

    it("a node that vanished with the lock in its hand does not keep the others waiting for ever", async () => {
      const other = await mysql.open();
      const node = await mysql.open({ timeoutMs: 3_000 }, proxy.port);
      await append(node.log, records(1));
      for (const link of proxy.links) link.stall("down");
      const stuck = assert.rejects(async () => node.log.append(batch(records(1))), unavailable);
      await eventually(async () => (await mysql.tamper(LOCKED)).length > 0, "the row to be locked");
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

    it("S3-E.5: a server that became read-only takes no writes, whatever the user may do; another one goes on under a new epoch", async () => {
      await append(storage.log, records(3));
      mysql.after(() => mysql.tamper("SET GLOBAL server_id = 1"));
      mysql.after(() => mysql.tamper("SET GLOBAL read_only = 0"));
      await mysql.tamper("SET GLOBAL read_only = 1");
      await assert.rejects(async () => storage.log.append(batch(records(1))), unavailable);
      await assert.rejects(mysql.open(), unavailable);
      assert.equal((await readAll(storage.log)).length, 3);
      // A replica that takes over has the rows of the old server, and an identity of its own.
      await mysql.tamper("SET GLOBAL server_id = 77");
      await mysql.tamper("SET GLOBAL read_only = 0");
      await appendWhenBack(storage, "after");
      await expectNewEpochFrom(4, storage);
    });

    it("a dump that is loaded into the running server is noticed by a node that has stored more", async () => {
      for (let n = 1; n <= 5; n++) await append(storage.log, records(1));
      await mysql.loseTail(3);
      await append(storage.log, records(1));
      await expectNewEpochFrom(4, storage);
    });

    it("a database that is not there is named, with what to do", async () => {
      const url = new URL(mysql.url());
      url.pathname = "/no_such";
      await assert.rejects(mysql.openAt(url.href), isPlain(/no_such.*create the database/));
    });
  });
});
