import assert from "node:assert/strict";
import fc from "fast-check";
import { describe, it } from "vitest";
import { channelName } from "../../core/names.ts";
import { decodeRelayPacket, encodeRelayPacket, type RelayPacket, relayedBytes } from "./relay-packet.ts";

const text = fc.string({ unit: "binary", maxLength: 20 }).map((value) => value.toWellFormed());
const record = fc.record({
  id: text,
  sender: text,
  idempotencyKey: text,
  contentDigest: fc.maxSafeNat(),
  audience: fc.option(fc.array(text, { maxLength: 4 }), { nil: null }),
  timeToLiveMs: fc.nat(),
  body: fc.uint8Array({ maxLength: 50 }),
});
const batch = fc.record({
  name: fc.tuple(text, text).map(([room, channel]) => channelName(room, channel)),
  incarnation: text,
  version: fc.nat(),
  records: fc.array(record, { maxLength: 4 }),
});
const packet = fc.record({ origin: text, number: fc.maxSafeNat(), batches: fc.array(batch, { maxLength: 4 }) });

/** Buffers and arrays of the same bytes are the same. */
const plain = ({ batches, ...rest }: RelayPacket) => ({
  ...rest,
  batches: batches.map(({ records, ...of }) => ({
    ...of,
    records: records.map((one) => ({ ...one, body: [...one.body] })),
  })),
});

describe("a relay packet", () => {
  it("is read as it was written", () =>
    fc.assert(
      fc.property(packet, (written) => {
        assert.deepEqual(plain(decodeRelayPacket(encodeRelayPacket(written))), plain(written));
      }),
    ));

  it("that is cut, changed or of another format is a RangeError, or another packet, and never worse", () =>
    fc.assert(
      fc.property(packet, fc.nat(), fc.nat({ max: 255 }), fc.boolean(), (written, at, value, cut) => {
        const bytes = Uint8Array.from(encodeRelayPacket(written));
        const place = at % bytes.length;
        if (!cut) bytes[place] = value;
        try {
          decodeRelayPacket(cut ? bytes.subarray(0, place) : bytes);
          if (cut) assert.fail("a part is no packet");
        } catch (error) {
          assert.ok(error instanceof RangeError, String(error));
        }
      }),
      { numRuns: 2_000 },
    ));

  it("is never larger than was foreseen", () =>
    fc.assert(
      fc.property(record, (one) => {
        const empty = { origin: "o", number: 1, batches: [] };
        const of = { name: channelName("r", "c"), incarnation: "i", version: 1 };
        const none = encodeRelayPacket({ ...empty, batches: [{ ...of, records: [] }] }).length;
        const size = encodeRelayPacket({ ...empty, batches: [{ ...of, records: [one] }] }).length - none;
        assert.ok(size <= relayedBytes(one), `${size} of ${relayedBytes(one)}`);
      }),
    ));
});
