import assert from "node:assert/strict";
import { InvalidArgumentError } from "commander";
import { describe, it } from "vitest";
import { collectPair, count, duration, given, instant, size, url } from "./option-values.ts";

const refused = (parse: () => unknown) => assert.throws(parse, InvalidArgumentError);

describe("option values", () => {
  it("read whole numbers within their range", () => {
    assert.equal(count(0, 9)("9"), 9);
    for (const wrong of ["10", "-1", "1.5", "", "1e1", "0x1", " 1"]) refused(() => count(0, 9)(wrong));
  });

  it("read durations, sizes and URLs", () => {
    assert.equal(duration("1.5s"), 1_500);
    assert.equal(size("64KiB"), 65_536);
    assert.equal(url("https://bus.example.com"), "https://bus.example.com");
    refused(() => duration("soon"));
    refused(() => size("-1"));
    for (const wrong of ["localhost:7400", "ftp://x", "http:///", "http://a b"]) refused(() => url(wrong));
  });

  it("read instants, and how long ago", () => {
    assert.equal(instant("2026-01-31T12:00:00Z").getTime(), Date.UTC(2026, 0, 31, 12));
    assert.equal(instant("2026-01-31").getTime(), Date.UTC(2026, 0, 31));
    const before = Date.now() - 60_000;
    const ago = instant("1m").getTime();
    assert.ok(ago >= before && ago <= Date.now() - 60_000);
    // A bare number could be meant as either.
    for (const wrong of ["yesterday", "5", "2026-13-01", "12:00"]) refused(() => instant(wrong));
  });

  it("collect pairs, with values that hold anything", () => {
    assert.deepEqual(collectPair("b=c=d", collectPair("a=")), { a: "", b: "c=d" });
    refused(() => collectPair("a"));
    refused(() => collectPair("=a"));
  });

  it("leave out what was not given, and nothing else", () => {
    assert.deepEqual(given<{ a: number; b: boolean; c: string }>({ a: 0, b: false, c: undefined }), { a: 0, b: false });
  });
});
