import assert from "node:assert/strict";
import { describe, it } from "vitest";
import { loadConfig } from "../config/load-config.ts";
import { BusError } from "../core/errors.ts";
import { consoleToLogger } from "./console-to-logger.ts";
import { explainStartFailure } from "./serve.ts";

describe("a node that does not start", () => {
  const config = loadConfig({ overrides: { server: { host: "127.0.0.9", port: 80 } } });
  const failure = (code: string) => Object.assign(new Error(`listen ${code}`), { code });

  it.each([
    ["EADDRINUSE", /^Port 80 of 127\.0\.0\.9 is taken by another program\. .*--port/],
    ["EACCES", /^This user may not listen on port 80 .*above 1023/],
    ["EADDRNOTAVAIL", /^127\.0\.0\.9 is no address of this machine\. .*--host/],
  ])("says what to do about %s", (code, text) => {
    const explained = explainStartFailure(failure(code), config) as Error;
    assert.match(explained.message, text);
    assert.equal((explained.cause as { code: string }).code, code);
  });

  it("leaves other failures as they are", () => {
    const error = new BusError("STORAGE_UNAVAILABLE", "locked");
    assert.equal(explainStartFailure(error, config), error);
  });
});

describe("the console of a node", () => {
  it("goes to the log while the node runs, and to the console again behind it", () => {
    const { console } = globalThis;
    const original = console.error;
    const logged: [fields: object, text: string][] = [];
    const log = (fields: object, text: string) => void logged.push([fields, text]);
    {
      using _console = consoleToLogger({ debug: log, info: log, warn: log, error: log });
      console.error("handler for rpc %s failed", "Publish", new Error("gone"));
    }
    assert.equal(console.error, original);
    const [[fields, text]] = logged as [[{ detail: string }, string]];
    assert.equal(text, "a library reported an error");
    assert.match(fields.detail, /^handler for rpc Publish failed Error: gone/);
  });
});
