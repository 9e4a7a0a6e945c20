import assert from "node:assert/strict";
import { describe, it } from "vitest";
import { createFakeClock } from "../../../test/support/fake-clock.ts";
import { type LogLine, recordingLogger, settle } from "../../../test/support/registry-fixture.ts";
import { PendingWrites } from "./pending-writes.ts";

/** Writes that wait until the test lets them go, or fail. */
function open() {
  const clock = createFakeClock();
  const lines: LogLine[] = [];
  const started: string[] = [];
  const running: PromiseWithResolvers<void>[] = [];
  const pending = new PendingWrites({
    clock,
    log: recordingLogger(lines),
    what: "things",
    write(key) {
      started.push(key);
      running.push(Promise.withResolvers());
      return running.at(-1)!.promise;
    },
  });
  return {
    clock,
    lines,
    started,
    pending,
    async finish(error?: Error) {
      const write = running.shift()!;
      if (error === undefined) write.resolve();
      else write.reject(error);
      await settle();
    },
  };
}

describe("pending writes", () => {
  it("of a key that changes while it is written are one more write, and never two at a time", async () => {
    const { pending, started, finish } = open();
    for (let i = 0; i < 10; i++) pending.add("a");
    assert.deepEqual(started, ["a"]);
    await finish();
    assert.deepEqual([started, pending.has("a")], [["a", "a"], true]);
    await finish();
    assert.deepEqual([started.length, pending.has("a")], [2, false]);
  });

  it("run 16 at a time", async () => {
    const { pending, started, finish } = open();
    for (let i = 0; i < 100; i++) pending.add(`k${i}`);
    assert.equal(started.length, 16);
    await finish();
    assert.equal(started.length, 17);
  });

  it("that fail are tried again after a second, all of them, and are warned of once", async () => {
    const { pending, started, finish, clock, lines } = open();
    for (const key of ["a", "b"]) pending.add(key);
    await finish(new Error("away"));
    await finish(new Error("away"));
    pending.add("c");
    assert.deepEqual(started, ["a", "b"], "nothing is tried meanwhile");
    clock.advance(1_000);
    assert.deepEqual(started, ["a", "b", "a", "b", "c"]);
    await finish(new Error("away"));
    await finish();
    await finish();
    clock.advance(1_000);
    await finish();
    assert.deepEqual([started.slice(5), lines.length, pending.has("a"), clock.pending], [["a"], 1, false, 0]);
  });

  it("are tried once more when they are flushed, and no longer after the end", async () => {
    const { pending, started, finish, clock } = open();
    await pending.flush();
    pending.add("a");
    await finish(new Error("away"));
    let flushed = false;
    void pending.flush().then(() => {
      flushed = true;
    });
    assert.equal(started.length, 2);
    await finish(new Error("still away"));
    assert.equal(flushed, true, "what fails again keeps nobody waiting");
    pending.close();
    pending.add("b");
    clock.advance(5_000);
    assert.deepEqual([started.length, clock.pending], [2, 0]);
  });
});
