/** How a node is at one moment. */
export interface NodeReport {
  /** The program's version. */
  readonly version: string;
  readonly startedAtMs: number;
  /** The kind of storage. */
  readonly storage: string;
  /** Whether it takes work. */
  readonly serving: boolean;
  /** Why it does not, or what is degraded. */
  readonly problems: readonly string[];
  readonly connections: number;
  readonly streams: number;
  readonly subscriptions: number;
  /** Messages since the start. */
  readonly published: number;
  readonly delivered: number;
  /** Messages a second over the last minute. */
  readonly publishRate: number;
  readonly deliveryRate: number;
}

/** What a node's record says. */
export interface NodeRecord extends NodeReport {
  /** `node.id`: the name that people gave it; two running nodes may have the same by mistake. */
  readonly nodeId: string;
  readonly name: string;
  /** It left in good order; agents whose streams it cut have until the record expires to open them elsewhere. */
  readonly left: boolean;
}

/** Of what a node says of its problems, so much is told to the others. */
const MAX_PROBLEMS = 20;
const MAX_PROBLEM_LENGTH = 500;

/** A report as it is stored: bounded. */
export function boundedReport(report: NodeReport): NodeReport {
  const problems = report.problems.slice(0, MAX_PROBLEMS).map((problem) => problem.slice(0, MAX_PROBLEM_LENGTH));
  return { ...report, problems };
}
