import assert from "node:assert/strict";
import { describe, it } from "vitest";
import { StorageWait } from "./storage-wait.ts";

function waiting() {
  let nowMs = 0;
  const lines: string[] = [];
  const tell = (fields: object, text: string) => {
    lines.push("waitedSeconds" in fields ? `${text} (${fields.waitedSeconds} s)` : text);
  };
  const log = { debug: tell, info: tell, warn: tell, error: tell };
  const wait = new StorageWait({ log, storage: "redis://host", monotonic: () => nowMs });
  return {
    lines,
    wait,
    /** Fails every 5 s for so long. */
    failFor(seconds: number, problem: (attempt: number) => string) {
      for (let attempt = 0; attempt < seconds / 5; attempt++) {
        wait.away(problem(attempt));
        nowMs += 5_000;
      }
    },
  };
}

describe("the log of a wait for the storage", () => {
  it("says it at once, reminds once a minute, and says when it is over", () => {
    const { lines, wait, failFor } = waiting();
    failFor(180, () => "refused");
    wait.over();
    assert.deepEqual(lines, [
      "the storage is away: refused; trying again until it is there",
      "the storage is still away: refused (60 s)",
      "the storage is still away: refused (120 s)",
      "the storage is there (180 s)",
    ]);
  });

  it("tells another cause soon, and no flood when two take turns", () => {
    const { lines, failFor } = waiting();
    failFor(60, (attempt) => (attempt % 2 === 0 ? "reset" : "closed"));
    assert.equal(lines.length, 4, lines.join("\n"));
    assert.equal(lines[1], "the storage is still away: closed (15 s)");
  });

  it("says nothing when nothing was waited for", () => {
    const { lines, wait } = waiting();
    wait.over();
    assert.deepEqual(lines, []);
  });
});
