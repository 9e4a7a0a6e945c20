import assert from "node:assert/strict";
import { toBinary } from "@bufbuild/protobuf";
import { BinaryWriter, WireType } from "@bufbuild/protobuf/wire";
import { describe, expect, it } from "vitest";
import { MessageSchema } from "../../gen/agentbus/v1/message_pb.ts";
import { encode, type Said } from "../../test/support/bus-fixture.ts";
import { DAMAGES, drawEnvelope, duration } from "../../test/support/envelopes.ts";
import { createSeededRandom } from "../../test/support/seeded-random.ts";
import { DEFAULT_LIMITS } from "../core/bus-options.ts";
import type { Reason } from "../core/errors.ts";
import { scanMessage } from "./scan-message.ts";

const scan = (bytes: Uint8Array) => scanMessage(bytes, DEFAULT_LIMITS);
const refused = (reason: Reason) => expect.objectContaining({ reason });
const bytesOf = (write: (writer: BinaryWriter) => void) => {
  const writer = new BinaryWriter();
  write(writer);
  return writer.finish();
};
const field = (no: number, bytes: Uint8Array) =>
  bytesOf((writer) => writer.tag(no, WireType.LengthDelimited).bytes(bytes));
const text = (no: number, value: string) => field(no, Buffer.from(value));
const join = (...parts: readonly Uint8Array[]) => Buffer.concat(parts);

describe("scanMessage", () => {
  it("S3-FR-003: reads what the bus needs and keeps the bytes as they came", () => {
    const bytes = encode({
      id: "m1",
      type: 2,
      name: "UserCreated",
      to: { agents: ["bob"], select: { kinds: [1, 2], labels: { team: "a" }, capabilities: ["ocr"], limit: 1 } },
      causation: "r:c@00000001.7",
      timeToLive: { seconds: 2n, nanos: 5_000_000 },
      idempotencyKey: "k",
    });
    const draft = scan(bytes);
    assert.deepEqual(
      { ...draft, bytes: Buffer.from(draft.bytes).equals(bytes), contentDigest: 0 },
      {
        bytes: true,
        id: "m1",
        type: "EVENT",
        hasType: true,
        name: "UserCreated",
        to: {
          agents: ["bob"],
          groups: [],
          select: { kinds: ["HUMAN", "AI_AGENT"], labels: { team: "a" }, capabilities: ["ocr"], limit: 1 },
        },
        idempotencyKey: "k",
        causation: "r:c@00000001.7",
        timeToLiveMs: 2_005,
        contentDigest: 0,
      },
    );
  });

  it("takes the id for a key when there is none, and no digest when there is neither", () => {
    assert.equal(scan(encode({ id: "m1" })).idempotencyKey, "m1");
    assert.deepEqual([scan(encode("x")).idempotencyKey, scan(encode("x")).contentDigest], ["", 0]);
  });

  it.each(DAMAGES)("S3-US2.2 S3-E.4: refuses $name", (damage) => {
    const draw = createSeededRandom(7);
    for (let i = 0; i < 50; i++) {
      const bytes = damage.apply(toBinary(MessageSchema, drawEnvelope(draw)), draw);
      const reason = expect.toSatisfy((value) => damage.reasons.includes(value as string));
      expect(() => scan(bytes)).toThrow(expect.objectContaining({ reason }));
    }
  });

  it("S3-SC-009: takes any minor version of 1 and no other major", () => {
    for (const version of ["", "1.0", "1.7", "1.123456"]) scan(text(1, version));
    for (const version of ["2.0", "0.1", "1", "1.1.1", "01.0", "1.0 "]) {
      expect(() => scan(text(1, version))).toThrow(refused("UNSUPPORTED_VERSION"));
    }
  });

  it("S3-SC-009: keeps unknown fields below 32 and refuses those from 32 on", () => {
    scan(text(21, "later"));
    scan(bytesOf((writer) => writer.tag(31, WireType.Bit32).fixed32(1)));
    expect(() => scan(text(32, "room"))).toThrow(refused("SERVER_FIELD"));
    expect(() => scan(text(536_870_911, "far"))).toThrow(refused("SERVER_FIELD"));
  });

  it("of a field that comes twice the last one counts", () => {
    assert.equal(scan(join(text(2, "a"), text(2, "b"))).id, "b");
    assert.equal(scan(join(text(2, "a"), text(2, ""))).id, "");
    const twice = scan(bytesOf((writer) => writer.tag(3, WireType.Varint).int32(2).tag(3, WireType.Varint).int32(0)));
    assert.deepEqual([twice.type, twice.hasType], ["MESSAGE", false]);
    scan(join(text(6, "text"), text(7, "data"), text(6, "text")));
  });

  // A second time_to_live took the place of the first instead of being merged into it: the server forgot a message
  // earlier than its readers were told.
  it("merges messages that come twice, as protobuf does", () => {
    const seconds = bytesOf((writer) => writer.tag(1, WireType.Varint).int64(3n));
    const nanos = bytesOf((writer) => writer.tag(2, WireType.Varint).int32(500_000_000));
    assert.equal(scan(join(field(16, seconds), field(16, nanos))).timeToLiveMs, 3_500);
    const to = scan(join(field(5, text(1, "a")), field(5, text(1, "b")), field(5, field(3, text(3, "ocr")))));
    assert.deepEqual(to.to?.agents, ["a", "b"]);
    assert.deepEqual(to.to?.select?.capabilities, ["ocr"]);
  });

  it("reads kinds packed and one by one", () => {
    const kinds = (select: Uint8Array) => scan(field(5, field(3, select))).to?.select?.kinds;
    const each = bytesOf((writer) => writer.tag(1, WireType.Varint).int32(1).tag(1, WireType.Varint).int32(4));
    assert.deepEqual(kinds(each), ["HUMAN", "SERVICE"]);
    assert.deepEqual(kinds(field(1, Buffer.from([1, 4]))), ["HUMAN", "SERVICE"]);
    assert.deepEqual(kinds(field(1, Buffer.from([0x81, 0x00, 0x04]))), ["HUMAN", "SERVICE"], "padded numbers");
    for (const packed of [[0], [5], [0x81], [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01]]) {
      expect(() => kinds(field(1, Buffer.from(packed)))).toThrow();
    }
  });

  it("keeps labels named like members of an object apart from them", () => {
    const entry = (key: string) => field(2, join(text(1, key), text(2, "x")));
    const { to } = scan(field(5, field(3, join(entry("__proto__"), entry("constructor")))));
    assert.deepEqual(Object.keys(to!.select!.labels), ["__proto__", "constructor"]);
  });

  it("limits how many agents, groups, kinds, labels and capabilities `to` has", () => {
    const many = (count: number, make: (i: number) => Uint8Array) =>
      join(...Array.from({ length: count }, (_, i) => make(i)));
    const agents = (count: number) =>
      field(
        5,
        many(count, (i) => text(1, `a${i}`)),
      );
    assert.equal(scan(agents(1_000)).to?.agents.length, 1_000);
    expect(() => scan(agents(1_001))).toThrow(refused("INVALID_FIELD"));
    expect(() =>
      scan(
        field(
          5,
          many(101, (i) => text(2, `g${i}`)),
        ),
      ),
    ).toThrow(refused("INVALID_FIELD"));
    const select = (part: Uint8Array) => field(5, field(3, part));
    expect(() => scan(select(many(17, (i) => field(2, text(1, `l${i}`)))))).toThrow(refused("INVALID_FIELD"));
    expect(() => scan(select(many(17, (i) => text(3, `c${i}`))))).toThrow(refused("INVALID_FIELD"));
    expect(() => scan(select(field(1, Buffer.alloc(9, 1))))).toThrow(refused("INVALID_FIELD"));
  });

  it("refuses what is too large by itself before anything is done for it", () => {
    const limits = { ...DEFAULT_LIMITS, messageBytes: 100 };
    scanMessage(text(6, "x".repeat(98)), limits);
    expect(() => scanMessage(text(6, "x".repeat(99)), limits)).toThrow(refused("MESSAGE_TOO_LARGE"));
  });
});

describe("the digest of the content", () => {
  const digest = (said: Said) => scan(encode(said)).contentDigest;
  const said = { id: "1", idempotencyKey: "k", name: "n", payload: { case: "text" as const, value: "hi" } };

  it("is the same whatever id, key, clock and trace", () => {
    const again = { ...said, id: "2", idempotencyKey: "l", timestamp: { seconds: 5n }, traceparent: "00-1-2-01" };
    assert.equal(digest(said), digest(again));
  });

  it("is the same whatever the order of metadata", () => {
    const one = { ...said, metadata: { a: "1", b: "2", c: "3" } };
    const other = { ...said, metadata: { c: "3", a: "1", b: "2" } };
    assert.equal(digest(one), digest(other));
  });

  it.each<[string, Said]>([
    ["text", { ...said, payload: { case: "text", value: "ho" } }],
    ["kind of payload", { ...said, payload: { case: "data", value: Buffer.from("hi") } }],
    ["name", { ...said, name: "m" }],
    ["type", { ...said, type: 2 }],
    ["recipients", { ...said, to: { agents: ["bob"] } }],
    ["metadata", { ...said, metadata: { a: "1" } }],
    ["priority", { ...said, priority: 1 }],
    ["cause", { ...said, causation: "a:b@00000001.1" }],
    ["life", { ...said, timeToLive: { seconds: 1n } }],
    ["session", { ...said, sessionId: "s" }],
  ])("is another one for another %s", (_, other) => {
    assert.notEqual(digest(said), digest(other));
  });

  it("tells two metadata values that are swapped", () => {
    assert.notEqual(
      digest({ ...said, metadata: { a: "1", b: "2" } }),
      digest({ ...said, metadata: { a: "2", b: "1" } }),
    );
  });

  it("S3-SC-009: counts fields that this server does not know", () => {
    const known = encode(said);
    assert.notEqual(scan(known).contentDigest, scan(join(known, text(21, "x"))).contentDigest);
  });
});

describe("times", () => {
  const lives = (seconds: number, nanos = 0) => scan(field(16, duration(seconds, nanos))).timeToLiveMs;

  it("a message lives 1 ms to 366 days", () => {
    assert.equal(lives(0, 1_000_000), 1);
    assert.equal(lives(366 * 86_400), 366 * 86_400_000);
    for (const [seconds, nanos] of [
      [0, 0],
      [0, 999_999],
      [366 * 86_400, 1],
      [-1, 0],
      [1, -1],
      [0, 1_000_000_000],
    ] as const) {
      expect(() => lives(seconds, nanos), `${seconds} s ${nanos} ns`).toThrow(refused("INVALID_FIELD"));
    }
  });

  it("a timestamp lies within the years 1 to 9999", () => {
    const at = (seconds: number, nanos = 0) => scan(field(17, duration(seconds, nanos)));
    at(-62_135_596_800);
    at(253_402_300_799, 999_999_999);
    for (const [seconds, nanos] of [
      [-62_135_596_801, 0],
      [253_402_300_800, 0],
      [0, -1],
      [0, 1_000_000_000],
    ] as const) {
      expect(() => at(seconds, nanos)).toThrow(refused("INVALID_FIELD"));
    }
  });
});
