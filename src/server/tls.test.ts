import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { get } from "node:https";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { connect } from "node:tls";
import { afterAll, beforeAll, describe, it } from "vitest";
import { call, openSession, openSocket, readAll, startServer } from "../../test/support/in-process-server.ts";
import type { ServerOptions } from "./server.ts";
import { readTlsMaterial, type TlsMaterial } from "./tls-material.ts";

let folder: string;
let tls: TlsMaterial;

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "agentbus-tls-"));
  for (const name of ["server", "client"]) {
    execFileSync(
      "openssl",
      ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"].concat(
        ["-subj", `/CN=${name}`, "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"],
        ["-keyout", join(folder, `${name}.key`), "-out", join(folder, `${name}.pem`)],
      ),
      { stdio: "ignore" },
    );
  }
  tls = readTlsMaterial(files("server"));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function files(name: string) {
  return { cert: join(folder, `${name}.pem`), key: join(folder, `${name}.key`), requestClientCert: false };
}

function getBody(port: number, options: object): Promise<string> {
  return new Promise((resolve, reject) => {
    get({ port, host: "127.0.0.1", path: "/version", ca: tls.cert, agent: false, ...options }, (response) => {
      resolve(text(response));
    }).on("error", reject);
  });
}

describe("TLS", () => {
  it("S1-6b: serves HTTP/2 and HTTP/1.1 by ALPN, and HTTP/1.1 to who knows no ALPN", async () => {
    const { url, port } = await startServer({ tls });
    assert.match(url, /^https:/);
    const session = await openSession(url, { ca: tls.cert });
    assert.equal(session.alpnProtocol, "h2");
    assert.equal((await call(session, { ":path": "/health" })).status, 200);
    assert.match(await getBody(port, { ALPNProtocols: ["http/1.1"] }), /"server":"1\.2\.3"/);
    assert.match(await getBody(port, {}), /"server":"1\.2\.3"/);
  });

  it("offers HTTP/2 streams to the fast path as in plain text", async () => {
    const onHttp2Stream: ServerOptions["onHttp2Stream"] = (stream) => {
      stream.respond({ ":status": 200 });
      stream.end("fast");
      return true;
    };
    const { url } = await startServer({ tls, onHttp2Stream });
    const session = await openSession(url, { ca: tls.cert });
    assert.equal((await call(session, { ":path": "/a.B/C" })).body, "fast");
  });

  it("refuses clients without a certificate where one is wanted", async () => {
    const client = readTlsMaterial(files("client"));
    const { port, url } = await startServer({ tls: { ...tls, ca: client.cert, requestClientCert: true } });
    await assert.rejects(getBody(port, {}));
    const session = await openSession(url, { ca: tls.cert, cert: client.cert, key: client.key });
    assert.equal((await call(session, { ":path": "/health" })).status, 200);
  });

  it("survives plain text, garbage and a handshake that never ends", async () => {
    const { port, url } = await startServer({ tls, prefaceTimeoutMs: 50 });
    for (const bytes of ["GET / HTTP/1.1\r\n\r\n", "\x16\x03\x01\xff\xff", ""]) {
      const socket = await openSocket(port);
      socket.write(bytes, "latin1");
      await readAll(socket);
    }
    const quiet = connect({ port, host: "127.0.0.1", ca: tls.cert });
    quiet.on("error", () => {});
    await readAll(quiet);
    assert.equal((await call(await openSession(url, { ca: tls.cert }), { ":path": "/health" })).status, 200);
  });

  it("drains like plain text", async () => {
    const { url, server, port } = await startServer({ tls });
    await openSession(url, { ca: tls.cert });
    await getBody(port, {});
    await server.drain(10_000);
    assert.equal(server.connections, 0);
  });

  it("names the file that is wrong", () => {
    const { cert, key } = files("server");
    writeFileSync(join(folder, "empty.pem"), "");
    assert.throws(
      () => readTlsMaterial({ ...files("server"), key: "/none.key" }),
      /server\.tls\.key: \/none\.key cannot be read/,
    );
    assert.throws(
      () => readTlsMaterial({ cert, key: files("client").key, requestClientCert: false }),
      /do not make a pair/,
    );
    assert.throws(
      () => readTlsMaterial({ cert: join(folder, "empty.pem"), key, requestClientCert: false }),
      /server\.tls\.cert: .*empty\.pem is not PEM/,
    );
  });
});
