import assert from "node:assert/strict";
import { describe, it } from "vitest";
import { describeAccess } from "./access.ts";
import { describeRefusals } from "./refusals.ts";
import { publishedReasons, seenReasons } from "./seen-reasons.ts";
import { describeStates } from "./states.ts";
import { describeStorage } from "./storage.ts";
import { describeTransport } from "./transport.ts";

describe("requests", describeRefusals);
describe("transport", describeTransport);
describe("access", describeAccess);
describe("states", describeStates);
describe("storage", describeStorage);

/** Reasons that no client can bring about at will, and where else they are proven. */
const NOT_PROVOKED_HERE: Readonly<Record<string, string>> = {
  CANCELLED: "told to nobody: the caller left. Counted in rpc_handled_total",
  CONCURRENT_UPDATE: "wants several nodes on one storage; unit tests of the directory's replica",
  DRAINING: "test/blackbox/drain.test.ts",
  INTERNAL: "a bug",
  STORAGE_UNAVAILABLE: "wants a storage that is away; unit tests of publisher and subscription",
};

describe("the table of reasons", () => {
  it("S3-FR-009: every reason was seen by a client, or it is said why not; none is outside the table", () => {
    const published = publishedReasons();
    const seen = seenReasons();
    assert.deepEqual(
      [...seen].filter((reason) => !published.has(reason)),
      [],
      "reasons outside the table",
    );
    const missing = [...published.keys()].filter((reason) => !seen.has(reason)).sort();
    assert.deepEqual(missing, Object.keys(NOT_PROVOKED_HERE).sort(), "reasons that no test provokes");
  });
});
