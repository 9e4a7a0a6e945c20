import assert from "node:assert/strict";
import { describe, it } from "vitest";
import { compileFilter, type Filter } from "./filter.ts";
import type { Facets, LogEntry } from "./message.ts";

const NONE: Filter = {
  types: [],
  names: [],
  senders: [],
  sessionIds: [],
  correlationIds: [],
  metadata: {},
  minPriority: 0,
  directOnly: false,
};
const entry: LogEntry = {
  sequence: 1,
  epoch: 1,
  acceptedAtMs: 0,
  expiresAtMs: 0,
  id: "",
  sender: "alice",
  audience: null,
  body: new Uint8Array(),
};
const facets: Facets = {
  type: "EVENT",
  name: "Created",
  sessionId: "s1",
  correlationId: "c1",
  priority: 5,
  metadata: { tier: "gold", x: "" },
  hopCount: 0,
};
const fits = (filter: Partial<Filter>, of: Partial<LogEntry> = {}) =>
  compileFilter({ ...NONE, ...filter })?.({ ...entry, ...of }, () => facets);

describe("filters", () => {
  it("S4-2d: one that sets nothing lets everything through", () => {
    assert.equal(compileFilter(NONE), undefined);
  });

  it.each<[string, Partial<Filter>, boolean]>([
    ["type", { types: ["COMMAND", "EVENT"] }, true],
    ["another type", { types: ["COMMAND"] }, false],
    ["name", { names: ["Created"] }, true],
    ["another name", { names: ["created"] }, false],
    ["sender", { senders: ["bob", "alice"] }, true],
    ["another sender", { senders: ["bob"] }, false],
    ["session", { sessionIds: ["s1"] }, true],
    ["another session", { sessionIds: ["s2"] }, false],
    ["correlation", { correlationIds: ["c1"] }, true],
    ["another correlation", { correlationIds: ["c2"] }, false],
    ["priority", { minPriority: 5 }, true],
    ["a higher priority", { minPriority: 6 }, false],
    ["metadata", { metadata: { tier: "gold", x: "" } }, true],
    ["other metadata", { metadata: { tier: "gold", x: "1" } }, false],
    ["metadata that is not there", { metadata: { y: "" } }, false],
    ["metadata named like a member of an object", { metadata: { constructor: "" } }, false],
    ["all parts", { types: ["EVENT"], senders: ["alice"], minPriority: 1 }, true],
    ["all parts but one", { types: ["EVENT"], senders: ["alice"], minPriority: 9 }, false],
  ])("S4-2d: by %s", (_, filter, expected) => {
    assert.equal(fits(filter), expected);
  });

  it("directOnly lets only messages with an audience through", () => {
    assert.equal(fits({ directOnly: true }), false);
    assert.equal(fits({ directOnly: true }, { audience: ["bob"] }), true);
  });

  it("reads the body only when a part of it is asked for", () => {
    const test = compileFilter({ ...NONE, senders: ["bob"], names: ["x"] })!;
    assert.equal(
      test(entry, () => assert.fail("the body was read")),
      false,
    );
  });
});
