import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import pg from "pg";
import { describe, it } from "vitest";
import { findPrograms, installPrograms } from "../../scripts/servers/find-programs.ts";
import { launch } from "../../scripts/servers/launch.ts";
import { type PgbouncerMode, pgbouncer, pgbouncerProgram } from "../../scripts/servers/pgbouncer.ts";
import type { StorageAdapter } from "../../src/storage/storage-adapter.ts";
import { append, INCARNATION, NAME, readAll, records, sequencesOf } from "../conformance/appending.ts";
import { describeWithOwnServer } from "../support/server-process.ts";
import { usePostgres } from "./postgres-fixture.ts";
import { eventually, isPlain } from "./shared/recovery.ts";

const kind = pgbouncerProgram;
const programs = findPrograms(kind) ?? (await installPrograms(kind, (text) => process.stderr.write(`${text}\n`)));
if (programs === undefined && process.env["AGENTBUS_TEST_REQUIRE"] === "1") {
  throw new Error("pgbouncer is not on this machine and could not be installed");
}
/** From 1.21 on it passes prepared statements on in transaction mode. */
const PASSES_PREPARED = programs !== undefined && versionOf(programs[0]!) >= 1_021;
const PREPARED = PASSES_PREPARED ? ["max_prepared_statements = 200"] : [];

/** A pooler that has just been started makes its connections first. */
const PATIENT = { timeoutMs: 20_000, connectTimeoutMs: 20_000 };

await describeWithOwnServer("postgres", (start) => {
  describe.skipIf(programs === undefined)(
    `postgres behind PgBouncer${programs === undefined ? ", SKIPPED: it is not on this machine" : ""}`,
    { timeout: 120_000 },
    () => {
      const postgres = usePostgres(start);

      async function pooler(mode: PgbouncerMode, settings: readonly string[] = []): Promise<string> {
        const process = await launch(pgbouncer({ mode, serverPort: postgres.server.port, settings }), programs!, false);
        postgres.after(() => process.stop());
        return postgres.url(process.port);
      }

      /** What is stored by one is heard, and read, by the other. */
      async function expectOneBus(one: StorageAdapter, two: StorageAdapter): Promise<void> {
        await one.log.create(NAME, INCARNATION, 1);
        const rung = Promise.withResolvers<void>();
        const stop = two.doorbell.listen((ring) => ring.topic === "log" && ring.head >= 1 && rung.resolve());
        const packets = Promise.withResolvers<Uint8Array>();
        const stopRelay = two.relay!.listen({ packet: packets.resolve, missed: () => {} });
        await append(one.log, records(3));
        one.relay!.send(Buffer.from("a packet"));
        await rung.promise;
        assert.equal(Buffer.from(await packets.promise).toString(), "a packet");
        stop();
        stopRelay();
        const repeated = records(1);
        const all = await Promise.all([repeated, repeated, records(1)].map((each) => append(two.log, each)));
        assert.equal(all.flat().filter(({ duplicate }) => duplicate).length, 1);
        assert.deepEqual(sequencesOf(await readAll(one.log)), [1, 2, 3, 4, 5]);
        assert.deepEqual([one.problem(), two.problem()], [undefined, undefined]);
      }

      it("in session mode it is as without", async () => {
        const url = await pooler("session");
        await expectOneBus(await postgres.openAt(url, PATIENT), await postgres.openAt(url, PATIENT));
      });

      it("leaves nothing in the sessions that it gives back by which others would lose messages", async () => {
        const url = await pooler("session", ["server_reset_query =", "default_pool_size = 8"]);
        const options = { ...PATIENT, maxConnections: 2 };
        const nodes = [await postgres.openAt(url, options), await postgres.openAt(url, options)] as const;
        await expectOneBus(...nodes);
        for (const node of nodes) await node.close();
        const clients = Array.from({ length: 8 }, () => new pg.Client({ connectionString: url }));
        for (const client of clients) await client.connect();
        for (const client of clients) {
          assert.deepEqual((await client.query("SHOW synchronous_commit")).rows, [{ synchronous_commit: "on" }]);
        }
        for (const client of clients) await client.end();
      });

      it("in transaction mode the start is refused, with what to do, and nothing is made", async () => {
        const url = await pooler("transaction", PREPARED);
        await assert.rejects(
          postgres.openAt(url, PATIENT),
          isPlain(/pooler in transaction mode.*pool_mode to session/),
        );
        const schemas = await postgres.tamper(`SELECT FROM pg_namespace WHERE nspname = '${postgres.prefix}'`);
        assert.equal(schemas.length, 0);
      });

      it("in statement mode the start is refused, with what to do", async () => {
        const url = await pooler("statement");
        await assert.rejects(postgres.openAt(url, PATIENT), isPlain(/pooler in statement mode.*pool_mode to session/));
      });

      it("in transaction mode without prepared statements a direct way to listen does not help", async () => {
        const url = await pooler("transaction", PASSES_PREPARED ? ["max_prepared_statements = 0"] : []);
        const opening = postgres.openAt(url, { ...PATIENT, listenUrl: postgres.url() });
        await assert.rejects(opening, isPlain(/prepared statements.*max_prepared_statements/));
      });

      it.skipIf(!PASSES_PREPARED)(
        `in transaction mode with a direct way to listen it is as without${PASSES_PREPARED ? "" : ", SKIPPED: needs PgBouncer 1.21"}`,
        async () => {
          const url = await pooler("transaction", PREPARED);
          const options = { ...PATIENT, listenUrl: postgres.url() };
          await expectOneBus(await postgres.openAt(url, options), await postgres.openAt(url, options));
        },
      );

      it("a way to listen that leads to transaction mode is refused", async () => {
        const listenUrl = await pooler("transaction", PREPARED);
        const opening = postgres.openAt(postgres.url(), { ...PATIENT, listenUrl });
        await assert.rejects(opening, isPlain(/listenUrl leads to a pooler in transaction mode/));
      });

      it("transaction mode that the opening could not see shows to who listens", async () => {
        // Of two sessions that are lent in turn, who asks while the other one is lent gets his own again.
        const url = await pooler("transaction", [...PREPARED, "server_round_robin = 1", "default_pool_size = 2"]);
        const clients = [1, 2].map(() => new pg.Client({ connectionString: url }));
        for (const client of clients) await client.connect();
        for (const client of clients) await client.query("BEGIN");
        for (const client of clients) await client.query("COMMIT");
        for (const client of clients) await client.end();
        const storage = await postgres.openAt(postgres.url(), { ...PATIENT, listenUrl: url });
        await eventually(() => storage.problem()?.includes("pooler in transaction mode"), "the storage to say why");
      });

      it("a pool that is too small is named", async () => {
        const url = await pooler("session", ["default_pool_size = 1"]);
        await assert.rejects(postgres.openAt(url), /room for all connections.*lent no second session/);
      });
    },
  );
});

/** 1.21 is 1,021. */
function versionOf(program: string): number {
  const said = execFileSync(program, ["--version"], { encoding: "utf8" });
  const [, major, minor] = /PgBouncer (\d+)\.(\d+)/.exec(said) ?? [];
  return Number(major) * 1_000 + Number(minor);
}
