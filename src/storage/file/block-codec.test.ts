import assert from "node:assert/strict";
import fc from "fast-check";
import { describe, it } from "vitest";
import type { AppendRecord } from "../message-log.ts";
import { BlockDecoder } from "./block-decoder.ts";
import { BlockEncoder } from "./block-encoder.ts";
import { type BlockHeader, blockChecksum, hashId, MAX_BLOCK_BYTES, MAX_BLOCK_ENTRIES } from "./block-format.ts";

const text = fc.oneof(
  fc.string({ maxLength: 12 }),
  fc.string({ unit: "grapheme", maxLength: 6 }),
  fc.constantFrom("a", "b"),
);
const agentId = fc.stringMatching(/^[a-z]{1,5}$/);
const arbitraryRecord: fc.Arbitrary<AppendRecord> = fc.record({
  id: text,
  sender: text,
  idempotencyKey: text,
  contentDigest: fc.nat(2 ** 32 - 1),
  audience: fc.option(fc.array(agentId, { maxLength: 4 })),
  timeToLiveMs: fc.constantFrom(0, 1, 86_400_000),
  body: fc.uint8Array({ maxLength: 40 }),
});

/** What write() makes of records, in memory that was used before. */
function write(encoder: BlockEncoder, records: readonly AppendRecord[], acceptedAtMs: number) {
  for (const record of records) encoder.add(record, acceptedAtMs);
  const at = 64;
  const target = Buffer.alloc(at + encoder.maxByteLength, 0xee);
  const parts = encoder.write(target, at);
  assert.ok(parts.bodiesAt + parts.bodiesBytes <= target.byteLength);
  return {
    idHashes: target.subarray(parts.idHashesAt, parts.idHashesAt + parts.idHashesBytes),
    entries: target.subarray(parts.entriesAt, parts.entriesAt + parts.entriesBytes),
    bodies: target.subarray(parts.bodiesAt, parts.bodiesAt + parts.bodiesBytes),
  };
}

describe("blocks", () => {
  it("give back what was written, whatever the texts", () => {
    const encoder = new BlockEncoder();
    fc.assert(
      fc.property(
        fc.array(arbitraryRecord, { minLength: 1, maxLength: 30 }),
        fc.nat(2 ** 41),
        (records, acceptedAtMs) => {
          const { idHashes, entries, bodies } = write(encoder, records, acceptedAtMs);
          // At any alignment: SQLite gives its own memory, transfers keep it.
          const moved = Buffer.alloc(entries.byteLength + 3).subarray(3);
          moved.set(entries);
          const decoder = new BlockDecoder(41, 99, moved, bodies);
          assert.equal(decoder.count, records.length);
          for (const [i, record] of records.entries()) {
            const { id, sender, audience, timeToLiveMs, body, idempotencyKey, contentDigest } = record;
            const expiresAtMs = timeToLiveMs > 0 ? acceptedAtMs + timeToLiveMs : 0;
            const entry = decoder.entry(i);
            assert.deepEqual(
              { ...entry, body: Buffer.from(entry.body) },
              { sequence: 41 + i, epoch: 99, acceptedAtMs, expiresAtMs, id, sender, audience, body: Buffer.from(body) },
            );
            assert.deepEqual([decoder.idempotencyKey(i), decoder.contentDigest(i)], [idempotencyKey, contentDigest]);
            assert.equal(idHashes.readUInt32LE(i * 4), hashId(id));
          }
        },
      ),
    );
  });

  it("close at so many entries or bytes, and take one entry of any size", () => {
    const encoder = new BlockEncoder();
    assert.equal(encoder.fits(MAX_BLOCK_BYTES * 4), true);
    const record: AppendRecord = {
      id: "i",
      sender: "s",
      idempotencyKey: "k",
      contentDigest: 0,
      audience: ["a"],
      timeToLiveMs: 0,
      body: new Uint8Array(1),
    };
    encoder.add(record, 1);
    assert.equal(encoder.fits(MAX_BLOCK_BYTES - 1), true);
    assert.equal(encoder.fits(MAX_BLOCK_BYTES), false);
    while (encoder.count < MAX_BLOCK_ENTRIES) encoder.add({ ...record, id: `${encoder.count}` }, 1);
    assert.equal(encoder.fits(0), false);
    write(encoder, [], 1);
    assert.equal(encoder.count, 0);
  });

  it("fail their checksum when a bit of any part or number changes", () => {
    const part = fc.uint8Array({ minLength: 1, maxLength: 50 });
    const header: BlockHeader = {
      logId: 1,
      first: 2,
      last: 3,
      epoch: 4,
      firstAcceptedAtMs: 5,
      lastAcceptedAtMs: 6,
      bodyBytes: 7,
    };
    fc.assert(
      fc.property(part, part, part, fc.nat(2), fc.nat(49), fc.nat(7), (hashes, entries, bodies, which, byte, bit) => {
        const checksum = blockChecksum(header, hashes, entries, bodies);
        const changed = [hashes, entries, bodies][which]!;
        changed[byte % changed.length]! ^= 1 << bit;
        assert.notEqual(blockChecksum(header, hashes, entries, bodies), checksum);
      }),
    );
    const none = new Uint8Array(0);
    const checksum = blockChecksum(header, none, none, none);
    for (const name of Object.keys(header) as (keyof BlockHeader)[]) {
      assert.notEqual(blockChecksum({ ...header, [name]: header[name] + 1 }, none, none, none), checksum, name);
    }
  });
});
