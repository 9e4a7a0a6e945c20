import assert from "node:assert/strict";
import { describe, it } from "vitest";
import { BusError } from "./core/errors.ts";
import { untilReachable } from "./until-reachable.ts";

const away = () => new BusError("STORAGE_UNAVAILABLE", "nobody answers");

describe("waiting for a storage", () => {
  it("tries again with growing pauses until it is there", async () => {
    const pauses: number[] = [];
    let attempts = 0;
    const result = await untilReachable(
      async () => {
        if (++attempts < 3) throw away();
        return "there";
      },
      {
        signal: new AbortController().signal,
        discard: () => assert.fail("nothing was late"),
        random: () => 0.5,
        onAway(problem, pauseMs) {
          assert.equal(problem, "nobody answers");
          pauses.push(pauseMs);
        },
      },
    );
    assert.equal(result, "there");
    assert.deepEqual(pauses, [100, 200]);
  });

  it("ends at once at what waiting does not mend", async () => {
    const wrong = new Error("maxmemory-policy must be noeviction");
    const options = { signal: new AbortController().signal, onAway: () => assert.fail("waited"), discard() {} };
    await assert.rejects(
      untilReachable(() => Promise.reject(wrong), options),
      wrong,
    );
  });

  it("gives up when told", async () => {
    const stop = new AbortController();
    const options = { signal: stop.signal, onAway: () => stop.abort(new Error("told")), discard() {} };
    await assert.rejects(
      untilReachable(() => Promise.reject(away()), options),
      /told/,
    );
  });

  it("gives up when told in the middle of an attempt, and closes what that still brings", async () => {
    const stop = new AbortController();
    const attempt = Promise.withResolvers<string>();
    const discarded = Promise.withResolvers<string>();
    const options = { signal: stop.signal, onAway: () => assert.fail("waited"), discard: discarded.resolve };
    const wait = untilReachable(() => attempt.promise, options);
    stop.abort(new Error("told"));
    await assert.rejects(wait, /told/);
    attempt.resolve("late");
    assert.equal(await discarded.promise, "late");
  });

  it("is not troubled by an attempt that fails after it gave up", async () => {
    const stop = new AbortController();
    const attempt = Promise.withResolvers<string>();
    const options = { signal: stop.signal, onAway: () => assert.fail("waited"), discard: () => assert.fail("late") };
    const wait = untilReachable(() => attempt.promise, options);
    stop.abort(new Error("told"));
    await assert.rejects(wait, /told/);
    attempt.reject(away());
    await new Promise((resolve) => setImmediate(resolve)); // an unhandled rejection would fail the run
  });
});
