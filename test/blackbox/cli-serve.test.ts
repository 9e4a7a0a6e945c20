import assert from "node:assert/strict";
import { once } from "node:events";
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { connect } from "node:http2";
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

  it("takes host, port and storage as options, and the rest with --set", async () => {
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
    assert.match(unknown.stderr, /storage "tape": give one of file:, mariadb:, memory:/);
    mkdirSync(join(folder, "taken"));
    writeFileSync(join(folder, "taken", "file"), "");
    const inFile = await runCli(["serve", "--port", "0", "--storage", `file:${folder}/taken/file`]);
    assert.equal(inFile.code, 1);
    assert.ok(!/\n {4}at /.test(inFile.stderr), inFile.stderr);
  });

  it("a reader goes on after the server was killed and came back, without a gap or a double", async () => {
    const args = ["--storage", `file:${join(folder, "data")}`];
    const first = await startBus({ args, comesBack: true });
    const reader = startCli(["--json", "subscribe", "a:b", "--earliest", "-n", "3"], { url: first.url });
    await runCli(["publish", "a:b", "-"], { url: first.url, input: "1\n2\n" });
    await reader.printedLines(2);
    await first.kill();
    await reader.told("the connection was cut");
    await using again = await startBus({ args, port: first.port });
    await reader.told("connected again");
    await runCli(["publish", "a:b", "3"], { url: again.url });
    const { code, json } = await reader.outcome;
    assert.equal(code, 0);
    assert.deepEqual(
      json().map((message) => message["text"]),
      ["1", "2", "3"],
    );
  });

  it.skipIf(!existsSync("/usr/bin/script"))(
    "tells a person who waits for streams to end how to end them at once",
    async () => {
      const under = ["script", "-qe", "/dev/null", "-c"];
      const server = startCli(["serve", "--port", "0", "--set", "server.drain=10m"], { under, env: { TERM: "xterm" } });
      await server.wrote(/More: http/);
      const url = /http:\/\/127\.0\.0\.1:\d+/.exec(server.printed.stdout)![0];
      // A stream that does not go when it is told to: nobody reads it.
      const session = connect(url);
      session.on("error", () => {});
      const stream = session.request({
        ":method": "POST",
        ":path": "/agentbus.v1.BusService/Subscribe",
        "content-type": "application/connect+json",
      });
      stream.on("error", () => {});
      const body = Buffer.from('{"agentId":"bob","channels":["a:b"]}');
      const prefix = Buffer.alloc(5);
      prefix.writeUInt32BE(body.length, 1);
      stream.end(Buffer.concat([prefix, body]));
      await once(stream, "response");
      server.child.stdin!.write("\x03");
      await server.wrote(/Ctrl-C again ends them at once/);
      server.child.stdin!.write("\x03");
      assert.notEqual((await server.outcome).code, 0); // the shell around it was interrupted, too
      session.destroy();
    },
  );

  it("keeps what libraries say of broken calls out of the terminal", async () => {
    await using bus = await startBus();
    await bus.waitForLog((line) => line.msg.startsWith("More:"), "the end of the banner");
    const before = bus.log.length;
    const input = `${"x".repeat(100_000)}\n`.repeat(30);
    assert.equal((await runCli(["publish", "a:b", "-"], { url: bus.url, input })).code, 0);
    // Which write fails is up to the system: cut until one has.
    const isReport = (line: { msg: string }) => line.msg === "a library reported an error";
    for (let cuts = 0; cuts < 100 && !bus.log.some(isReport); cuts++) await cutWhileReading(bus.url);
    await bus.waitForLog(isReport, "what connect-node reports");
    assert.deepEqual(await bus.stop(), { code: 0, signal: null });
    const raw = bus.log.slice(before).filter((line) => line.level === "text" && line.msg !== "");
    assert.deepEqual(raw, []);
  });
});

/** Reads the channel over the portable path, and cuts the connection while much is on its way. */
async function cutWhileReading(url: string): Promise<void> {
  const session = connect(url);
  session.on("error", () => {});
  const stream = session.request({
    ":method": "POST",
    ":path": "/agentbus.v1.BusService/Subscribe",
    "content-type": "application/connect+json",
  });
  stream.on("error", () => {});
  const body = Buffer.from('{"agentId":"bob","channels":["a:b"],"earliest":true}');
  const prefix = Buffer.alloc(5);
  prefix.writeUInt32BE(body.length, 1);
  stream.end(Buffer.concat([prefix, body]));
  await once(stream, "data");
  session.destroy();
  await once(session, "close");
}
