import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, it } from "vitest";
import { append, INCARNATION, isBusError, NAME, records } from "../conformance/appending.ts";
import { describeWithOwnServer } from "../support/server-process.ts";
import { openRedis } from "./redis-fixture.ts";
import { type RedisProcess, startTlsRedis } from "./redis-process.ts";

await describeWithOwnServer("redis", () => {
  describe("redis: TLS", () => {
    let folder = "";
    let certificate = "";
    let server: RedisProcess;
    beforeAll(async () => {
      folder = mkdtempSync(join(tmpdir(), "agentbus-redis-tls-"));
      certificate = join(folder, "server.crt");
      const key = join(folder, "server.key");
      const names = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"];
      const kind = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];
      execFileSync("openssl", ["req", "-x509", "-days", "2", ...kind, ...names, "-keyout", key, "-out", certificate], {
        stdio: "ignore",
      });
      server = await startTlsRedis(certificate, key);
    });
    afterAll(async () => {
      await server?.stop();
      rmSync(folder, { recursive: true, force: true });
    });

    const trusting = () => ({ ioredis: { tls: { ca: readFileSync(certificate, "utf8") } } });

    it("S1-6b: talks to a server whose certificate and name are right, on every connection", async () => {
      const storage = await openRedis(`rediss://localhost:${server.port}`, trusting());
      await storage.log.create(NAME, INCARNATION, 1);
      const rung = new Promise((resolve) => {
        storage.doorbell.listen(resolve);
      });
      await append(storage.log, records(1));
      await rung;
      await storage.close();
    });

    it("refuses an unknown authority, another name, and plain text", async () => {
      const unavailable = isBusError("STORAGE_UNAVAILABLE");
      const refused = (text: RegExp) => (error: Error) => !unavailable(error) && text.test(error.message);
      await assert.rejects(openRedis(`rediss://localhost:${server.port}`, {}), refused(/ioredis\.tls\.ca/));
      await assert.rejects(openRedis(`rediss://127.0.0.1:${server.port}`, trusting()), refused(/name the host/));
      await assert.rejects(openRedis(`redis://localhost:${server.port}`, {}), unavailable);
    });
  });
});
