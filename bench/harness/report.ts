/** One server under one workload: medians over the rounds. */
export interface Row {
  /** The figures of the design that it belongs to, for example "F1". */
  readonly figure: string;
  readonly workload: string;
  readonly server: string;
  /** What is counted, for example "deliveries". */
  readonly unit: string;
  readonly ratePerSecond: number;
  readonly serverCpuMicrosPerOperation: number;
  /** Cores in use; above 1 for servers with several threads. */
  readonly serverCores: number;
  readonly clientCores: number;
  /** What the rest of the machine used meanwhile: much of it makes rates doubtful and ratios less so. */
  readonly otherCores: number;
  /** Which side had no more to give. "neither": the bounds of the workload (windows, rates) held it. */
  readonly limit: "server" | "client" | "both" | "neither";
  /** Our rate divided by this server's, the median of the rounds' ratios. Absent in our own rows. */
  readonly ourRateRatio?: number;
  /** Our CPU per operation divided by this server's, likewise. */
  readonly ourCpuRatio?: number;
  readonly p50Ms?: number;
  readonly p99Ms?: number;
  /** The smallest and the largest rate of the rounds. */
  readonly rateRange: readonly [number, number];
  /** Figures that only some workloads have, by name. */
  readonly more?: Readonly<Record<string, number>>;
}

/** A goal of the design and what was measured for it. */
export interface GoalResult {
  readonly figure: string;
  readonly text: string;
  readonly direction: "at least" | "at most";
  readonly goal: number;
  readonly measured: number;
  readonly met: boolean;
}

export interface FamilyResult {
  readonly family: string;
  readonly rows: readonly Row[];
  readonly goals: readonly GoalResult[];
}

export interface RunOptions {
  /** How often each workload runs against each server, interleaved. */
  readonly rounds: number;
  /** Fewer workloads, shorter: shows that everything works, not how fast it is. */
  readonly quick: boolean;
  /** Decode and check every delivery of gRPC subscribers instead of counting. */
  readonly check: boolean;
  /** Only workloads and servers whose text contains this. */
  readonly only: string | undefined;
  /** Seconds that may be spent on waiting for, and repeating in, a quieter moment of the machine; over all workloads. */
  readonly patienceSeconds: number;
  /** Where servers that run on Node leave CPU profiles. */
  readonly profileFolder: string | undefined;
  readonly warmUpMs: number;
  readonly measureMs: number;
  /** One line about what is going on, for a person who waits. */
  progress(text: string): void;
}

/** A group of figures that is run by its name. */
export interface Family {
  readonly name: string;
  readonly summary: string;
  run(options: RunOptions): Promise<FamilyResult>;
}

export function checkGoal(
  figure: string,
  text: string,
  direction: GoalResult["direction"],
  goal: number,
  measured: number,
): GoalResult {
  const met = direction === "at least" ? measured >= goal : measured <= goal;
  return { figure, text, direction, goal, measured, met };
}
