import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { chmodSync, chownSync, statSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, it } from "vitest";
import { BusError } from "../../src/core/errors.ts";
import { createPostgresStorage } from "../../src/storage/postgres/index.ts";
import { append, INCARNATION, NAME, records } from "../conformance/appending.ts";
import { testEnvironment } from "../conformance/opened-storage.ts";
import { describeWithOwnServer } from "../support/server-process.ts";
import { waitUntil } from "../support/wait.ts";
import { usePostgres } from "./postgres-fixture.ts";

await describeWithOwnServer("postgres", (start) => {
  describe("postgres: TLS", () => {
    const postgres = usePostgres(start);
    let certificate = "";

    beforeAll(async () => {
      const data = await postgres.dataFolder();
      certificate = join(data, "server.crt");
      const key = join(data, "server.key");
      const names = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"];
      const kind = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];
      execFileSync("openssl", ["req", "-x509", "-days", "2", ...kind, ...names, "-keyout", key, "-out", certificate], {
        stdio: "ignore",
      });
      const { uid, gid } = statSync(data);
      for (const file of [key, certificate]) chownSync(file, uid, gid);
      chmodSync(key, 0o600);
      await postgres.tamper("ALTER SYSTEM SET ssl = on");
      await postgres.tamper("SELECT pg_reload_conf()");
      await waitUntil(async () => (await postgres.tamper<{ ssl: string }>("SHOW ssl"))[0]!.ssl === "on");
    });

    const open = (host: string, parameters: string) => {
      const url = new URL(postgres.url());
      url.hostname = host;
      url.search = parameters;
      return createPostgresStorage(url.href, { prefix: postgres.prefix }, testEnvironment().environment);
    };
    const isPlain = (pattern: RegExp) => (error: unknown) =>
      error instanceof Error && !(error instanceof BusError) && pattern.test(error.message);

    it("refuses a server without TLS where the URL asks for it, and does not wait for it", async () => {
      await postgres.tamper("ALTER SYSTEM SET ssl = off");
      await postgres.tamper("SELECT pg_reload_conf()");
      await waitUntil(async () => (await postgres.tamper<{ ssl: string }>("SHOW ssl"))[0]!.ssl === "off");
      await assert.rejects(open("localhost", "sslmode=require"), isPlain(/does not support SSL.*turn TLS on/));
      await postgres.tamper("ALTER SYSTEM SET ssl = on");
      await postgres.tamper("SELECT pg_reload_conf()");
      await waitUntil(async () => (await postgres.tamper<{ ssl: string }>("SHOW ssl"))[0]!.ssl === "on");
    });

    it("S1-6b: talks to a server whose certificate and name are right", async () => {
      const storage = await open("localhost", `sslmode=verify-full&sslrootcert=${certificate}`);
      await storage.log.create(NAME, INCARNATION, 1);
      await append(storage.log, records(1));
      const text = `SELECT bool_and(ssl) AS ssl FROM pg_stat_ssl JOIN pg_stat_activity USING (pid)
                   WHERE application_name LIKE 'agentbus/${postgres.prefix}%'`;
      assert.equal((await postgres.tamper<{ ssl: boolean }>(text))[0]!.ssl, true);
      await storage.close();
    });

    it("refuses an unknown authority, another name, and a file that is not there", async () => {
      await assert.rejects(open("localhost", "sslmode=verify-full"), isPlain(/certificate is not trusted/));
      await assert.rejects(open("localhost", "sslmode=require"), isPlain(/certificate is not trusted/));
      const root = `sslrootcert=${certificate}`;
      await assert.rejects(open("127.0.0.1", `sslmode=verify-full&${root}`), isPlain(/certificate is not trusted/));
      await assert.rejects(open("localhost", "sslmode=verify-full&sslrootcert=/no/such/file"), isPlain(/no such file/));
    });
  });
});
