export interface Counts {
  readonly passed: number;
  readonly failed: number;
  readonly skipped: number;
}

export interface StepOutcome {
  readonly status: "passed" | "failed" | "skipped";
  /** One line for the summary: what was checked, or why not. */
  readonly detail: string;
  /** What the step wrote, for whoever looks into a failure. */
  readonly output: string;
  /** Of steps that run tests. */
  readonly counts?: Counts;
}

export interface Step {
  readonly name: string;
  readonly about: string;
  /** Steps that must have passed before it starts. */
  readonly needs?: readonly string[];
  /** Steps that must be over before it starts, whatever came of them. */
  readonly after?: readonly string[];
  /** It keeps both cores busy: nothing else runs beside it. Default: false. */
  readonly alone?: boolean;
  readonly run: (signal: AbortSignal) => Promise<StepOutcome>;
}

export interface FinishedStep extends StepOutcome {
  readonly name: string;
  readonly seconds: number;
}
