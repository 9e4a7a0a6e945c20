import assert from "node:assert/strict";
import { type Message as AnyMessage, fromBinary, toBinary } from "@bufbuild/protobuf";
import { createValidator } from "@bufbuild/protovalidate";
import fc from "fast-check";
import { describe, it } from "vitest";
import { type Message, MessageSchema } from "../../gen/agentbus/v1/message_pb.ts";
import { AGENT_KINDS } from "../../src/core/agent.ts";
import { DEFAULT_LIMITS } from "../../src/core/bus-options.ts";
import { isBusError } from "../../src/core/errors.ts";
import { type Draft, MESSAGE_TYPES } from "../../src/core/message.ts";
import { parsePosition } from "../../src/core/position.ts";
import { scanMessage } from "../../src/wire/scan-message.ts";
import { DAMAGES, drawEnvelope } from "../support/envelopes.ts";
import { createSeededRandom } from "../support/seeded-random.ts";

const ENVELOPES = 100_000;
const scan = (bytes: Uint8Array) => scanMessage(bytes, DEFAULT_LIMITS);

/** Undefined, or the reason of the refusal. Anything but a BusError is a bug. */
function refusalOf(bytes: Uint8Array): string | undefined {
  try {
    scan(bytes);
    return undefined;
  } catch (error) {
    if (isBusError(error)) return error.reason;
    throw error;
  }
}

describe("envelopes", () => {
  it("S3-SC-005: 100,000 well-formed ones are accepted", () => {
    const draw = createSeededRandom(1);
    for (let i = 0; i < ENVELOPES; i++) {
      const message = drawEnvelope(draw);
      const draft = scan(toBinary(MessageSchema, message));
      if (i % 50 === 0) assertDraft(draft, message);
    }
  });

  it("S3-SC-005: 100,000 malformed ones are refused, each with the reason of what is wrong with it", () => {
    const draw = createSeededRandom(2);
    for (let i = 0; i < ENVELOPES; i++) {
      const damage = DAMAGES[i % DAMAGES.length]!;
      const bytes = damage.apply(toBinary(MessageSchema, drawEnvelope(draw)), draw);
      const reason = refusalOf(bytes);
      const expected = reason !== undefined && damage.reasons.includes(reason);
      assert.ok(expected, `${damage.name}: ${reason} for ${Buffer.from(bytes).toString("hex")}`);
    }
  });

  it("S3-SC-005: what is cut anywhere within a field is refused, never misread", () => {
    const draw = createSeededRandom(3);
    for (let i = 0; i < 300; i++) {
      const bytes = toBinary(MessageSchema, drawEnvelope(draw));
      for (let end = 0; end < bytes.length; end++) {
        const cut = bytes.subarray(0, end);
        if (refusalOf(cut) === undefined) assert.equal(judge(cut).accepted, true, `cut at ${end}`);
      }
    }
  });
});

// The check by hand against protobuf-es and protovalidate. It may refuse more, and only that: encodings that no encoder
// of ours makes, namely known fields with a wrong wire type, groups, a field that comes twice and is wrong the first
// time, metadata keys that come twice (each counts), numbers and tags longer than protobuf allows.
describe("the check by hand against the rules in message.proto", () => {
  const envelope = fc.integer().map((seed) => toBinary(MessageSchema, drawEnvelope(createSeededRandom(seed))));
  const mutations = fc.array(
    fc.record({
      at: fc.nat(),
      kind: fc.constantFrom("set", "insert", "remove", "repeat"),
      value: fc.integer({ min: 0, max: 255 }),
      length: fc.integer({ min: 1, max: 30 }),
    }),
    { minLength: 1, maxLength: 3 },
  );
  const mutated = fc.tuple(envelope, mutations).map(([bytes, list]) => list.reduce(mutate, Buffer.from(bytes)));
  const damaged = fc
    .tuple(envelope, fc.constantFrom(...DAMAGES), fc.integer())
    .map(([bytes, damage, seed]) => damage.apply(bytes, createSeededRandom(seed)));
  const joined = fc.tuple(envelope, envelope).map((two) => Buffer.concat(two));

  it("accepts only what they accept, and reads the same from it", () => {
    fc.assert(
      fc.property(fc.oneof(mutated, damaged, joined, envelope), (bytes) => {
        let draft: Draft;
        try {
          draft = scan(bytes);
        } catch (error) {
          assert.ok(isBusError(error), String(error));
          return;
        }
        const { accepted, message, why } = judge(bytes);
        assert.ok(accepted, `accepted although ${why}`);
        assertDraft(draft, message);
      }),
      { numRuns: 6_000 },
    );
  });

  it("accepts everything that they accept, when it is encoded as encoders do", () => {
    fc.assert(
      fc.property(fc.oneof(mutated, damaged, joined), (bytes) => {
        const { accepted, message } = judge(bytes);
        if (!accepted) return;
        // Unknown fields may be groups, which only an encoder that knows them writes.
        const again = toBinary(MessageSchema, message, { writeUnknownFields: false });
        assert.equal(refusalOf(again), undefined, Buffer.from(again).toString("hex"));
      }),
      { numRuns: 6_000 },
    );
  });
});

const validator = createValidator();

type Verdict =
  | { readonly accepted: true; readonly message: Message; readonly why: "" }
  | { readonly accepted: false; readonly message: undefined; readonly why: string };

/** What message.proto says of the bytes: decoded, validated, and the rules that stand in its comments only. */
function judge(bytes: Uint8Array): Verdict {
  const refuse = (why: string): Verdict => ({ accepted: false, message: undefined, why });
  let message: Message;
  try {
    message = fromBinary(MessageSchema, bytes);
  } catch (error) {
    return refuse(`it does not decode: ${error}`);
  }
  const result = validator.validate(MessageSchema, message);
  if (result.kind !== "valid") return refuse(`protovalidate says ${result.error}`);
  const { to, causation, timeToLive, timestamp, metadata } = message;
  const serverSet = [message.room, message.channel, message.sender].some((value) => value !== "");
  if (serverSet || message.sequence !== 0n || message.epoch !== 0 || message.acceptTime || message.hopCount !== 0) {
    return refuse("it sets a field of the server");
  }
  if (message.$unknown?.some(({ no }) => no >= 32)) return refuse("it has an unknown field of the server");
  if (to !== undefined) {
    if (hasUnknown(to) || (to.select && hasUnknown(to.select))) return refuse("`to` has an unknown field");
    const { select } = to;
    if (select && select.kinds.length + select.capabilities.length + Object.keys(select.labels).length === 0) {
      return refuse("`to.select` is empty");
    }
    if (!select && to.agents.length + to.groups.length === 0) return refuse("`to` is empty");
  }
  if (causation !== "") {
    try {
      parsePosition(causation);
    } catch {
      return refuse("the causation is no position");
    }
  }
  if (timeToLive !== undefined) {
    const nanos = timeToLive.seconds * 1_000_000_000n + BigInt(timeToLive.nanos);
    const inRange = nanos >= 1_000_000n && nanos <= 366n * 86_400n * 1_000_000_000n;
    if (!inRange || timeToLive.nanos < 0 || timeToLive.nanos > 999_999_999)
      return refuse("it lives too long or not at all");
  }
  if (timestamp !== undefined) {
    const inRange = timestamp.seconds >= -62_135_596_800n && timestamp.seconds <= 253_402_300_799n;
    if (!inRange || timestamp.nanos < 0 || timestamp.nanos > 999_999_999) return refuse("its time has no JSON form");
  }
  const bytesOfMetadata = Object.entries(metadata)
    .flat()
    .reduce((sum, text) => sum + Buffer.byteLength(text), 0);
  if (bytesOfMetadata > DEFAULT_LIMITS.metadataBytes) return refuse("it has too much metadata");
  return { accepted: true, message, why: "" };
}

function hasUnknown(message: AnyMessage): boolean {
  return (message.$unknown?.length ?? 0) > 0;
}

function assertDraft(draft: Draft, message: Message | undefined): void {
  assert.ok(message !== undefined);
  const { id, name, causation, to, timeToLive } = message;
  const key = message.idempotencyKey || id;
  assert.deepEqual(
    {
      id: draft.id,
      name: draft.name,
      type: draft.type,
      hasType: draft.hasType,
      key: draft.idempotencyKey,
      causation: draft.causation,
      ttl: draft.timeToLiveMs,
      to: draft.to && {
        ...draft.to,
        select: draft.to.select && { ...draft.to.select, labels: { ...draft.to.select.labels } },
      },
    },
    {
      id,
      name,
      type: MESSAGE_TYPES[message.type - 1] ?? "MESSAGE",
      hasType: message.type !== 0,
      key,
      causation,
      ttl: timeToLive === undefined ? 0 : Number(timeToLive.seconds) * 1_000 + Math.floor(timeToLive.nanos / 1e6),
      to: to && {
        agents: to.agents,
        groups: to.groups,
        select: to.select && {
          kinds: to.select.kinds.map((kind) => AGENT_KINDS[kind - 1]),
          labels: { ...to.select.labels },
          capabilities: to.select.capabilities,
          limit: to.select.limit,
        },
      },
    },
  );
}

interface Mutation {
  readonly at: number;
  readonly kind: string;
  readonly value: number;
  readonly length: number;
}

function mutate(bytes: Buffer, { at, kind, value, length }: Mutation): Buffer {
  const where = bytes.length === 0 ? 0 : at % bytes.length;
  const before = bytes.subarray(0, where);
  if (kind === "insert") return Buffer.concat([before, Buffer.from([value]), bytes.subarray(where)]);
  if (kind === "remove") return Buffer.concat([before, bytes.subarray(where + 1)]);
  if (kind === "repeat") return Buffer.concat([bytes, bytes.subarray(where, where + length)]);
  return Buffer.concat([before, Buffer.from([value]), bytes.subarray(where + 1)]);
}
