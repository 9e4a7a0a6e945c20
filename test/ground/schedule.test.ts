import assert from "node:assert/strict";
import { describe, it } from "vitest";
import { runSteps } from "../../scripts/testing/schedule.ts";
import type { Step, StepOutcome } from "../../scripts/testing/step.ts";
import { chooseSteps, STEPS } from "../../scripts/testing/steps.ts";

const passed: StepOutcome = { status: "passed", detail: "", output: "" };
const never = new AbortController().signal;

describe("test runner", () => {
  it("runs two at a time, one that wants both cores alone, and each behind what it waits for", async () => {
    const now = new Set<string>();
    const seen: string[] = [];
    const step = (name: string, options: Partial<Step> = {}): Step => ({
      name,
      about: "",
      async run() {
        now.add(name);
        seen.push([...now].join("+"));
        await new Promise(setImmediate);
        now.delete(name);
        return passed;
      },
      ...options,
    });
    const steps = [
      step("a"),
      step("big", { needs: ["a"], alone: true }),
      step("b"),
      step("c"),
      step("last", { after: ["c"] }),
    ];
    const finished = await runSteps(steps, never);
    assert.deepEqual(
      finished.map((it) => it.name),
      ["a", "big", "b", "c", "last"],
    );
    assert.ok(
      seen.every((together) => together.split("+").length <= 2),
      seen.join(" "),
    );
    assert.ok(seen.includes("big"), seen.join(" "));
    assert.ok(!seen.some((together) => together.includes("big+") || together.includes("+big")), seen.join(" "));
    assert.ok(seen.findIndex((it) => it.includes("last")) > seen.findIndex((it) => it.includes("c")));
  });

  it("goes on behind a failure, but skips what needs it", async () => {
    const failed: StepOutcome = { status: "failed", detail: "no", output: "" };
    const finished = await runSteps(
      [
        { name: "a", about: "", run: async () => failed },
        { name: "b", about: "", run: () => Promise.reject(new Error("broke\nbadly")) },
        { name: "c", about: "", needs: ["a"], run: async () => passed },
        { name: "d", about: "", after: ["a"], run: async () => passed },
      ],
      never,
    );
    const told = finished.map(({ status, detail }) => `${status} ${detail}`);
    assert.deepEqual(told, ["failed no", "failed broke", "skipped needs a, which did not pass", "passed "]);
  });

  it("notices steps that wait for each other", async () => {
    const step = (name: string, needs: string): Step => ({ name, about: "", needs: [needs], run: async () => passed });
    await assert.rejects(runSteps([step("a", "b"), step("b", "a")], never), /wait for each other/);
  });

  it("chooses steps with what they need", () => {
    assert.deepEqual(
      chooseSteps(["vitest"]).map((step) => step.name),
      ["sdk", "vitest"],
    );
    assert.equal(chooseSteps([]), STEPS);
    assert.throws(() => chooseSteps(["everything"]), /there is no step everything; there are sdk, /);
  });
});
