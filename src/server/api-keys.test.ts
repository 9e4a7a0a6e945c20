import assert from "node:assert/strict";
import { describe, it } from "vitest";
import { type BusError, isBusError } from "../core/errors.ts";
import { ANYONE } from "../core/identity.ts";
import { createApiKey, createApiKeyAuthenticator } from "./api-keys.ts";

const { key, sha256 } = createApiKey();
const other = createApiKey();
const authenticator = createApiKeyAuthenticator([
  { name: "ci", sha256, agents: ["alice"], admin: false },
  { name: "ops", sha256: other.sha256.toUpperCase(), agents: ["ops-*", "root"], admin: true },
]);

describe("API keys", () => {
  it("S1-6b: tell who calls and for whom it may act", () => {
    const ci = authenticator.authenticate(`Bearer ${key}`);
    assert.deepEqual([ci.name, ci.defaultAgentId, ci.admin], ["ci", "alice", false]);
    assert.deepEqual(["alice", "alice2", "bob", ""].map(ci.mayActFor), [true, false, false, false]);
    const ops = authenticator.authenticate(`bearer  ${other.key} `);
    assert.deepEqual([ops.name, ops.defaultAgentId, ops.admin], ["ops", "", true]);
    assert.deepEqual(["ops-1", "root", "ops", "rootx"].map(ops.mayActFor), [true, true, false, false]);
  });

  it("may be for every agent, and then names none", () => {
    const all = createApiKeyAuthenticator([{ name: "all", sha256, agents: ["*"], admin: false }]).authenticate(
      `Bearer ${key}`,
    );
    assert.equal(all.defaultAgentId, "");
    assert.equal(all.mayActFor("anyone@example.com"), true);
  });

  it.each([
    ["nothing", undefined, /is missing: send/],
    ["an empty header", "", /is missing/],
    ["another scheme", `Basic ${key}`, /not of the form/],
    ["a bare key", key, /not of the form/],
    ["an endless header", `Bearer ${"a".repeat(100_000)}`, /not of the form/],
    ["another key", `Bearer ${createApiKey().key}`, /does not know/],
    ["the hash instead of the key", `Bearer ${sha256}`, /does not know/],
    ["a key cut short", `Bearer ${key.slice(0, -1)}`, /does not know/],
  ])("S1-6b: refuse %s as UNAUTHENTICATED, without repeating it", (_what, authorization, message) => {
    assert.throws(
      () => authenticator.authenticate(authorization),
      (error: BusError) =>
        isBusError(error, "UNAUTHENTICATED") && message.test(error.message) && !error.message.includes(key),
    );
  });

  it("are not asked for where none is configured", () => {
    const open = createApiKeyAuthenticator([]);
    assert.equal(open.required, false);
    assert.equal(open.authenticate(undefined), ANYONE);
    assert.equal(open.authenticate("Bearer left over from another server"), ANYONE);
  });

  it("are long and random", () => {
    assert.match(key, /^bus_[\w-]{43}$/);
    assert.notEqual(key, other.key);
  });
});
