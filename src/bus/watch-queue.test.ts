import assert from "node:assert/strict";
import { describe, it } from "vitest";
import { isBusError } from "../core/errors.ts";
import { WatchQueue } from "./watch-queue.ts";

const never = new AbortController().signal;

describe("a watcher's queue", () => {
  it("hands over what waits in order, in batches, and ends behind it when finished", async () => {
    const queue = new WatchQueue<number>(10, 2);
    for (const n of [1, 2, 3]) queue.push(n);
    queue.finish();
    queue.push(4);
    const batches: (readonly number[])[] = [];
    for await (const batch of queue.batches(never)) batches.push(batch);
    assert.deepEqual(batches, [[1, 2], [3]]);
  });

  it("wakes a reader that waits", async () => {
    const queue = new WatchQueue<number>(10, 2);
    const next = queue.batches(never).next();
    queue.push(1);
    assert.deepEqual((await next).value, [1]);
  });

  it("keeps no more than its capacity: whoever is slower is told WATCHER_TOO_SLOW", async () => {
    const queue = new WatchQueue<number>(2, 2);
    for (const n of [1, 2, 3]) queue.push(n);
    await assert.rejects(queue.batches(never).next(), (error) => isBusError(error, "WATCHER_TOO_SLOW"));
  });

  it("lets go of a reader whose call is over, whether it waits or not", async () => {
    for (const waiting of [true, false]) {
      const call = new AbortController();
      const queue = new WatchQueue<number>(2, 2);
      if (!waiting) call.abort();
      const next = queue.batches(call.signal).next();
      call.abort();
      assert.equal((await next).done, true);
    }
  });
});
