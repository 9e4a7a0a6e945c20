import assert from "node:assert/strict";
import { describe, it } from "vitest";
import { endLeftovers, startBus } from "./bus-process.ts";

const listening = `console.log(JSON.stringify({ level: "info", msg: "listening", host: "127.0.0.1", port: 1234 }));`;
const program = (code: string) => ({ command: [process.execPath, "-e", code] });

describe("bus process", () => {
  it("resolves when the server listens, collects its log, and ends it with SIGTERM", async () => {
    // The handler first: it may be told to leave as soon as it says that it listens.
    const code = `process.on("SIGTERM", () => { console.log(JSON.stringify({ msg: "bye" })); process.exit(7); });
      console.error("a banner"); ${listening} setInterval(() => {}, 1000);`;
    const bus = await startBus(program(code));
    assert.equal(bus.url, "http://127.0.0.1:1234");
    await bus.waitForLog((line) => line.msg === "a banner", "its banner");
    assert.deepEqual(await bus.stop(), { code: 7, signal: null });
    await bus.waitForLog((line) => line.msg === "bye", "its farewell");
    await assert.rejects(
      bus.waitForLog((line) => line.msg === "more", "more"),
      /ended \(7\) before it logged more/,
    );
  });

  it("kills", async () => {
    await using bus = await startBus(program(`${listening} setInterval(() => {}, 1000);`));
    assert.deepEqual(await bus.kill(), { code: null, signal: "SIGKILL" });
  });

  it("says why a server did not come up", async () => {
    await assert.rejects(startBus(program(`console.error("port 7400 is taken"); process.exitCode = 3`)), (error) => {
      assert.match(String(error), /ended \(3\) before it logged listening[\s\S]*port 7400 is taken/);
      return true;
    });
    await assert.rejects(startBus({ ...program("setInterval(() => {}, 1000)"), startMs: 200 }), /to log listening/);
    await assert.rejects(startBus({ command: ["/nowhere/at-all"] }), /ENOENT/);
    assert.deepEqual(await endLeftovers(), []);
  });

  it("does not pass the test's own settings on", async () => {
    process.env["AGENTBUS_TEST_MARK"] = "1";
    const code = `console.log(JSON.stringify({ msg: "mark " + process.env.AGENTBUS_TEST_MARK })); ${listening}`;
    await using bus = await startBus(program(code));
    delete process.env["AGENTBUS_TEST_MARK"];
    assert.equal(bus.log[0]?.msg, "mark undefined");
  });

  it("ends what a test forgot, and tells", async () => {
    const { pid, exited } = await startBus(program(`${listening} setInterval(() => {}, 1000);`));
    assert.deepEqual(await endLeftovers(), [pid]);
    assert.deepEqual(await exited, { code: null, signal: "SIGKILL" });
  });
});
