import assert from "node:assert/strict";
import { describe, it } from "vitest";
import type { Ring } from "../doorbell.ts";
import { formatRing, parseRing } from "./redis-doorbell.ts";

describe("rings on the wire", () => {
  it("come back as they were rung", () => {
    const rings: Ring[] = [
      { topic: "log", key: "_inbox:a|b@c:d/e", head: 2 ** 53 - 1, epoch: 2 ** 32 - 1 },
      { topic: "record", key: { kind: "member", parent: "room:channel", id: 'with "quotes" and spaces' } },
      { topic: "missed" },
    ];
    for (const ring of rings) assert.deepEqual(parseRing(formatRing(ring)), { ring, commit: "" });
  });

  it("of logs name the commit that they come from", () => {
    const ring: Ring = { topic: "log", key: "_inbox:a|b@c:d/e", head: 7, epoch: 1 };
    assert.deepEqual(parseRing(`${formatRing(ring)} aB-_09xY.1z`), { ring, commit: "aB-_09xY.1z" });
  });

  it("are left out when they are not ours", () => {
    for (const text of ["", "L", "L 1 x a:b", "R {}", "R [1,2,3]", 'R ["a","b"]', "R [", "X 1"]) {
      assert.equal(parseRing(text), undefined, text);
    }
  });
});
