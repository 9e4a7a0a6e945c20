import assert from "node:assert/strict";
import { describe, it } from "vitest";
import { createFakeClock } from "./fake-clock.ts";

describe("fake clock", () => {
  it("stands still until it is moved, and runs what falls due in order, each at its own instant", () => {
    const clock = createFakeClock({ now: 1_000 });
    const seen: string[] = [];
    clock.after(30, () => seen.push(`c@${clock.now()}`));
    clock.every(10, () => seen.push(`e@${clock.now()}`));
    clock.after(20, () => clock.after(5, () => seen.push(`nested@${clock.now()}`)));
    assert.deepEqual(seen, []);
    clock.advance(30);
    assert.deepEqual(seen, ["e@1010", "e@1020", "nested@1025", "c@1030", "e@1030"]);
    assert.equal(clock.monotonic(), 30);
    assert.equal(clock.pending, 1);
  });

  it("runs nothing that was stopped, also when a task stops another that is due at the same instant", () => {
    const clock = createFakeClock();
    const seen: string[] = [];
    const stops: (() => void)[] = [];
    clock.after(10, () => stops.forEach((stop) => void stop()));
    stops.push(
      clock.after(10, () => seen.push("once")),
      clock.every(10, () => seen.push("every")),
    );
    clock.advance(100);
    assert.deepEqual(seen, []);
    assert.equal(clock.pending, 0);
  });

  it("runs deferred tasks when flushed or after a timer, those they defer included", () => {
    const clock = createFakeClock();
    const seen: string[] = [];
    clock.defer(() => {
      seen.push("first");
      clock.defer(() => seen.push("second"));
    });
    assert.equal(seen.length, 0);
    assert.equal(clock.flush(), 2);
    clock.after(1, () => clock.defer(() => seen.push("third")));
    clock.advance(1);
    assert.deepEqual(seen, ["first", "second", "third"]);
  });

  it("steps the calendar without letting timers fall due", () => {
    const clock = createFakeClock({ now: 0 });
    let ran = false;
    clock.after(10, () => {
      ran = true;
    });
    clock.step(-5_000);
    assert.equal(clock.now(), -5_000);
    assert.equal(clock.monotonic(), 0);
    assert.equal(ran, false);
  });

  it("refuses to go on for ever", () => {
    const clock = createFakeClock();
    const again = () => clock.defer(again);
    clock.defer(again);
    assert.throws(() => clock.flush(), /defers itself for ever/);
  });
});
