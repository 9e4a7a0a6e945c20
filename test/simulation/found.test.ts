import assert from "node:assert/strict";
import { describe, it } from "vitest";
import { describeFailure } from "./describe-failure.ts";
import type { FaultKind } from "./faults.ts";
import { simulate } from "./simulate.ts";

interface Found {
  readonly seed: number;
  readonly kinds: readonly FaultKind[];
  /** What went wrong when the seed was found. */
  readonly showed: string;
}

// Seeds that showed a bug of src. What a seed does changes with the workload; the bug's own test stands beside its file.
const FOUND: readonly Found[] = [
  {
    seed: 3,
    kinds: ["rings"],
    showed: "an update that asked for nothing new, as a node with an old record saw it, was answered and not done",
  },
  {
    seed: 88,
    kinds: ["lost-answers"],
    showed: "the same, behind a write whose answer was lost: nobody rang for it",
  },
  {
    seed: 120,
    kinds: ["rings"],
    showed: "a resume position was ignored by a node that heard of the channel only after the stream was open",
  },
  {
    seed: 171,
    kinds: ["errors"],
    showed: "a pipelined request was stored though the one before it was refused while it was being prepared",
  },
  {
    seed: 4,
    kinds: ["errors", "kills"],
    showed: "each failed try to start left a doorbell listener behind",
  },
  {
    seed: 69,
    kinds: ["cuts"],
    showed: "a batch that had to be routed again was overtaken by the next one of its stream",
  },
  {
    seed: 19,
    kinds: ["slow"],
    showed: "the same, over a store that takes a second to answer",
  },
  {
    seed: 10,
    kinds: ["rings"],
    showed:
      "two nodes that had each heard of one change, of the room or of the channel, had two routings under one version",
  },
  {
    seed: 22,
    kinds: ["lost-records"],
    showed: "nobody could use a channel whose record was set back behind its log",
  },
];

describe("bugs that the simulation found", () => {
  it.each(FOUND)("stay away: $showed (seed $seed)", async ({ seed, kinds }) => {
    const report = await simulate({ seed, allowed: new Set(kinds) });
    if (report.violations.length > 0) assert.fail(`${describeFailure(report)}\n(with --only ${kinds.join()})`);
  });
});
