import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { chmodSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createConnection } from "mysql2/promise";
import { afterAll, beforeAll, describe, it } from "vitest";
import { findPrograms } from "../../scripts/servers/find-programs.ts";
import { type LaunchedServer, launch } from "../../scripts/servers/launch.ts";
import { mariadb } from "../../scripts/servers/mariadb.ts";
import type { Command } from "../../scripts/servers/server-kind.ts";
import { BusError } from "../../src/core/errors.ts";
import { createMysqlStorage, type MysqlStorageOptions } from "../../src/storage/mysql/index.ts";
import { testEnvironment } from "../conformance/opened-storage.ts";

const programs = findPrograms(mariadb);

/** Signed by itself: it is its own authority. */
function makeCertificate(folder: string, name: string, subject: string): void {
  const file = join(folder, name);
  const key = ["-newkey", "rsa:2048", "-nodes", "-keyout", `${file}.key`, "-out", `${file}.pem`];
  const names = ["-subj", `/CN=${name}`, "-addext", `subjectAltName=${subject}`];
  execFileSync("openssl", ["req", "-x509", "-days", "2", ...key, ...names], { stdio: "ignore" });
  chmodSync(`${file}.key`, 0o644); // the server runs as another user
}

describe.skipIf(programs === undefined)("S3-E.5: mysql over TLS", () => {
  const folder = mkdtempSync(join(tmpdir(), "agentbus-mysql-tls-"));
  const file = (name: string) => join(folder, name);
  const servers: LaunchedServer[] = [];

  const start = async (name: string) => {
    const serve: (typeof mariadb)["serve"] = (place) =>
      [
        ...mariadb.serve(place),
        `--ssl-cert=${file(`${name}.pem`)}`,
        `--ssl-key=${file(`${name}.key`)}`,
      ] as unknown as Command;
    const server = await launch({ ...mariadb, serve }, programs!, false);
    servers.push(server);
    return server;
  };

  let good: LaunchedServer;
  let elsewhere: LaunchedServer;
  beforeAll(async () => {
    chmodSync(folder, 0o755);
    makeCertificate(folder, "good", "DNS:localhost,IP:127.0.0.1");
    makeCertificate(folder, "elsewhere", "DNS:elsewhere.example.org");
    [good, elsewhere] = await Promise.all([start("good"), start("elsewhere")]);
  });
  afterAll(async () => {
    for (const server of servers) await server.stop();
    rmSync(folder, { recursive: true, force: true });
  });

  const open = (url: string, options: MysqlStorageOptions) =>
    createMysqlStorage(url, { prefix: "tls", ...options }, testEnvironment().environment);
  const byName = (url: string) => url.replace("127.0.0.1", "localhost");

  async function works(url: string, options: MysqlStorageOptions): Promise<void> {
    const storage = await open(url, options);
    await storage.directory.put({ kind: "room", parent: "", id: "a" }, {});
    await storage.close();
  }

  async function refused(url: string, options: MysqlStorageOptions): Promise<void> {
    await assert.rejects(open(url, options), (error: Error) => {
      return !(error instanceof BusError) && /tlsMode, tlsCaFile/.test(error.message);
    });
  }

  it("verifies authority and name of the server", async () => {
    await works(byName(good.url), { tlsCaFile: file("good.pem") });
    await refused(byName(elsewhere.url), { tlsCaFile: file("elsewhere.pem") });
    await works(byName(elsewhere.url), { tlsCaFile: file("elsewhere.pem"), tlsMode: "verify-ca" });
    await refused(byName(good.url), { tlsCaFile: file("elsewhere.pem"), tlsMode: "verify-ca" });
    await refused(byName(good.url), { tlsMode: "verify-identity" });
  });

  it("verifies the address, too, where the URL has no name", async () => {
    await works(good.url, { tlsCaFile: file("good.pem") });
    await refused(elsewhere.url, { tlsCaFile: file("elsewhere.pem") });
  });

  it("can do without knowing the server, when asked to", async () => {
    await works(`${byName(elsewhere.url)}?ssl-mode=REQUIRED`, {});
  });

  it("speaks to a server that wants nothing else", async () => {
    const admin = await createConnection(good.url);
    await admin.query("CREATE USER 'careful'@'%' IDENTIFIED BY 'pass' REQUIRE SSL");
    await admin.query("GRANT ALL ON *.* TO 'careful'@'%'");
    const url = byName(good.url).replace("root@", "careful:pass@");
    await works(url, { tlsCaFile: file("good.pem") });
    await assert.rejects(open(url, {}), (error: Error) => !(error instanceof BusError));
    await admin.end();
  });
});
