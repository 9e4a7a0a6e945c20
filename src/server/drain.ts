/** What a drain does, in this order. */
export interface DrainSteps {
  /** Tells probes that this node is leaving. */
  notServing(): void;
  /** Accepts no connections any more, and drops those that carry no call. */
  stopAccepting(): void;
  /** Asks streams to go elsewhere. */
  goAway(): void;
  /** Resolves once no call runs. */
  quiet(): Promise<void>;
  /** Ends the streams that stayed. */
  abortStreams(): void;
  /** Closes connections as their calls end. */
  closeConnections(): void;
  /** Resolves once no connection is open. */
  closed(): Promise<void>;
  /** Cuts what is still open. */
  destroyConnections(): void;
}

/** After the grace, so long may ended streams take to reach their clients. */
export const CLOSING_MS = 2_000;

/** Runs the steps. Takes `graceMs` and `closingMs` at most, and only as long as calls run. */
export async function runDrain(steps: DrainSteps, graceMs: number, closingMs: number = CLOSING_MS): Promise<void> {
  steps.notServing();
  steps.stopAccepting();
  steps.goAway();
  await settled(steps.quiet(), graceMs);
  steps.abortStreams();
  steps.closeConnections();
  await settled(steps.closed(), closingMs);
  steps.destroyConnections();
  await steps.closed();
}

/** Resolves with the promise, or after `ms` at the latest. */
function settled(promise: Promise<void>, ms: number): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, ms);
    void promise.then(() => {
      clearTimeout(timer);
      resolve();
    });
  });
}
