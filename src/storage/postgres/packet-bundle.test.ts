import assert from "node:assert/strict";
import { describe, it } from "vitest";
import { bundle, bundledBytes, unbundle } from "./packet-bundle.ts";

describe("bundles of packets", () => {
  it("give back what was put in, empty packets too", () => {
    const packets = ["", "a", "", "b".repeat(300)].map((text) => Buffer.from(text));
    const block = bundle(packets);
    assert.deepEqual(unbundle(block), packets);
    assert.equal(
      block.length,
      packets.reduce((bytes, packet) => bytes + bundledBytes(packet), 0),
    );
    assert.deepEqual(unbundle(bundle([])), []);
  });

  it("are refused when they are cut off", () => {
    const block = bundle([Buffer.from("abc"), Buffer.from("def")]);
    for (let length = 1; length < block.length; length++) {
      if (length !== 7) assert.throws(() => unbundle(block.subarray(0, length)), RangeError);
    }
  });
});
