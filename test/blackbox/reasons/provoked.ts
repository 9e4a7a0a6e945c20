import assert from "node:assert/strict";
import type { Error as ItemError } from "../../../gen/agentbus/v1/error_pb.ts";
import type { Failure } from "../../support/failure.ts";
import { seeReason } from "./seen-reasons.ts";

/** The failure has the reason, one of the table, with everything that a client needs to act on it. */
export function assertReason(failure: Failure | undefined, reason: string, code: string): void {
  assert.ok(failure !== undefined, `went well; expected ${reason}`);
  const shown = `${failure.code} ${failure.reason}: ${failure.message}`;
  assert.equal(failure.reason, reason, shown);
  assert.equal(failure.code, code, shown);
  assert.equal(failure.domain, "agentbus", shown);
  assert.match(failure.metadata["retry"] ?? "", /^(?:SAME|RECONNECT|NEVER)$/, shown);
  seeReason(failure.reason);
}

/** The same for one item of a stream that goes on. */
export function assertItemReason({ reason, message, metadata }: ItemError, expected: string): void {
  assert.equal(reason, expected, message);
  assert.match(metadata["retry"] ?? "", /^(?:SAME|RECONNECT|NEVER)$/, message);
  assert.notEqual(message, "");
  seeReason(reason);
}
