import type { FinishedStep, Step, StepOutcome } from "./step.ts";

export interface ScheduleEvents {
  onStart?(step: Step): void;
  onFinish?(finished: FinishedStep): void;
}

/** Machines that run the tests have two cores. */
const SLOTS = 2;

/**
 * Runs steps, two at a time, each as soon as what it waits for is over; among those that could start the first in the
 * list starts first. A step whose needs did not pass is skipped. Never rejects: a step that throws has failed.
 */
export async function runSteps(
  steps: readonly Step[],
  signal: AbortSignal,
  events: ScheduleEvents = {},
): Promise<readonly FinishedStep[]> {
  const chosen = new Set(steps.map((step) => step.name));
  const waiting = [...steps];
  const running = new Map<Step, Promise<void>>();
  const finished = new Map<string, FinishedStep>();

  const isReady = (step: Step) =>
    [...(step.needs ?? []), ...(step.after ?? [])].every((name) => !chosen.has(name) || finished.has(name));

  const finish = (step: Step, outcome: StepOutcome, startedAt: number) => {
    const result = { name: step.name, seconds: (performance.now() - startedAt) / 1000, ...outcome };
    finished.set(step.name, result);
    events.onFinish?.(result);
  };

  const start = (step: Step) => {
    const startedAt = performance.now();
    const missing = step.needs?.find((name) => chosen.has(name) && finished.get(name)?.status !== "passed");
    if (missing !== undefined || signal.aborted) {
      const detail = signal.aborted ? "interrupted" : `needs ${missing}, which did not pass`;
      finish(step, { status: "skipped", detail, output: "" }, startedAt);
      return;
    }
    events.onStart?.(step);
    const done = step
      .run(signal)
      .catch((error: unknown): StepOutcome => ({ status: "failed", detail: firstLine(error), output: String(error) }))
      .then((outcome) => {
        running.delete(step);
        finish(step, outcome, startedAt);
      });
    running.set(step, done);
  };

  while (waiting.length > 0 || running.size > 0) {
    const next = waiting.find(isReady);
    const alone = next?.alone === true || [...running.keys()].some((step) => step.alone === true);
    if (next !== undefined && running.size < (alone ? 1 : SLOTS)) {
      waiting.splice(waiting.indexOf(next), 1);
      start(next);
    } else if (running.size > 0) await Promise.race(running.values());
    else if (next === undefined)
      throw new Error(`steps wait for each other: ${waiting.map((step) => step.name).join()}`);
  }
  return steps.map((step) => finished.get(step.name)!);
}

function firstLine(error: unknown): string {
  return (error instanceof Error ? error.message : String(error)).split("\n")[0] ?? "";
}
