import assert from "node:assert/strict";
import fc from "fast-check";
import { describe, it } from "vitest";
import { bytes, integer, packetsOf, text, textOrNull } from "./sql-text.ts";

describe("SQL text", () => {
  it("has no value that could end its literal", () => {
    fc.assert(
      fc.property(fc.string({ unit: "binary" }), (value) => {
        assert.match(text(value), /^(?:'[A-Za-z0-9 ._@|:/+-]*'|x'(?:[0-9a-f]{2})+')$/);
      }),
    );
    assert.equal(text("it's; --"), `x'${Buffer.from("it's; --").toString("hex")}'`);
    assert.equal(text("alice@example.org"), "'alice@example.org'");
    assert.equal(text(""), "''");
    assert.equal(textOrNull(null), "NULL");
    assert.equal(bytes(Uint8Array.of(0, 255).subarray(1)), "x'ff'");
    assert.equal(bytes(new Uint8Array(0)), "''");
  });

  it("has no number that is not an integer", () => {
    assert.equal(integer(-7), "-7");
    for (const wrong of [1.5, Number.NaN, 2 ** 53, "1 OR 1" as unknown as number]) {
      assert.throws(() => integer(wrong), RangeError);
    }
  });

  it("is divided into packets, in order, none too large unless one statement is", () => {
    fc.assert(
      fc.property(fc.array(fc.nat(30)), (sizes) => {
        const statements = sizes.map((size, i) => `${i}`.padEnd(size, "."));
        const packets = packetsOf(statements, 40);
        assert.deepEqual(packets.flat(), statements);
        for (const packet of packets) assert.ok(packet.length === 1 || packet.join(";").length <= 40);
      }),
    );
  });
});
