import assert from "node:assert/strict";
import { describe, it } from "vitest";
import { BusError, type Reason } from "../../core/errors.ts";
import { PublishFailures } from "./publish-failures.ts";

function open() {
  const lines: string[] = [];
  const write =
    (level: string) =>
    (fields: object, text: string): void => {
      const { failures, unlogged } = fields as { failures?: number; unlogged?: number };
      lines.push(`${level} ${text}${failures === undefined ? "" : ` (${failures})`}${unlogged ? ` +${unlogged}` : ""}`);
    };
  const log = { debug: write("debug"), info: write("info"), warn: write("warn"), error: write("error") };
  const failures = new PublishFailures(log);
  return {
    failures,
    fail: (reason: Reason, atMs: number) => failures.failed("alice", new BusError(reason, "away"), atMs),
    told: () => lines.splice(0),
  };
}

describe("the log of publishes that fail", () => {
  it("tells an outage of the storage by its beginning, a count each minute, and its end", () => {
    const { failures, fail, told } = open();
    for (let ms = 0; ms < 120_000; ms += 100) fail(ms % 200 === 0 ? "STORAGE_UNAVAILABLE" : "OVERLOADED", ms);
    assert.deepEqual(told(), [
      "error Failed to send message: away",
      "error Still failing to send messages: away (601)",
    ]);
    failures.stored(120_000);
    assert.deepEqual(told(), [], "it takes some and refuses others");
    failures.stored(125_000);
    failures.stored(125_001);
    assert.deepEqual(told(), ["info messages are stored again (1200)"]);
    fail("STORAGE_UNAVAILABLE", 126_000);
    assert.deepEqual(told(), ["error Failed to send message: away"]);
  });

  it("tells 20 other failures at once, then one a second, and how many it did not tell", () => {
    const { fail, told } = open();
    for (let i = 0; i < 50; i++) fail("OVERLOADED", 0);
    assert.equal(told().length, 20);
    fail("OVERLOADED", 1_000);
    fail("OVERLOADED", 1_000);
    assert.deepEqual(told(), ["error Failed to send message: away +30"]);
  });
});
