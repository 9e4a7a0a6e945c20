import assert from "node:assert/strict";
import { describe, it } from "vitest";
import { voidRange } from "./void-range.ts";

const LINKS = [
  { epoch: 7, first: 1 },
  { epoch: 9, first: 5 },
];
const LOG = { head: 6, floor: 1, links: LINKS };
/** Of a link that was lost with the log's end. */
const LOST = 8;

describe("what a reader must be told is void", () => {
  it("is what its own epoch says where the log still has that", () => {
    assert.equal(voidRange(LOG, 0, 7, 4), undefined);
    assert.deepEqual(voidRange(LOG, 4, 7, 5), { first: 5, last: 5, cause: "NEW_EPOCH" });
    assert.equal(voidRange(LOG, 0, 9, 6), undefined);
  });

  it("is what lies behind the agreed part where its epoch is gone, a single message, too", () => {
    assert.equal(voidRange(LOG, 4, LOST, 4), undefined);
    assert.deepEqual(voidRange(LOG, 4, LOST, 5), { first: 5, last: 5, cause: "NEW_EPOCH" });
    assert.deepEqual(voidRange(LOG, 4, LOST, 9), { first: 5, last: 9, cause: "NEW_EPOCH" });
  });

  it("reaches to what is retained when that was trimmed already", () => {
    assert.deepEqual(voidRange({ ...LOG, floor: 7 }, 4, LOST, 5), { first: 5, last: 6, cause: "NEW_EPOCH" });
  });
});
