import assert from "node:assert/strict";
import { describe, it } from "vitest";
import { BusError } from "../../core/errors.ts";
import { WrongServer } from "./driver-errors.ts";
import { READ_FACTS, readFacts } from "./server-facts.ts";

const MARIADB: Readonly<Record<string, string>> = {
  version: "11.8.6-MariaDB-0+deb13u1 from Debian",
  max_allowed_packet: "16777216",
  read_only: "OFF",
  innodb_read_only: "OFF",
  innodb_flush_log_at_trx_commit: "1",
  log_bin: "OFF",
  sync_binlog: "0",
  binlog_format: "MIXED",
  idle_transaction_timeout: "0",
  wsrep_on: "OFF",
  wsrep_provider: "none",
};
const MYSQL: Readonly<Record<string, string>> = {
  version: "8.0.36",
  max_allowed_packet: "67108864",
  read_only: "OFF",
  super_read_only: "OFF",
  innodb_read_only: "OFF",
  innodb_flush_log_at_trx_commit: "1",
  log_bin: "ON",
  sync_binlog: "1",
  binlog_format: "ROW",
  server_uuid: "3e11fa47-71ca-11e1-9e33-c80aa9429562",
};
const GROUP = { group_replication_group_name: "aaaaaaaa-aaaa-aaaa-aaaa-aaaaaaaaaaaa" };
const facts = (settings: Readonly<Record<string, string>>) => readFacts(Object.entries(settings));

const refused = (message: RegExp) => (error: unknown) => error instanceof WrongServer && message.test(error.message);

describe("what matters of a server's settings", () => {
  it("MySQL and MariaDB as they come are fit, and SYNCED", () => {
    assert.equal(facts(MARIADB).version, "MariaDB 11.8.6");
    assert.equal(facts(MYSQL).version, "MySQL 8.0.36");
    assert.deepEqual([facts(MARIADB).durability, facts(MYSQL).durability], ["SYNCED", "SYNCED"]);
    assert.deepEqual([facts(MARIADB).hasTransactionTimeout, facts(MYSQL).hasTransactionTimeout], [true, false]);
  });

  it("what is not on the disk when it is acknowledged is STORED", () => {
    assert.equal(facts({ ...MARIADB, innodb_flush_log_at_trx_commit: "2" }).durability, "STORED");
    assert.equal(facts({ ...MYSQL, sync_binlog: "100" }).durability, "STORED");
  });

  it("a version that is too old, small packets and a binary log of statements are refused", () => {
    assert.throws(() => facts({ ...MARIADB, version: "5.5.5-10.5.9-MariaDB" }), refused(/too old.*10\.6/));
    assert.throws(() => facts({ ...MYSQL, version: "5.7.44" }), refused(/too old/));
    assert.throws(() => facts({ ...MYSQL, max_allowed_packet: "1048576" }), refused(/max_allowed_packet/));
    assert.throws(() => facts({ ...MYSQL, binlog_format: "STATEMENT" }), refused(/set it to ROW/));
  });

  it("a replica takes no writes for now", () => {
    const away = (error: unknown) => error instanceof BusError && error.reason === "STORAGE_UNAVAILABLE";
    assert.throws(() => facts({ ...MYSQL, super_read_only: "ON" }), away);
  });

  it("a server of a cluster that takes writes everywhere is refused, one with a single primary is not", () => {
    const galera = { wsrep_on: "ON", wsrep_provider: "/usr/lib/galera/libgalera_smm.so" };
    assert.throws(() => facts({ ...MARIADB, ...galera }), refused(/Galera.*wsrep_on.*one server that takes writes/));
    assert.equal(facts({ ...MARIADB, wsrep_on: "ON" }).version, "MariaDB 11.8.6", "no provider: it is alone");
    const primaries = { ...MYSQL, ...GROUP, group_replication_single_primary_mode: "OFF" };
    assert.throws(() => facts(primaries), refused(/group_replication_single_primary_mode is OFF/));
    assert.equal(facts({ ...primaries, group_replication_single_primary_mode: "ON" }).version, "MySQL 8.0.36");
    assert.equal(facts({ ...primaries, group_replication_group_name: "" }).version, "MySQL 8.0.36");
  });

  it("all that is read is asked for", () => {
    for (const name of [...Object.keys(MARIADB), ...Object.keys(MYSQL), ...Object.keys(GROUP)]) {
      assert.ok(READ_FACTS.includes(`'${name}'`), name);
    }
  });
});
