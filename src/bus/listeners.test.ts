import assert from "node:assert/strict";
import { it } from "vitest";
import { type LogLine, recordingLogger } from "../../test/support/registry-fixture.ts";
import { Listeners } from "./listeners.ts";

it("tells everyone the same order, whatever a listener causes, and goes on when one throws", () => {
  const lines: LogLine[] = [];
  const listeners = new Listeners<number>(recordingLogger(lines));
  const heard: string[] = [];
  listeners.add((event) => {
    heard.push(`first ${event}`);
    if (event === 1) listeners.tell(2);
  });
  listeners.add(() => {
    throw new Error("broken");
  });
  const stop = listeners.add((event) => heard.push(`last ${event}`));
  listeners.tell(1);
  stop();
  listeners.tell(3);
  assert.deepEqual(heard, ["first 1", "last 1", "first 2", "last 2", "first 3"]);
  assert.equal(lines.length, 3);
});
