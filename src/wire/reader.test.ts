import assert from "node:assert/strict";
import { BinaryReader, BinaryWriter, WireType } from "@bufbuild/protobuf/wire";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { isBusError } from "../core/errors.ts";
import { VARINT, WireReader } from "./reader.ts";

const malformed = expect.objectContaining({ reason: "MALFORMED_REQUEST" });
const all = (bytes: Uint8Array) => {
  const reader = WireReader.of(bytes);
  const fields: [number, number, string][] = [];
  while (reader.next()) {
    fields.push([reader.field, reader.type, reader.buffer.toString("hex", reader.start, reader.end)]);
  }
  return fields;
};

describe("WireReader", () => {
  it("reads every wire type but groups", () => {
    const bytes = new BinaryWriter()
      .tag(1, WireType.Varint)
      .int32(-1)
      .tag(2, WireType.Bit64)
      .fixed64(1n)
      .tag(536_870_911, WireType.LengthDelimited)
      .string("hi")
      .tag(4, WireType.Bit32)
      .fixed32(7)
      .finish();
    assert.deepEqual(all(bytes), [
      [1, 0, "ffffffffffffffffff01"],
      [2, 1, "0100000000000000"],
      [536_870_911, 2, "6869"],
      [4, 5, "07000000"],
    ]);
    expect(() => all(Buffer.from([0x0b, 0x0c]))).toThrow(malformed);
  });

  it("refuses every cut", () => {
    const bytes = new BinaryWriter()
      .tag(4, WireType.Bit64)
      .fixed64(1n)
      .tag(900, WireType.LengthDelimited)
      .string("text")
      .finish();
    for (let end = 1; end < bytes.length; end++) {
      if (end === 9) continue; // between the fields
      expect(() => all(bytes.subarray(0, end)), `cut at ${end}`).toThrow(malformed);
    }
  });

  it.each([
    ["a tag of six bytes", [0x88, 0x80, 0x80, 0x80, 0x80, 0x01]],
    ["a tag beyond 32 bits", [0x88, 0x80, 0x80, 0x80, 0x10, 0x00]],
    ["a length beyond 32 bits", [0x0a, 0xff, 0xff, 0xff, 0xff, 0x7f]],
    ["a length beyond the end", [0x0a, 0xff, 0xff, 0xff, 0xff, 0x0f]],
    ["a number of eleven bytes", [0x08, ...Array<number>(10).fill(0x80), 0x00]],
    ["wire type 6", [0x0e, 0x00]],
    ["field 0", [0x00, 0x00]],
  ])("refuses %s", (_, bytes) => {
    expect(() => all(Buffer.from(bytes))).toThrow(malformed);
  });

  it("reads numbers as protobuf-es does, cut to their size", () => {
    fc.assert(
      fc.property(fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }), (value) => {
        const bytes = new BinaryWriter().tag(1, WireType.Varint).int64(value).finish();
        const reader = WireReader.of(bytes);
        assert.ok(reader.next());
        const theirs = new BinaryReader(bytes);
        theirs.tag();
        assert.equal(reader.int32(), theirs.int32());
        assert.equal(reader.int64(), Number(value));
      }),
    );
  });

  it("throws nothing but MALFORMED_REQUEST, whatever the bytes, and ends", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 60 }), (bytes) => {
        try {
          const reader = WireReader.of(bytes);
          while (reader.next()) if (reader.type === VARINT) reader.int64();
        } catch (error) {
          assert.ok(isBusError(error, "MALFORMED_REQUEST"), String(error));
        }
      }),
    );
  });

  it("tells UTF-8 as the standard decoder does", () => {
    const strict = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
    const bytes = fc.oneof(
      fc.uint8Array({ maxLength: 80 }),
      fc.string({ unit: "binary", maxLength: 80 }).map((text) => Buffer.from(text)),
      fc.constantFrom([0xed, 0xa0, 0x80], [0xf4, 0x90, 0x80, 0x80], [0xc0, 0x80]).map((list) => Uint8Array.from(list)),
    );
    fc.assert(
      fc.property(bytes, (value) => {
        const reader = WireReader.of(new BinaryWriter().tag(1, WireType.LengthDelimited).bytes(value).finish());
        assert.ok(reader.next());
        const attempt = (decode: () => string) => {
          try {
            return decode();
          } catch {
            return undefined;
          }
        };
        assert.equal(
          attempt(() => reader.string("it")),
          attempt(() => strict.decode(value)),
        );
      }),
    );
  });
});
