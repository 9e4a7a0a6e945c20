import assert from "node:assert/strict";
import pg from "pg";
import { describe, it } from "vitest";
import { byteaArray, int8Array, textArray, uuidArray } from "./binary-array.ts";

/** Length of the only dimension, then the elements, NULL as null. */
function elements(array: Buffer): (Buffer | null)[] {
  const read: (Buffer | null)[] = [];
  let at = 20;
  for (let n = array.readInt32BE(12); n > 0; n--) {
    const length = array.readInt32BE(at);
    at += 4;
    read.push(length < 0 ? null : array.subarray(at, at + length));
    at += Math.max(length, 0);
  }
  assert.equal(at, array.length);
  return read;
}

describe("binary arrays", () => {
  it("hold integers up to the largest safe one, either sign", () => {
    const values = [0, 1, -1, 2 ** 31, 2 ** 32, -(2 ** 32) - 5, Number.MAX_SAFE_INTEGER, Number.MIN_SAFE_INTEGER];
    const array = int8Array(values);
    assert.equal(array.readInt32BE(8), pg.types.builtins.INT8);
    assert.deepEqual(
      elements(array).map((element) => Number(element!.readBigInt64BE())),
      values,
    );
  });

  it("hold texts of any length and NULL", () => {
    const values = ["", "ünï ✓ 𝄞", null, "x".repeat(1_000)];
    assert.deepEqual(
      elements(textArray(values)).map((element) => element?.toString() ?? null),
      values,
    );
  });

  it("hold bytes and UUIDs", () => {
    const bytes = [Buffer.alloc(0), Buffer.from([0, 255, 128])];
    assert.deepEqual(elements(byteaArray(bytes)), bytes);
    const id = "0123456789abcdef0123456789abcdef";
    assert.deepEqual(
      elements(uuidArray([id, "", id])).map((element) => element?.toString("hex") ?? null),
      [id, null, id],
    );
  });
});
