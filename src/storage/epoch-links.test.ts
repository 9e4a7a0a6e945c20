import assert from "node:assert/strict";
import { describe, it } from "vitest";
import { MAX_EPOCH_LINKS, newestEpoch, withNewEpoch } from "./epoch-links.ts";

describe("epoch chain of a log", () => {
  it("never has the same epoch twice, whatever chance says", () => {
    const drawn = [5, 5, 6, 5, 6, 7];
    const random = () => drawn.shift()!;
    let links = withNewEpoch([], 1, random);
    links = withNewEpoch(links, 1, random);
    links = withNewEpoch(links, 9, random);
    assert.deepEqual(links, [
      { epoch: 5, first: 1 },
      { epoch: 6, first: 1 },
      { epoch: 7, first: 9 },
    ]);
    assert.equal(newestEpoch(links), 7);
  });

  it("drops its oldest links beyond a thousand", () => {
    let epoch = 0;
    let links = withNewEpoch([], 1, () => ++epoch);
    for (let n = 0; n < MAX_EPOCH_LINKS + 5; n++) links = withNewEpoch(links, n + 2, () => ++epoch);
    assert.equal(links.length, MAX_EPOCH_LINKS);
    assert.deepEqual(links[0], { epoch: 7, first: 7 });
  });
});
