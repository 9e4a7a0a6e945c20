import { create, fromBinary, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import { BinaryWriter, WireType } from "@bufbuild/protobuf/wire";
import { type Message, MessageSchema } from "../../gen/agentbus/v1/message_pb.ts";

type Init = MessageInitShape<typeof MessageSchema>;
type Fields = { [K in keyof Init]: Init[K] | undefined };
/** Numbers from 0 to below 1. */
type Draw = () => number;

const ID_CHARS = "ABCxyz019.@|:/+-_";
const TEXT_CHARS = [..."abc XYZ09_-.,", "é", "ß", "漢", "🙂", "\u0000", "\u007f"];
const LONGEST_TTL_S = 366 * 86_400;

/** A message that breaks no rule of message.proto, every field of it now and then. Equal numbers give equal messages. */
export function drawEnvelope(draw: Draw): Message {
  const int = (min: number, max: number) => min + Math.floor(draw() * (max - min + 1));
  const maybe = <T>(make: () => T, odds = 0.4): T | undefined => (draw() < odds ? make() : undefined);
  const from = (chars: readonly string[] | string, min: number, max: number) =>
    Array.from({ length: int(min, max) }, () => chars[int(0, chars.length - 1)]!).join("");
  const text = (maxBytes: number) => cutTo(from(TEXT_CHARS, 0, 12), maxBytes);
  const token = (min: number) =>
    Array.from({ length: int(min, 20) }, () => String.fromCharCode(int(0x21, 0x7e))).join("");
  const agents = (min: number) => Array.from({ length: int(min, 4) }, () => from(ID_CHARS, 1, 12));
  const pairs = (min: number) =>
    Object.fromEntries(
      Array.from({ length: int(min, 5) }, (_, i) => [`${cutTo(from(TEXT_CHARS, 1, 8), 100)}${i}`, text(60)]),
    );
  const selection = () => {
    const kinds = maybe(() => Array.from({ length: int(1, 4) }, () => int(1, 4) as 1 | 2 | 3 | 4)) ?? [];
    const labels = maybe(() => pairs(1)) ?? {};
    const capabilities = kinds.length + Object.keys(labels).length === 0 ? [`can${int(0, 9)}`] : [];
    return { kinds, labels, capabilities, limit: maybe(() => int(0, 1_000)) ?? 0 };
  };
  const recipients = () => {
    const groups = maybe(() => agents(1)) ?? [];
    const select = maybe(selection);
    return { groups, select, agents: groups.length === 0 && select === undefined ? agents(1) : agents(0) };
  };
  const fields: Fields = {
    version: maybe(() => (draw() < 0.5 ? "1.0" : `1.${int(0, 999_999)}`)),
    id: maybe(() => token(1)),
    type: maybe(() => int(0, 6) as 0 | 1 | 2 | 3 | 4 | 5 | 6),
    name: maybe(() => text(128)),
    to: maybe(recipients, 0.3),
    payload: maybe(() =>
      draw() < 0.7
        ? { case: "text" as const, value: text(200) }
        : { case: "data" as const, value: Uint8Array.from({ length: int(0, 40) }, () => int(0, 255)) },
    ),
    contentType: maybe(() => text(128), 0.2),
    metadata: maybe(() => pairs(0)),
    priority: maybe(() => int(0, 9)),
    idempotencyKey: maybe(() => token(0)),
    orderingKey: maybe(() => text(128), 0.2),
    correlationId: maybe(() => text(128), 0.2),
    causation: maybe(() => `room:${from("abc.-", 1, 5)}@${from("0123456789abcdef", 8, 8)}.${int(0, 1e9)}`, 0.2),
    replyTo: maybe(() => text(260), 0.2),
    timeToLive: maybe(() => ({ seconds: BigInt(int(1, LONGEST_TTL_S - 1)), nanos: int(0, 999_999_999) }), 0.2),
    timestamp: maybe(
      () => ({ seconds: BigInt(int(-62_135_596_800, 253_402_300_799)), nanos: int(0, 999_999_999) }),
      0.2,
    ),
    traceparent: maybe(() => text(128), 0.2),
    sessionId: maybe(() => text(128), 0.2),
    schema: maybe(() => text(256), 0.2),
  };
  return create(
    MessageSchema,
    Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as Init,
  );
}

/** What is done to a well-formed message, and the reasons with which it may be refused. */
export interface Damage {
  readonly name: string;
  readonly reasons: readonly string[];
  readonly apply: (bytes: Uint8Array, draw: Draw) => Uint8Array;
}

const appended = (write: (writer: BinaryWriter) => void) => (bytes: Uint8Array) => {
  const writer = new BinaryWriter();
  write(writer);
  return Buffer.concat([bytes, writer.finish()]);
};
const field = (no: number, bytes: Uint8Array) =>
  appended((writer) => writer.tag(no, WireType.LengthDelimited).bytes(bytes));
const stringField = (no: number, value: string) => field(no, Buffer.from(value));
const varintField = (no: number, value: number) => appended((writer) => writer.tag(no, WireType.Varint).int32(value));
const inner = (write: (writer: BinaryWriter) => void) => {
  const writer = new BinaryWriter();
  write(writer);
  return writer.finish();
};

/** Fields of Message that hold text or a message, by number. */
const LENGTH_DELIMITED = [1, 2, 4, 5, 6, 7, 8, 9, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20];
const UTF8 = [4, 6, 8, 12, 13, 14, 15, 18, 19, 20];
const LIMITED_TEXT = { 4: 128, 8: 128, 12: 128, 13: 128, 14: 320, 15: 260, 18: 128, 19: 128, 20: 256 } as const;

/** Every way to break a message that message.proto names, and the ways in which bytes break. */
export const DAMAGES: readonly Damage[] = [
  {
    name: "cut within its last field",
    reasons: ["MALFORMED_REQUEST"],
    apply: (bytes) => stringField(6, "cut")(bytes).subarray(0, -1),
  },
  {
    name: "a field number of 0",
    reasons: ["MALFORMED_REQUEST"],
    apply: (bytes) => Buffer.concat([bytes, Buffer.from([0x02, 0])]),
  },
  {
    name: "a group",
    reasons: ["MALFORMED_REQUEST"],
    apply: appended((writer) => writer.tag(25, WireType.StartGroup).tag(25, WireType.EndGroup)),
  },
  {
    name: "a wrong wire type",
    reasons: ["MALFORMED_REQUEST"],
    apply: (bytes, draw) => varintField(pick(LENGTH_DELIMITED, draw), 1)(bytes),
  },
  {
    name: "a number as text",
    reasons: ["MALFORMED_REQUEST"],
    apply: (bytes, draw) => stringField(pick([3, 10], draw), "1")(bytes),
  },
  {
    name: "bytes that are not UTF-8",
    reasons: ["MALFORMED_REQUEST"],
    apply: (bytes, draw) => field(pick(UTF8, draw), Buffer.from([0xc3, 0x28]))(bytes),
  },
  {
    name: "an endless number",
    reasons: ["MALFORMED_REQUEST"],
    apply: (bytes) => Buffer.concat([bytes, Buffer.from([0x50]), Buffer.alloc(11, 0xff)]),
  },
  {
    name: "another major version",
    reasons: ["UNSUPPORTED_VERSION"],
    apply: (bytes, draw) => stringField(1, pick(["2.0", "0.9", "10.0"], draw))(bytes),
  },
  {
    name: "a version that is none",
    reasons: ["UNSUPPORTED_VERSION", "INVALID_FIELD"],
    apply: (bytes, draw) => stringField(1, pick(["1", "1.", "1.0000000", "one", " 1.0"], draw))(bytes),
  },
  {
    name: "an id with a space",
    reasons: ["INVALID_FIELD"],
    apply: (bytes, draw) => stringField(pick([2, 11], draw), "a b")(bytes),
  },
  {
    name: "an id that is too long",
    reasons: ["INVALID_FIELD"],
    apply: (bytes, draw) => stringField(pick([2, 11], draw), "x".repeat(129))(bytes),
  },
  {
    name: "an unknown type",
    reasons: ["INVALID_FIELD"],
    apply: (bytes, draw) => varintField(3, pick([7, 99, -1], draw))(bytes),
  },
  {
    name: "a priority out of range",
    reasons: ["INVALID_FIELD"],
    apply: (bytes, draw) => varintField(10, pick([-1, 10, 2 ** 31 - 1], draw))(bytes),
  },
  {
    name: "text that is too long",
    reasons: ["INVALID_FIELD"],
    apply: (bytes, draw) => {
      const no = pick(Object.keys(LIMITED_TEXT).map(Number), draw) as keyof typeof LIMITED_TEXT;
      return stringField(no, "x".repeat(LIMITED_TEXT[no] + 1))(bytes);
    },
  },
  {
    name: "a cause that is no position",
    reasons: ["BAD_POSITION"],
    apply: (bytes, draw) =>
      stringField(14, pick(["x", "a:b", "a:b@1.2", "a:b@0000000g.1", "@00000001.1"], draw))(bytes),
  },
  {
    name: "a metadata key of nothing",
    reasons: ["INVALID_FIELD"],
    apply: field(
      9,
      inner((writer) => writer.tag(2, WireType.LengthDelimited).string("v")),
    ),
  },
  {
    name: "too much metadata",
    reasons: ["INVALID_FIELD"],
    apply: field(
      9,
      inner((writer) =>
        writer.tag(1, WireType.LengthDelimited).string("k").tag(2, WireType.LengthDelimited).string("x".repeat(8_192)),
      ),
    ),
  },
  {
    name: "too many metadata keys",
    reasons: ["INVALID_FIELD"],
    apply: appended((writer) => {
      for (let i = 0; i < 65; i++) {
        writer
          .tag(9, WireType.LengthDelimited)
          .bytes(inner((entry) => entry.tag(1, WireType.LengthDelimited).string(`k${i}`)));
      }
    }),
  },
  {
    name: "a life that is no life",
    reasons: ["INVALID_FIELD"],
    apply: (bytes, draw) => field(16, duration(pick([0, -1, 366 * 86_400 + 1], draw), 0))(withoutField(bytes, 16)),
  },
  {
    name: "a time before the year 1",
    reasons: ["INVALID_FIELD"],
    apply: (bytes, draw) =>
      field(17, duration(pick([-62_135_596_801, 253_402_300_800], draw), 0))(withoutField(bytes, 17)),
  },
  {
    name: "nobody in `to`",
    reasons: ["EMPTY_RECIPIENTS"],
    apply: (bytes) => field(5, new Uint8Array())(withoutField(bytes, 5)),
  },
  {
    name: "nobody in `to.select`",
    reasons: ["EMPTY_RECIPIENTS"],
    apply: (bytes) => field(5, Buffer.from([0x1a, 0]))(withoutField(bytes, 5)),
  },
  {
    name: "an unknown field in `to`",
    reasons: ["UNKNOWN_FIELD"],
    apply: field(
      5,
      inner((writer) => writer.tag(4, WireType.LengthDelimited).string("everyone")),
    ),
  },
  {
    name: "an unknown field in `to.select`",
    reasons: ["UNKNOWN_FIELD"],
    apply: field(
      5,
      inner((writer) =>
        writer.tag(3, WireType.LengthDelimited).bytes(inner((select) => select.tag(9, WireType.Varint).int32(1))),
      ),
    ),
  },
  {
    name: "an agent that is none",
    reasons: ["INVALID_FIELD"],
    apply: field(
      5,
      inner((writer) => writer.tag(1, WireType.LengthDelimited).string("a b")),
    ),
  },
  {
    name: "an agent without a name",
    reasons: ["INVALID_FIELD"],
    apply: field(
      5,
      inner((writer) => writer.tag(1, WireType.LengthDelimited).string("")),
    ),
  },
  {
    name: "a kind of agent that is none",
    reasons: ["INVALID_FIELD"],
    apply: field(
      5,
      inner((writer) =>
        writer.tag(3, WireType.LengthDelimited).bytes(inner((select) => select.tag(1, WireType.Varint).int32(5))),
      ),
    ),
  },
  {
    name: "a limit out of range",
    reasons: ["INVALID_FIELD"],
    apply: field(
      5,
      inner((writer) =>
        writer.tag(3, WireType.LengthDelimited).bytes(inner((select) => select.tag(4, WireType.Varint).int32(1_001))),
      ),
    ),
  },
  {
    name: "a field that only the server sets",
    reasons: ["SERVER_FIELD"],
    apply: (bytes, draw) => stringField(pick([32, 33, 34, 37, 39, 63, 1_000], draw), "x")(bytes),
  },
  {
    name: "a number that only the server sets",
    reasons: ["SERVER_FIELD"],
    apply: (bytes, draw) => varintField(pick([35, 38, 64], draw), 1)(bytes),
  },
];

export function pick<T>(list: readonly T[], draw: Draw): T {
  return list[Math.floor(draw() * list.length)]!;
}

/** The bytes of a Duration or a Timestamp. */
export function duration(seconds: number, nanos: number): Uint8Array {
  return inner((writer) => writer.tag(1, WireType.Varint).int64(BigInt(seconds)).tag(2, WireType.Varint).int32(nanos));
}

/** Merging would make two harmless halves out of what shall be refused as a whole. */
function withoutField(bytes: Uint8Array, no: 5 | 16 | 17): Uint8Array {
  const name = ({ 5: "to", 16: "timeToLive", 17: "timestamp" } as const)[no];
  const message = create(MessageSchema);
  Object.assign(message, { ...fromBinary(MessageSchema, bytes), [name]: undefined });
  return toBinary(MessageSchema, message);
}

function cutTo(text: string, maxBytes: number): string {
  let cut = text;
  while (Buffer.byteLength(cut) > maxBytes) cut = [...cut].slice(0, -1).join("");
  return cut;
}
