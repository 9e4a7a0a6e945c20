import assert from "node:assert/strict";
import { describe, it } from "vitest";
import { ReadGate } from "./read-gate.ts";

describe("ReadGate", () => {
  it("runs so many at a time, all of them, in their order, whatever fails", async () => {
    const gate = new ReadGate(3);
    const order: number[] = [];
    let running = 0;
    let most = 0;
    const task = async (i: number) => {
      order.push(i);
      most = Math.max(most, ++running);
      await new Promise((resolve) => setImmediate(resolve));
      running--;
      if (i % 2 === 1) throw new Error(`${i}`);
      return i;
    };
    const outcomes = await Promise.allSettled(Array.from({ length: 20 }, (_, i) => gate.run(() => task(i))));
    assert.deepEqual([most, running], [3, 0]);
    assert.deepEqual(
      order,
      Array.from({ length: 20 }, (_, i) => i),
    );
    assert.deepEqual(
      outcomes.map(({ status }) => status === "rejected"),
      order.map((i) => i % 2 === 1),
    );
    assert.equal(await gate.run(async () => "again"), "again");
  });
});
