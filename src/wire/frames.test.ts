import assert from "node:assert/strict";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { FrameReader, frameOf } from "./frames.ts";

describe("frames", () => {
  it("come out as they went in, however the stream is cut", () => {
    const frames = fc.array(fc.tuple(fc.uint8Array({ maxLength: 50 }), fc.integer({ min: 0, max: 255 })), {
      maxLength: 8,
    });
    fc.assert(
      fc.property(frames, fc.array(fc.nat({ max: 20 }), { minLength: 1 }), (wanted, sizes) => {
        const bytes = Buffer.concat(wanted.map(([payload, flags]) => frameOf(payload, flags)));
        const read: [Uint8Array, number][] = [];
        const reader = new FrameReader(50, (payload, flags) => read.push([Uint8Array.from(payload), flags]));
        for (let at = 0, i = 0; at < bytes.length; i++) {
          const size = sizes[i % sizes.length]! + 1;
          reader.push(bytes.subarray(at, at + size));
          at += size;
        }
        assert.deepEqual(read, wanted);
        assert.equal(reader.partial, false);
      }),
    );
  });

  it("tell when one was begun and not ended", () => {
    const reader = new FrameReader(50, () => {});
    const frame = frameOf(Buffer.from("hello"));
    for (let end = 1; end < frame.length; end++) {
      reader.push(frame.subarray(end - 1, end));
      assert.equal(reader.partial, true, `${end} bytes`);
    }
    reader.push(frame.subarray(-1));
    assert.equal(reader.partial, false);
  });

  it("S3-FR-009: refuse what is too long by its header alone, before anything is held for it", () => {
    const reader = new FrameReader(50, () => assert.fail("a frame"));
    const header = Buffer.from([0, 0xff, 0xff, 0xff, 0xff]);
    reader.push(header.subarray(0, 4));
    expect(() => reader.push(header.subarray(4))).toThrow(expect.objectContaining({ reason: "REQUEST_TOO_LARGE" }));
  });
});
