import assert from "node:assert/strict";
import { describe, it } from "vitest";
import { BusError, CODES, isBusError, REASONS, type ReasonEntry, type Retry } from "./errors.ts";

const entries = Object.entries(REASONS) as [keyof typeof REASONS, ReasonEntry][];

describe("the table of reasons", () => {
  it.each(entries)("S4-12: %s has a code, what a client does, and a text", (reason, { code, retry, text }) => {
    assert.match(reason, /^[A-Z]+(_[A-Z]+)*$/);
    assert.ok(code in CODES);
    assert.ok((["SAME", "RECONNECT", "NEVER"] satisfies Retry[]).includes(retry));
    assert.match(text, /^[A-Z`].*\.$/s);
    assert.ok(text.length >= 15 && text.length <= 250);
  });

  it("never says NEVER of what may heal, nor SAME of what cannot", () => {
    for (const [reason, { code, retry }] of entries) {
      if (code === "UNAVAILABLE" || code === "DEADLINE_EXCEEDED") assert.notEqual(retry, "NEVER", reason);
      if (code === "INVALID_ARGUMENT" || code === "PERMISSION_DENIED") assert.equal(retry, "NEVER", reason);
    }
  });

  it("has gRPC's numbers", () => {
    assert.equal(new Set(Object.values(CODES)).size, 16);
    assert.deepEqual([CODES.INVALID_ARGUMENT, CODES.UNAVAILABLE, CODES.UNAUTHENTICATED], [3, 14, 16]);
  });
});

describe("BusError", () => {
  it("takes code and retry from the table", () => {
    const error = new BusError("OVERLOADED", "full", { retryDelayMs: 5 });
    assert.deepEqual([error.code, error.retry, error.details.retryDelayMs], ["UNAVAILABLE", "SAME", 5]);
    assert.equal(isBusError(error, "OVERLOADED"), true);
    assert.equal(isBusError(error, "GAP"), false);
    assert.equal(isBusError(new Error("OVERLOADED")), false);
  });

  it("tells of which message it speaks, once, and keeps its cause", () => {
    const cause = new Error("deep");
    const first = new BusError("INVALID_FIELD", "name is bad", { cause }).at(2);
    assert.deepEqual([first.message, first.details.index, first.cause], ["messages[2]: name is bad", 2, cause]);
    assert.equal(first.at(0), first);
  });
});
