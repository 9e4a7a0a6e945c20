import assert from "node:assert/strict";
import fc from "fast-check";
import { describe, it } from "vitest";
import type { StoredRecord } from "../sql/decide-appends.ts";
import { toLogEntry } from "../sql/entry-row.ts";
import { keyFingerprint } from "../sql/keyed-batch.ts";
import {
  blocksOf,
  bodyLengths,
  decodeBlock,
  decodeKeys,
  encodeContent,
  encodeIdPrints,
  encodeKeys,
  idPrint,
  MAX_BLOCK_ENTRIES,
} from "./block-codec.ts";

const EPOCH = 0xfedcba98;
const ACCEPTED_AT_MS = 1_750_000_000_000;

const record = fc.record({
  id: fc.string({ unit: "grapheme", maxLength: 20 }),
  sender: fc.string({ unit: "grapheme", maxLength: 20 }),
  idempotencyKey: fc.string({ maxLength: 5 }),
  contentDigest: fc.maxSafeNat(),
  audience: fc.option(fc.array(fc.stringMatching(/^[a-zé-]{1,9}$/), { maxLength: 4 })),
  timeToLiveMs: fc.nat({ max: 2 ** 31 - 1 }),
  body: fc.uint8Array({ maxLength: 300 }),
});
const block = fc.array(record, { minLength: 1, maxLength: 20 }).map((records) =>
  records.map((record, i): StoredRecord => {
    const key = record.idempotencyKey === "" ? "" : keyFingerprint(record.sender, record.idempotencyKey);
    return { sequence: 1_001 + i, acceptedAtMs: ACCEPTED_AT_MS, record, key };
  }),
);
const rangeOf = (stored: readonly StoredRecord[]) => {
  const first = stored[0]!.sequence;
  return { first, last: first + stored.length - 1, epoch: EPOCH, acceptedAtMs: ACCEPTED_AT_MS };
};

describe("blocks of entries", () => {
  it("give back every entry, and any part of them", () => {
    fc.assert(
      fc.property(block, fc.nat(25), fc.nat(25), (stored, from, to) => {
        const [low, high] = [1_000 + from, 1_000 + to];
        const decoded = decodeBlock(rangeOf(stored), encodeContent(stored, EPOCH), low, high).map(toLogEntry);
        const expected = stored
          .filter(({ sequence }) => sequence >= low && sequence <= high)
          .map(({ sequence, record: { id, sender, audience, timeToLiveMs, body } }) => {
            const expiresAtMs = timeToLiveMs > 0 ? ACCEPTED_AT_MS + timeToLiveMs : 0;
            return { sequence, epoch: EPOCH, acceptedAtMs: ACCEPTED_AT_MS, expiresAtMs, id, sender, audience, body };
          });
        assert.deepEqual(
          decoded.map((entry) => entry && { ...entry, body: Uint8Array.from(entry.body) }),
          expected,
        );
      }),
    );
  });

  it("never give back an entry of which a byte was changed", () => {
    fc.assert(
      fc.property(block, fc.nat(), fc.integer({ min: 1, max: 255 }), (stored, place, change) => {
        const content = encodeContent(stored, EPOCH);
        const whole = decodeBlock(rangeOf(stored), Buffer.from(content), 0, 2_000).map(toLogEntry);
        content[place % content.length]! ^= change;
        for (const [i, row] of decodeBlock(rangeOf(stored), content, 0, 2_000).entries()) {
          const entry = toLogEntry(row);
          if (entry !== undefined) assert.deepEqual(entry, whole[i]);
        }
      }),
    );
  });

  it("tell of a content that is too short or too long that every entry is damaged", () => {
    const stored = fc.sample(block, 1)[0]!;
    const content = encodeContent(stored, EPOCH);
    for (const wrong of [Buffer.alloc(0), content.subarray(1), Buffer.concat([content, Buffer.alloc(1)])]) {
      assert.equal(bodyLengths(rangeOf(stored), wrong), undefined);
      const rows = decodeBlock(rangeOf(stored), wrong, 0, 2_000);
      assert.deepEqual(
        rows.map(toLogEntry),
        stored.map(() => undefined),
      );
    }
  });

  it("know the keys of their entries, and which have none", () => {
    fc.assert(
      fc.property(block, (stored) => {
        const expected = stored
          .filter(({ key }) => key !== "")
          .map(({ key, sequence, record }) => ({ sequence, fingerprint: key, contentDigest: record.contentDigest }));
        assert.deepEqual(decodeKeys(stored[0]!.sequence, encodeKeys(stored)), expected);
      }),
    );
  });

  it("have a print of every id", () => {
    fc.assert(
      fc.property(block, (stored) => {
        const prints = encodeIdPrints(stored);
        for (const { record } of stored) assert.ok(prints.includes(idPrint(record.id)));
      }),
    );
  });

  it("are of a handy size, whatever is stored", () => {
    const of = (bytes: number): StoredRecord => {
      const body = new Uint8Array(bytes);
      const record = {
        id: "i",
        sender: "s",
        idempotencyKey: "",
        contentDigest: 1,
        audience: null,
        timeToLiveMs: 0,
        body,
      };
      return { sequence: 1, acceptedAtMs: 1, record, key: "" };
    };
    const sizes = (bytes: number, count: number) =>
      blocksOf(Array.from({ length: count }, () => of(bytes))).map((each) => each.length);
    assert.deepEqual(sizes(1_000_000, 3), [1, 1, 1]);
    assert.deepEqual(sizes(30_000, 5), [2, 2, 1]);
    assert.ok(sizes(0, 5_000).every((count) => count <= MAX_BLOCK_ENTRIES));
  });
});
