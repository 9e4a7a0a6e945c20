import assert from "node:assert/strict";
import { describe, it } from "vitest";
import { BusError } from "../core/errors.ts";
import { createLogger, type LoggerOptions } from "./logger.ts";

function logTo(options: LoggerOptions & { isTTY?: boolean } = {}) {
  const lines: string[] = [];
  const output = { write: (line: string) => void lines.push(line), isTTY: options.isTTY ?? false };
  return { log: createLogger({ ...options, output }), lines };
}

describe("logger", () => {
  it("writes one JSON object a line, with level, time, fields and text", () => {
    const { log, lines } = logTo({ fields: { node: "n1" } });
    log.info({ port: 7400 }, "listening");
    const entry = JSON.parse(lines[0] as string) as Record<string, unknown>;
    assert.match(String(entry["time"]), /^\d{4}-\d\d-\d\dT[\d:.]+Z$/);
    assert.deepEqual({ ...entry, time: "" }, { level: "info", time: "", node: "n1", port: 7400, msg: "listening" });
    assert.ok(lines[0]?.endsWith("\n"));
  });

  it("leaves out what is below its level", () => {
    const { log, lines } = logTo({ level: "warn" });
    log.debug({}, "a");
    log.info({}, "b");
    log.warn({}, "c");
    log.error({}, "d");
    assert.equal(lines.length, 2);
  });

  it("S1-6b: never writes tokens, keys or payloads, wherever they hide", () => {
    const { log, lines } = logTo();
    const authorization = "Bearer hunter2";
    log.warn({ authorization, headers: { authorization }, request: { headers: { authorization } } }, "refused");
    log.warn({ payload: "hunter2", message: { data: "hunter2" }, apiKey: "hunter2", token: "hunter2" }, "refused");
    assert.doesNotMatch(lines.join(""), /hunter2/);
    assert.match(lines[0] ?? "", /"authorization":"\[redacted\]"/);
  });

  it("writes errors with their stack", () => {
    const { log, lines } = logTo();
    log.error({ error: new Error("broken") }, "failed");
    const { error } = JSON.parse(lines[0] as string) as { error: { message: string; stack: string } };
    assert.equal(error.message, "broken");
    assert.match(error.stack, /logger\.test\.ts/);
  });

  it("writes what operation brings in words, without a stack, unless a bug is its cause", () => {
    const { log, lines } = logTo({ format: "pretty" });
    const refused = Object.assign(new Error("connect ECONNREFUSED 127.0.0.1:1"), { syscall: "connect" });
    log.warn({ err: refused }, "away");
    log.warn({ err: new BusError("STORAGE_UNAVAILABLE", `Redis: ${refused.message}`, { cause: refused }) }, "away");
    log.warn({ err: new BusError("STORAGE_UNAVAILABLE", "Redis", { cause: new Error("LOADING") }) }, "away");
    log.warn({ err: new BusError("STORAGE_UNAVAILABLE", "Redis", { cause: new TypeError("x is null") }) }, "away");
    const [system, wrapped, caused, bug] = lines.map((line) => line.slice(line.indexOf("err")));
    assert.equal(system, 'err="connect ECONNREFUSED 127.0.0.1:1"\n');
    assert.equal(wrapped, 'err="Redis: connect ECONNREFUSED 127.0.0.1:1"\n');
    assert.equal(caused, 'err="Redis: LOADING"\n');
    assert.match(bug ?? "", /TypeError: x is null\n +at /);
  });

  it("writes errors whose causes form a ring", () => {
    const { log, lines } = logTo();
    const error = new BusError("STORAGE_UNAVAILABLE", "one");
    error.cause = new Error("two", { cause: error });
    log.warn({ err: error }, "away");
    assert.match(lines[0] ?? "", /"message":"one: two"/);
  });

  it("writes lines for people on a terminal, in colours only there", () => {
    const plain = logTo({ format: "pretty" });
    plain.log.info({ host: "127.0.0.1", why: "two words", n: 1 }, "listening");
    assert.match(
      plain.lines[0] ?? "",
      /^\d\d:\d\d:\d\d\.\d{3} INFO {2}listening host=127\.0\.0\.1 why="two words" n=1\n$/,
    );
    const terminal = logTo({ isTTY: true });
    terminal.log.error({ error: new Error("broken") }, "failed");
    assert.ok(terminal.lines[0]?.includes("\u001b[31mERROR"));
    assert.match(terminal.lines[0] ?? "", /\n {2}error: Error: broken\n {2} +at /);
  });

  it("shows control characters of clients as text", () => {
    const { log, lines } = logTo({ format: "pretty" });
    log.warn({ agent: "a\u001b[2J\u0085b" }, "bad\nname\u001b[0m");
    assert.equal(lines[0]?.split("\n").length, 2);
    assert.doesNotMatch(lines[0] ?? "", /(?!\n)\p{Cc}/u);
  });
});
