import assert from "node:assert/strict";
import { describe, expect, it } from "vitest";
import { checkAgentId, checkName, inboxOf, isInbox, parseChannelName, quote } from "./names.ts";

const refused = (reason: string) => expect.objectContaining({ reason });

describe("names", () => {
  it("S3-FR-002: room:channel is taken apart at the first colon", () => {
    assert.deepEqual(parseChannelName("lab.science:explore"), {
      room: "lab.science",
      channel: "explore",
      key: "lab.science:explore",
    });
    assert.deepEqual(parseChannelName("_inbox:a:b@c"), inboxOf("a:b@c"));
    assert.equal(isInbox(inboxOf("x")), true);
  });

  it.each([
    "",
    ":",
    "a",
    "a:",
    ":b",
    "a:b:c",
    "a b:c",
    "a:b/c",
    "ä:b",
    "a:*",
    `a:${"b".repeat(129)}`,
    "_inbox:",
    "_inbox:a b",
  ])("S3-FR-002: %j is no channel", (text) => {
    expect(() => parseChannelName(text)).toThrow(refused("BAD_NAME"));
  });

  it("are 1 to 128 of their alphabet; a leading _ is the bus's own", () => {
    checkName("room", "a".repeat(128));
    checkAgentId("user|1@example.org/x:y+z-_.");
    for (const bad of ["", "a".repeat(129), "a b", "a\n", "é"]) {
      expect(() => checkName("channel", bad)).toThrow(refused("BAD_NAME"));
      expect(() => checkAgentId(bad)).toThrow(refused("BAD_NAME"));
    }
    expect(() => checkName("room", "_x")).toThrow(refused("RESERVED_NAME"));
    expect(() => checkAgentId("_x")).toThrow(refused("RESERVED_NAME"));
  });

  it("case matters", () => {
    assert.notEqual(parseChannelName("Science:x").key, parseChannelName("science:x").key);
  });

  it("are quoted short and safe", () => {
    assert.equal(quote('a"\n'), '"a\\"\\n"');
    assert.equal(quote("x".repeat(200)).length, 82);
  });
});
