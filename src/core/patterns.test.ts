import assert from "node:assert/strict";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { channelName, inboxOf, parseChannelName } from "./names.ts";
import { compileChannelPattern, compileRoomPattern } from "./patterns.ts";

const fits = (pattern: string, key: string) => compileChannelPattern(pattern).matches(parseChannelName(key));

describe("channel patterns", () => {
  it.each([
    ["science:*", "science:explore", true],
    ["science:*", "science:explore.deep.sea", true],
    ["science:*", "science.lab:explore", false],
    ["science:*", "chat:explore", false],
    ["science:explore", "science:explore", true],
    ["science:explore", "science:general", false],
    ["science.*:general", "science.lab:general", true],
    ["science.*:general", "science:general", false],
    ["science.*:general", "science.lab.wet:general", false],
    ["science.*:general", "science.lab:other", false],
    ["*.lab:general", "science.lab:general", true],
    ["*.lab:general", "science.field:general", false],
    ["a.*.c:x", "a.b.c:x", true],
    ["a.*.c:x", "a.b.d:x", false],
    ["a.*.**:x", "a.b.c.d:x", true],
    ["a.*.**:x", "a.b:x", false],
    ["science.**:*", "science.lab:x", true],
    ["science.**:*", "science.lab.wet:x", true],
    ["science.**:*", "science:x", false],
    ["science.**:*", "sciences.lab:x", false],
    ["**:general", "anything.at.all:general", true],
    ["**:general", "anything:special", false],
    ["*:*", "science:x", true],
    ["*:*", "science.lab:x", false],
    ["science:logs.*", "science:logs.info", true],
    ["science:logs.*", "science:logs.info.disk", false],
    ["science:logs.*", "science:logs", false],
    ["science:logs.**", "science:logs.info.disk", true],
    ["science:*.error", "science:logs.error", true],
    ["science:**", "science:logs.info", true],
    ["**", "science.lab:logs.info", true],
    ["a..*:x", "a..b:x", true],
    ["a.*.b:x", "a..b:x", true],
  ])("S3-K.3: %s on %s is %s", (pattern, key, expected) => {
    assert.equal(fits(pattern, key), expected);
  });

  it("S3-US1.2: a wildcard never matches an inbox, whatever the pattern", () => {
    for (const pattern of ["**", "*:*", "**:*", "**:alice"]) {
      assert.equal(compileChannelPattern(pattern).matches(inboxOf("alice")), false, pattern);
    }
  });

  it.each([
    "",
    ":",
    "science",
    "*",
    ":x",
    "science:",
    "_inbox:*",
    "_inbox:alice",
    "_x.*:y",
    "sci*:x",
    "science:ex*",
    "a.**.b:x",
    "**.a:x",
    "science:***",
    "sci ence:x",
    "science:a:b",
    "a/b:x",
  ])("refuses %j as BAD_NAME", (pattern) => {
    expect(() => compileChannelPattern(pattern)).toThrow(expect.objectContaining({ reason: "BAD_NAME" }));
  });

  const segment = fc.constantFrom("a", "b", "c", "lab");
  const dotted = fc.array(segment, { minLength: 1, maxLength: 4 });
  const pattern = fc.array(fc.oneof(segment, fc.constant("*")), { minLength: 1, maxLength: 4 });
  const model = (wanted: readonly string[], rest: boolean, has: readonly string[]) =>
    (rest ? has.length > wanted.length : has.length === wanted.length) &&
    wanted.every((w, i) => w === "*" || w === has[i]);

  it("agrees with a model that compares segment by segment, and what fits begins with the prefix", () => {
    fc.assert(
      fc.property(pattern, fc.boolean(), dotted, dotted, (wanted, rest, room, channel) => {
        const text = `${[...wanted, ...(rest ? ["**"] : [])].join(".")}:*`;
        const compiled = compileChannelPattern(text);
        const name = channelName(room.join("."), channel.join("."));
        assert.equal(compiled.matches(name), model(wanted, rest, room), `${text} on ${name.key}`);
        if (compiled.matches(name)) assert.ok(name.key.startsWith(compiled.prefix));
      }),
    );
  });
});

describe("room patterns", () => {
  it("S3-K.3: follow the same segments", () => {
    assert.equal(compileRoomPattern("lab.*").matches("lab.science"), true);
    assert.equal(compileRoomPattern("lab.*").matches("lab"), false);
    assert.equal(compileRoomPattern("**").matches("lab.science"), true);
    assert.equal(compileRoomPattern("**").matches("_inbox"), false);
    assert.equal(compileRoomPattern("lab").matches("lab"), true);
    expect(() => compileRoomPattern("a:b")).toThrow(expect.objectContaining({ reason: "BAD_NAME" }));
  });
});
