import assert from "node:assert/strict";
import fc from "fast-check";
import { describe, it } from "vitest";
import type { AppendRecord } from "../message-log.ts";
import { decodeRecord, encodeRecord, maxRecordBytes, recordLengthAt } from "./entry-codec.ts";

const text = fc.oneof(fc.string({ maxLength: 12 }), fc.string({ unit: "grapheme", maxLength: 6 }));
const arbitraryRecord: fc.Arbitrary<AppendRecord> = fc.record({
  id: text,
  sender: text,
  idempotencyKey: text,
  contentDigest: fc.nat(2 ** 32 - 1),
  audience: fc.option(fc.array(fc.stringMatching(/^[a-z]{1,5}$/), { maxLength: 4 })),
  timeToLiveMs: fc.constantFrom(0, 1, 86_400_000),
  body: fc.uint8Array({ maxLength: 40 }),
});
const place = { sequence: 7, epoch: 2 ** 32 - 1, acceptedAtMs: 1_750_000_000_000 };

/** What encodeRecord() makes of records, in memory that was used before. */
function encode(records: readonly AppendRecord[]): Buffer {
  const target = Buffer.alloc(
    records.reduce((sum, each) => sum + maxRecordBytes(each), 0),
    0xee,
  );
  let at = 0;
  for (const each of records) at = encodeRecord(each, target, at);
  return target.subarray(0, at);
}

describe("records in a block", () => {
  it("come back as they were written, one behind another", () => {
    fc.assert(
      fc.property(fc.array(arbitraryRecord, { maxLength: 5 }), (records) => {
        const bytes = encode(records);
        let at = 0;
        for (const { id, sender, audience, timeToLiveMs, body } of records) {
          const length = recordLengthAt(bytes, at);
          const expiresAtMs = timeToLiveMs > 0 ? place.acceptedAtMs + timeToLiveMs : 0;
          const entry = decodeRecord(bytes, at, length, place)!;
          assert.deepEqual(
            { ...entry, body: Uint8Array.from(entry.body) },
            { ...place, expiresAtMs, id, sender, audience, body },
          );
          at += length;
        }
        assert.equal(at, bytes.length);
      }),
    );
  });

  it("are refused when any bit behind the length is another", () => {
    fc.assert(
      fc.property(arbitraryRecord, fc.nat(), (record, seed) => {
        const bytes = encode([record]);
        const bit = 32 + (seed % ((bytes.length - 4) * 8));
        bytes[bit >> 3]! ^= 1 << (bit & 7);
        assert.equal(decodeRecord(bytes, 0, recordLengthAt(bytes, 0), place), undefined);
      }),
    );
  });

  it("are not looked for behind a length that cannot be", () => {
    const bytes = encode([
      {
        id: "a",
        sender: "b",
        idempotencyKey: "",
        contentDigest: 0,
        audience: null,
        timeToLiveMs: 0,
        body: Buffer.from("c"),
      },
    ]);
    assert.equal(recordLengthAt(bytes, bytes.length), 0);
    assert.equal(recordLengthAt(bytes.subarray(0, bytes.length - 1), 0), 0);
    bytes.writeUInt32LE(3, 0);
    assert.equal(recordLengthAt(bytes, 0), 0);
  });
});
