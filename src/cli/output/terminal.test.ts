import assert from "node:assert/strict";
import { once } from "node:events";
import { PassThrough, Writable } from "node:stream";
import { describe, it } from "vitest";
import { printTable } from "./table.ts";
import { type OutputStream, printable, Terminal } from "./terminal.ts";

/** A stream that takes one write and then waits until it is read on. */
function streams({ isTTY = false } = {}) {
  const written: string[] = [];
  const output = (): OutputStream =>
    Object.assign(
      new Writable({
        write(chunk, _encoding, done) {
          written.push(String(chunk));
          done();
        },
      }),
      { isTTY },
    );
  return { written, streams: { stdin: new PassThrough(), stdout: output(), stderr: output() } };
}

const COLUMNS = [
  { heading: "NAME", value: (row: readonly string[]) => row[0]! },
  { heading: "WORDS", value: (row: readonly string[]) => row[1]! },
];

describe("terminal", () => {
  it("aligns tables for people, and says when there is nothing", async () => {
    const { written, streams: io } = streams({ isTTY: true });
    const terminal = new Terminal(io, false);
    await printTable(
      terminal,
      COLUMNS,
      [
        ["a", "1"],
        ["longer", "2"],
      ],
      "Nothing.",
    );
    await printTable(terminal, COLUMNS, [], "Nothing.");
    const plain = written.map((line) => line.replaceAll(/\p{Cc}\[\d+m/gu, ""));
    assert.deepEqual(plain, ["NAME    WORDS\n", "a       1\n", "longer  2\n", "Nothing.\n"]);
  });

  it("gives programs tabs, no headings, and nothing for nothing", async () => {
    const { written, streams: io } = streams();
    const terminal = new Terminal(io, false);
    await printTable(terminal, COLUMNS, [["a\tb", "line\none"]], "Nothing.");
    await printTable(terminal, COLUMNS, [], "Nothing.");
    assert.deepEqual(written, ["a b\tline\\x0aone\n"]);
  });

  it("waits for a slow reader, and not for one that has left", async () => {
    let read: (() => void) | undefined;
    const stdout = new Writable({
      highWaterMark: 1,
      write(_chunk, _encoding, done) {
        read = done;
      },
    });
    const terminal = new Terminal({ stdin: new PassThrough(), stdout, stderr: new PassThrough() }, false);
    let printed = 0;
    const printing = terminal.print("one").then(() => printed++);
    await new Promise(setImmediate);
    assert.equal(printed, 0);
    read?.();
    await printing;

    const stuck = terminal.print("two");
    const left = once(terminal.readerLeft, "abort");
    stdout.destroy(Object.assign(new Error("write EPIPE"), { code: "EPIPE" }));
    await left;
    await stuck;
    await terminal.print("three");
  });

  it("shows control characters instead of sending them", () => {
    assert.equal(printable("a\u001b[31mb\r\u0007\tc\u009b"), "a\\x1b[31mb\\x0d\\x07\tc\\x9b");
  });
});
