import assert from "node:assert/strict";
import { PassThrough, Readable } from "node:stream";
import { describe, it } from "vitest";
import { readLines } from "./input-lines.ts";

const NEVER = new AbortController().signal;
const linesOf = (...chunks: (string | Uint8Array)[]) =>
  Array.fromAsync(readLines(Readable.from(chunks.map((chunk) => Buffer.from(chunk))), NEVER));

describe("lines of standard input", () => {
  it("are what stands between line ends, wherever the chunks are cut", async () => {
    assert.deepEqual(await linesOf("a\nb", "c\r", "\n\nlast"), ["a", "bc", "", "last"]);
    assert.deepEqual(await linesOf("a\n"), ["a"]);
    assert.deepEqual(await linesOf(), []);
  });

  it("keep characters whole that a chunk cuts in two", async () => {
    const bytes = Buffer.from("grüße\n");
    assert.deepEqual(await linesOf(bytes.subarray(0, 3), bytes.subarray(3)), ["grüße"]);
  });

  it("end without an error when they are not wanted any more", async () => {
    const stop = new AbortController();
    const input = new PassThrough();
    const reading = Array.fromAsync(readLines(input, stop.signal));
    input.write("one\n");
    await new Promise(setImmediate);
    stop.abort();
    assert.deepEqual(await reading, ["one"]);
    assert.ok(input.destroyed);
  });

  it("have a longest length: what never ends fills no memory", async () => {
    const endless = Readable.from(
      (function* () {
        for (;;) yield Buffer.alloc(1_048_576, "x");
      })(),
    );
    await assert.rejects(Array.fromAsync(readLines(endless, NEVER)), /longer than 16777216 characters/);
  });
});
