import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, it } from "vitest";
import { startBus } from "../support/bus-process.ts";
import { runCli, startCli } from "./cli-program.ts";

describe("agentbus serve and config", () => {
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), "agentbus-serve-"));
  });
  afterEach(() => rmSync(folder, { recursive: true, force: true }));

  it("serves, says what a newcomer must know, and drains on SIGTERM with its last words written", async () => {
    await using bus = await startBus();
    await bus.waitForLog((line) => line.msg.includes(`listens on ${bus.url}`), "where it listens");
    await bus.waitForLog((line) => line.msg.includes("forgets everything"), "that memory forgets");
    assert.deepEqual(await bus.stop(), { code: 0, signal: null });
    assert.equal(bus.log.at(-1)?.msg, "stopped");
  });

  it("S3-FR-001: takes host, port and storage as options, and the rest with --set", async () => {
    const storage = `file:${join(folder, "data")}`;
    await using bus = await startBus({
      args: ["--host", "127.0.0.1", "--storage", storage, "--set", "limits.maxHops=3"],
    });
    await runCli(["publish", "a:b", "kept"], { url: bus.url });
    const [status] = (await runCli(["--json", "status"], { url: bus.url })).json();
    assert.equal((status!["nodes"] as Record<string, unknown>[])[0]?.["storage"], "file");
    await bus.kill();
    await using again = await startBus({ args: ["--storage", storage] });
    assert.match((await runCli(["fetch", "a:b"], { url: again.url })).stdout, /: kept\n$/);
  });

  it("refuses a wrong configuration with 2 and all its faults, from every source", async () => {
    const file = join(folder, "agentbus.yaml");
    writeFileSync(file, "server:\n  prot: 1\nlog:\n  level: loud\n");
    const args = ["serve", "--config", file, "--port", "70000", "--set", "limits.maxHops=none"];
    const refused = await runCli(args, { env: { AGENTBUS_HEARTBEAT: "often" } });
    assert.equal(refused.code, 2);
    for (const fault of ["prot", "log.level", "server.port", "limits.maxHops", "heartbeat"]) {
      assert.ok(refused.stderr.includes(fault), `${fault} in ${refused.stderr}`);
    }
    const check = await runCli(["--json", "config", "check", "--config", file]);
    assert.equal(check.code, 2);
    const { error } = JSON.parse(check.stderr);
    assert.equal(error.kind, "config");
    assert.deepEqual(
      error.faults.map((fault: { source: string }) => fault.source),
      [file, file],
    );
  });

  it("listens beyond loopback only with keys, or when it is told to", async () => {
    const refused = await runCli(["config", "check", "--host", "0.0.0.0"]);
    assert.equal(refused.code, 2);
    assert.match(refused.stderr, /server\.unsafePublic/);
    const allowed = await runCli(["config", "check", "--host", "0.0.0.0", "--unsafe-public"]);
    assert.equal(allowed.stdout, "The configuration is good.\n");
  });

  it("config print shows what is in force, without secrets, in a form that is read back", async () => {
    const hash = "0".repeat(64);
    const keys = `auth.apiKeys=[{name: a, sha256: "${hash}", agents: [a]}]`;
    const printed = await runCli(["config", "print", "--set", keys, "--set", "server.drain=3s"]);
    assert.equal(printed.code, 0, printed.stderr);
    assert.match(printed.stdout, /^ {2}drain: 3s$/m);
    assert.ok(!printed.stdout.includes(hash));
    const [json] = (await runCli(["--json", "config", "print"])).json();
    assert.equal((json!["server"] as Record<string, unknown>)["port"], 7400);
    const file = join(folder, "printed.yaml");
    writeFileSync(file, (await runCli(["config", "print"])).stdout);
    assert.equal((await runCli(["config", "check", "--config", file])).code, 0);
  });

  it("says which port is taken", async () => {
    await using bus = await startBus();
    const second = await runCli(["serve", "--port", String(bus.port)]);
    assert.equal(second.code, 1);
    assert.match(second.stderr, new RegExp(`Port ${bus.port} of 127\\.0\\.0\\.1 is taken by another program`));
    assert.ok(!/\n {4}at /.test(second.stderr), "no stack");
  });

  it("says who has the data directory", async () => {
    const storage = `file:${join(folder, "data")}`;
    await using bus = await startBus({ args: ["--storage", storage] });
    const second = await runCli(["serve", "--port", "0", "--storage", storage]);
    assert.equal(second.code, 1);
    assert.match(second.stderr, new RegExp(`STORAGE_UNAVAILABLE: .*${bus.pid}`));
    assert.ok(!/\n {4}at /.test(second.stderr), "no stack");
  });

  it("says which file of TLS is missing or not PEM", async () => {
    const missing = await runCli([
      "serve",
      "--port",
      "0",
      "--set",
      `server.tls={cert: ${folder}/none.pem, key: ${folder}/k}`,
    ]);
    assert.equal(missing.code, 1);
    assert.match(missing.stderr, /server\.tls\.cert: .*none\.pem cannot be read/);
    assert.ok(!/\n {4}at /.test(missing.stderr), "no stack");
    writeFileSync(join(folder, "empty.pem"), "");
    const pem = `server.tls={cert: ${folder}/empty.pem, key: ${folder}/empty.pem}`;
    assert.match((await runCli(["serve", "--port", "0", "--set", pem])).stderr, /empty\.pem is not PEM/);
  });

  it("says what is wrong with a storage", async () => {
    const unknown = await runCli(["serve", "--port", "0", "--storage", "tape:drive"]);
    assert.equal(unknown.code, 1);
    assert.match(unknown.stderr, /storage "tape:drive": give one of file:, memory:/);
    mkdirSync(join(folder, "taken"));
    writeFileSync(join(folder, "taken", "file"), "");
    const inFile = await runCli(["serve", "--port", "0", "--storage", `file:${folder}/taken/file`]);
    assert.equal(inFile.code, 1);
    assert.ok(!/\n {4}at /.test(inFile.stderr), inFile.stderr);
  });

  it("keeps what libraries say of broken calls out of the terminal", async () => {
    await using bus = await startBus({ args: ["--set", "log.level=debug"] });
    const reader = startCli(["--json", "subscribe", "a:b", "--earliest"], { url: bus.url });
    await runCli(["publish", "a:b", "x"], { url: bus.url });
    await reader.printedLines(1);
    reader.child.kill("SIGKILL");
    await reader.outcome;
    // And one whose HTTP/1.1 client leaves in the middle of a portable stream.
    const body = '{"agentId":"bob","channels":["a:b"]}';
    const envelope = Buffer.concat([Buffer.from([0, 0, 0, 0, body.length]), Buffer.from(body)]);
    const socket = connect(bus.port, "127.0.0.1");
    socket.write(
      `POST /agentbus.v1.BusService/Subscribe HTTP/1.1\r\nhost: 127.0.0.1:${bus.port}\r\n` +
        `content-type: application/connect+json\r\ncontent-length: ${envelope.length}\r\n\r\n`,
    );
    socket.write(envelope);
    await new Promise((resolve) => socket.once("data", resolve));
    socket.destroy();
    assert.deepEqual(await bus.stop(), { code: 0, signal: null });
    await bus.waitForLog((line) => line.msg.startsWith("More:"), "the end of the banner");
    const afterBanner = bus.log.findIndex((line) => line.msg.startsWith("More:")) + 2;
    const raw = bus.log.slice(afterBanner).filter((line) => line.level === "text" && line.msg !== "");
    assert.deepEqual(raw, []);
  });
});
