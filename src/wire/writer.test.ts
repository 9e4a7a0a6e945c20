import assert from "node:assert/strict";
import { fromBinary } from "@bufbuild/protobuf";
import { BinaryReader, BinaryWriter } from "@bufbuild/protobuf/wire";
import { TimestampSchema } from "@bufbuild/protobuf/wkt";
import fc from "fast-check";
import { describe, it } from "vitest";
import { millisField, varintSize, writeVarint } from "./writer.ts";

describe("numbers", () => {
  const edges = [0, 7, 14, 21, 28, 31, 32, 35, 42, 49, 52, 53].flatMap((bits) => [2 ** bits - 1, 2 ** bits]);

  it("are written as protobuf-es writes them, in the size that was measured", () => {
    const value = fc.oneof(fc.constantFrom(...edges.filter(Number.isSafeInteger)), fc.maxSafeNat());
    fc.assert(
      fc.property(value, (number) => {
        const target = Buffer.alloc(10);
        const size = writeVarint(target, 0, number);
        assert.equal(size, varintSize(number));
        assert.deepEqual(target.subarray(0, size), Buffer.from(new BinaryWriter().uint64(BigInt(number)).finish()));
      }),
    );
  });
});

describe("times", () => {
  it("are whole milliseconds", () => {
    fc.assert(
      fc.property(fc.nat({ max: 253_402_300_799_999 }), (ms) => {
        const reader = new BinaryReader(millisField(1, ms));
        reader.tag();
        const { seconds, nanos } = fromBinary(TimestampSchema, reader.bytes());
        assert.equal(Number(seconds) * 1_000 + nanos / 1e6, ms);
      }),
    );
  });
});
