import assert from "node:assert/strict";
import { beforeEach, describe, it } from "vitest";
import { RingFeed } from "./ring-feed.ts";
import { tablesOf } from "./schema.ts";
import { StoreClock } from "./store-clock.ts";

const environment = { now: () => 0, randomEpoch: () => 1, log: { info() {}, warn() {}, error() {} } };

describe("ring feed", () => {
  let feed: RingFeed;
  let table: number[];
  beforeEach(() => {
    feed = new RingFeed(tablesOf("test"), new StoreClock(environment));
    table = [];
  });

  /** One look at a table that has these ids, as the server would answer its statements. */
  function look(nowMs = 0): number[] | "missed" {
    const [, newer, late] = feed.statements();
    const above = Number(/id > (\d+)/.exec(newer!)![1]);
    const holes = late === undefined ? undefined : /IN \((.*)\)/.exec(late)![1]!.split(",").map(Number);
    const row = (id: number) => [id, Buffer.of(0), Buffer.from('["missed"]')];
    const sorted = table.toSorted((a, b) => a - b);
    const answers = [
      [[Math.max(0, ...table), 0]],
      sorted.filter((id) => id > above).map(row),
      ...(holes === undefined ? [] : [sorted.filter((id) => holes.includes(id)).map(row)]),
    ];
    const { rows, missed } = feed.take(answers, nowMs);
    return missed ? "missed" : rows.map(({ id }) => id);
  }

  it("tells each ring once, whenever it is committed", () => {
    feed.start(3);
    table.push(4, 7);
    assert.deepEqual(look(), [4, 7]);
    table.push(6, 9);
    assert.deepEqual(look(), [6, 9]);
    table.push(8, 5);
    assert.deepEqual(look(), [5, 8]);
    assert.deepEqual(look(), []);
    assert.equal(feed.statements().length, 2, "nothing is left to be asked for");
  });

  it("gives up what was rolled back, when its transaction must be over", () => {
    table.push(2);
    look(0);
    assert.equal(feed.statements().length, 3);
    look(14_999);
    assert.equal(feed.statements().length, 3);
    look(15_000);
    assert.equal(feed.statements().length, 2);
  });

  it("looks for a bounded number of holes", () => {
    table.push(5_000);
    look();
    assert.equal(feed.statements()[2]!.split(",").length - 2, 1_000);
    table.push(9_999, 4_999);
    assert.deepEqual(look(), [4_999, 9_999]);
    assert.equal(feed.statements()[2]!.split(",").length - 2, 1_000);
  });

  it("says that rings were missed when the table has lost its end, or has too many", () => {
    feed.start(10);
    table.push(4);
    assert.equal(look(), "missed");
    table.push(5);
    assert.deepEqual(look(), [5]);
    table.push(...Array.from({ length: 2_001 }, (_, i) => 6 + i));
    assert.equal(look(), "missed");
    assert.deepEqual(look(), []);
  });
});
