import assert from "node:assert/strict";
import { BusError as ClientError } from "agentbus/node";
import { describe, it } from "vitest";
import { BusError } from "../core/errors.ts";
import { EXIT, Interrupted, UsageError } from "./exit-code.ts";
import { describeFailure } from "./failure.ts";

const URL = "http://127.0.0.1:7400";

describe("failures", () => {
  it("end with the exit code of their kind", () => {
    assert.equal(describeFailure(new UsageError("x"), URL).exitCode, EXIT.USAGE);
    assert.equal(describeFailure(new Interrupted(), URL).exitCode, EXIT.INTERRUPTED);
    assert.equal(describeFailure(new BusError("GAP", "x"), URL).exitCode, EXIT.FAILURE);
    assert.equal(describeFailure("thrown", URL).exitCode, EXIT.FAILURE);
  });

  it("tell what a person can act on without a stack, and a bug with one", () => {
    assert.equal(describeFailure(new Error("the file is not there"), URL).text, "the file is not there");
    assert.match(
      describeFailure(new TypeError("x is not a function"), URL).text,
      /TypeError: x is not a function\n {4}at /,
    );
  });

  it("name the reason, each violation, and what to do", () => {
    const violations = [{ field: "messages[0].priority", description: "must be at most 9" }];
    const init = {
      code: "INVALID_ARGUMENT",
      reason: "INVALID_FIELD",
      message: "a rule is broken",
      violations,
    } as const;
    const { text, json } = describeFailure(new ClientError(init), URL);
    assert.equal(text, "INVALID_FIELD: a rule is broken\n  messages[0].priority: must be at most 9");
    assert.equal(json["reason"], "INVALID_FIELD");
    assert.deepEqual(json["violations"], violations);
    assert.match(describeFailure(new BusError("UNAUTHENTICATED", "no key"), URL).text, /--api-key/);
    assert.match(describeFailure(new BusError("AGENT_ID_REQUIRED", "who?"), URL).text, /--agent/);
    assert.ok(!describeFailure(new BusError("OVERLOADED", "busy"), URL).text.includes("No bus answers"));
  });
});
