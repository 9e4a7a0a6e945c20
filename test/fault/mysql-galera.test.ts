import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { describe, it } from "vitest";
import { findPrograms, installPrograms } from "../../scripts/servers/find-programs.ts";
import { launch } from "../../scripts/servers/launch.ts";
import { mariadb } from "../../scripts/servers/mariadb.ts";
import type { Command } from "../../scripts/servers/server-kind.ts";
import { createMysqlStorage } from "../../src/storage/mysql/index.ts";
import { testEnvironment } from "../conformance/opened-storage.ts";
import { isPlain } from "./shared/recovery.ts";

/** Debian's MariaDB brings it. */
const PROVIDER = "/usr/lib/galera/libgalera_smm.so";
const say = (text: string) => void process.stderr.write(`${text}\n`);
const programs = findPrograms(mariadb) ?? (await installPrograms(mariadb, say));
const isHere = programs !== undefined && existsSync(PROVIDER);
if (!isHere && process.env["AGENTBUS_TEST_REQUIRE"] === "1") throw new Error(`there is no MariaDB with ${PROVIDER}`);

describe.skipIf(!isHere)(`mysql: Galera${isHere ? "" : `, SKIPPED: there is no MariaDB with ${PROVIDER}`}`, () => {
  it("a server of a cluster that takes writes everywhere is refused, with what to do", {
    timeout: 120_000,
  }, async () => {
    const cluster = [
      ...["--wsrep-on=ON", `--wsrep-provider=${PROVIDER}`, "--wsrep-cluster-address=gcomm://", "--wsrep-new-cluster"],
      ...["--wsrep-provider-options=gmcast.listen_addr=tcp://127.0.0.1:0", "--wsrep-node-address=127.0.0.1"],
      ...["--binlog-format=ROW", "--innodb-autoinc-lock-mode=2"],
    ];
    const serve: (typeof mariadb)["serve"] = (place) => [...mariadb.serve(place), ...cluster] as unknown as Command;
    const server = await launch({ ...mariadb, serve }, programs!, false);
    try {
      const opening = createMysqlStorage(server.url, { prefix: "galera" }, testEnvironment().environment);
      await assert.rejects(opening, isPlain(/Galera cluster \(wsrep_on is ON\).*one server that takes writes/));
    } finally {
      await server.stop();
    }
  });
});
