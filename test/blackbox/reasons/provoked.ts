import assert from "node:assert/strict";
import type { Error as ItemError } from "../../../gen/agentbus/v1/error_pb.ts";
import type { Failure } from "../../support/failure.ts";
import { publishedReasons, seeReason } from "./seen-reasons.ts";

/** The call failed for this reason, with the code and the retry that docs/errors.md has for it. */
export function assertReason(failure: Failure | undefined, reason: string): asserts failure is Failure {
  assert.ok(failure !== undefined, `went well; expected ${reason}`);
  const shown = `${failure.code} ${failure.reason}: ${failure.message}`;
  assert.equal(failure.reason, reason, shown);
  assert.equal(failure.domain, "agentbus", shown);
  const told = { code: failure.code, retry: failure.metadata["retry"] };
  assert.deepEqual(told, publishedReasons().get(reason), `${shown}: not as docs/errors.md has it`);
  seeReason(reason);
}

/** The same for one item of a stream that goes on. */
export function assertItemReason({ reason, message, metadata }: ItemError, expected: string): void {
  assert.equal(reason, expected, message);
  assert.equal(metadata["retry"], publishedReasons().get(reason)?.retry, message);
  assert.notEqual(message, "");
  seeReason(reason);
}
