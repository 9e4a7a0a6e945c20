import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { connect } from "node:tls";
import { afterAll, beforeAll, describe, it } from "vitest";
import { type BusProcess, startBus } from "../support/bus-process.ts";
import { scrape } from "../support/metrics.ts";
import { openClients, type WireOptions } from "../support/wire-clients.ts";
import { runTool } from "./run-tool.ts";

const BUF = createRequire(import.meta.url).resolve(`@bufbuild/buf-${process.platform}-${process.arch}/bin/buf`);

const folder = mkdtempSync(join(tmpdir(), "agentbus-tls-"));
const file = (name: string) => join(folder, name);
let bus: BusProcess;
let url: string;

/** A key and a certificate for it, signed by itself: it is its own authority. */
function makeCertificate(name: string): void {
  const names = ["-subj", `/CN=${name}`, "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"];
  const key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", file(`${name}.key`)];
  execFileSync("openssl", ["req", "-x509", "-days", "2", ...key, ...names, "-out", file(`${name}.pem`)], {
    stdio: "ignore",
  });
}

beforeAll(async () => {
  for (const name of ["server", "client", "stranger"]) makeCertificate(name);
  const settings = {
    cert: file("server.pem"),
    key: file("server.key"),
    ca: file("client.pem"),
    requestClientCert: true,
  };
  bus = await startBus({
    args: Object.entries(settings).flatMap(([key, value]) => ["--set", `server.tls.${key}=${value}`]),
  });
  url = `https://127.0.0.1:${bus.port}`;
});
afterAll(async () => {
  await bus.kill();
  rmSync(folder, { recursive: true, force: true });
});

const identity = (name: string) => ({
  ca: readFileSync(file("server.pem")),
  cert: readFileSync(file(`${name}.pem`)),
  key: readFileSync(file(`${name}.key`)),
});

describe("S1-6b: TLS with client certificates", () => {
  const wires: readonly (readonly [string, WireOptions])[] = [
    ["gRPC", { protocol: "grpc" }],
    ["gRPC-Web", { protocol: "grpc-web", httpVersion: "1.1" }],
    ["Connect over HTTP/1.1", { protocol: "connect", httpVersion: "1.1" }],
    ["Connect JSON", { protocol: "connect", binary: false }],
  ];

  it.each(wires)("carries %s", async (name, wire) => {
    using clients = openClients(url, { ...wire, nodeOptions: identity("client") });
    const channel = name.replaceAll(/\W/g, "-");
    await clients.bus.publish({ agentId: "alice", room: "tls", channel, messages: [{ id: "only" }] });
    const start = { case: "earliest" as const, value: true };
    for await (const { messages } of clients.bus.subscribe({ agentId: "bob", channels: [`tls:${channel}`], start })) {
      if (messages.length === 0) continue;
      assert.equal(messages[0]!.id, "only");
      break;
    }
  });

  it("carries buf curl", async () => {
    const identityOptions = ["--cacert", file("server.pem"), "--cert", file("client.pem"), "--key", file("client.key")];
    const call = ["--protocol", "grpc", "-d", '{"payload":"hi"}', `${url}/agentbus.v1.AdminService/Ping`];
    const { code, stdout, stderr } = await runTool(BUF, ["curl", ...identityOptions, ...call]);
    assert.equal(code, 0, stderr);
    assert.match(stdout, /"hi"/);
  });

  it.each([
    ["h2", ["h2", "http/1.1"]],
    ["http/1.1", ["http/1.1"]],
    [false, undefined],
  ] as const)("settles %s by ALPN when the client offers %s", async (settled, offered) => {
    const socket = connect({
      host: "127.0.0.1",
      port: bus.port,
      ...identity("client"),
      ...(offered && { ALPNProtocols: [...offered] }),
    });
    await new Promise((resolve, reject) => socket.once("secureConnect", resolve).once("error", reject));
    assert.equal(socket.alpnProtocol, settled);
    socket.destroy();
  });

  it("refuses who has no certificate, or a stranger's", async () => {
    for (const nodeOptions of [{ ca: readFileSync(file("server.pem")) }, identity("stranger")]) {
      using clients = openClients(url, { nodeOptions });
      await assert.rejects(clients.admin.ping({}));
    }
  });

  it("survives plain text on its port", async () => {
    await assert.rejects(scrape(`http://127.0.0.1:${bus.port}`));
    using clients = openClients(url, { nodeOptions: identity("client") });
    assert.equal((await clients.admin.ping({ payload: "still there" })).payload, "still there");
  });
});
