import assert from "node:assert/strict";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { channelName, INBOX_ROOM, inboxOf } from "./names.ts";
import { formatPosition, parsePosition } from "./position.ts";

const chars = (alphabet: string) => fc.constantFrom(...alphabet);
const name = fc.string({ unit: chars("AZaz09._-"), minLength: 1, maxLength: 128 });
const agentId = fc.string({ unit: chars("AZaz09._@|:/+-"), minLength: 1, maxLength: 128 });

describe("positions", () => {
  it("come back as they were written, also of inboxes whose agent has @, : and / in its id", () => {
    const channel = fc.oneof(
      fc
        .tuple(name, name)
        .map(([room, own]) => channelName(room, own))
        .filter(({ room }) => room !== INBOX_ROOM),
      agentId.map(inboxOf),
    );
    fc.assert(
      fc.property(channel, fc.integer({ min: 0, max: 0xffff_ffff }), fc.maxSafeNat(), (of, epoch, sequence) => {
        assert.deepEqual(parsePosition(formatPosition(of.key, epoch, sequence)), { name: of, epoch, sequence });
      }),
    );
  });

  it("are split at the last @", () => {
    const position = parsePosition("_inbox:spiffe://a@b:c@0000000f.12");
    assert.deepEqual(position, { name: inboxOf("spiffe://a@b:c"), epoch: 15, sequence: 12 });
  });

  it.each([
    "",
    "@00000001.1",
    "a:b",
    "a:b@1",
    "a:b@1.1",
    "a:b@0000000g.1",
    "a:b@0000000A.1",
    "a:b@00000001.-1",
    "a:b@00000001.01",
    "a:b@00000001.1 ",
    "a:b@00000001.99999999999999999",
    "a:b@00000001.9007199254740993",
    "a@00000001.1",
    ":b@00000001.1",
    "a:@00000001.1",
    "a:b c@00000001.1",
    "a:x/y@00000001.1",
    `${"a".repeat(129)}:b@00000001.1`,
  ])("refuses %j as BAD_POSITION", (text) => {
    expect(() => parsePosition(text)).toThrow(expect.objectContaining({ reason: "BAD_POSITION" }));
  });
});
