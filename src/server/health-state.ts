import type { Clock, Stop } from "../core/clock.ts";

/** "starting" until `serving()`, then "serving" until `draining()`, which is the end. */
export type Phase = "starting" | "serving" | "draining";

/** Whether the server can do its work, for probes. */
export interface HealthState {
  readonly phase: Phase;
  /** What is wrong, in words; empty: nothing. */
  problems(): readonly string[];
  /** Serving, and nothing is wrong. */
  ready(): boolean;
  /** Names of gRPC services that probes may ask for; "" is the server as a whole. */
  readonly services: readonly string[];
  serving(): void;
  draining(): void;
  /** Told after the phase changed or problems came or went. */
  onChange(listener: () => void): Stop;
}

export interface HealthStateOptions {
  /** Full names of the gRPC services. */
  readonly services: readonly string[];
  /** Asked whenever somebody wants to know; must be cheap. */
  readonly problems: () => readonly string[];
  readonly clock: Pick<Clock, "every">;
  /** How often problems are looked for while somebody listens. Default: 1,000 ms. */
  readonly pollMs?: number;
}

export function createHealthState({ services, problems, clock, pollMs = 1_000 }: HealthStateOptions): HealthState {
  const listeners = new Set<() => void>();
  let phase: Phase = "starting";
  let told = false;
  let stopPolling: Stop | undefined;

  const ready = () => phase === "serving" && problems().length === 0;

  function tell(): void {
    told = ready();
    // A copy: who is told may listen again, for the next change.
    for (const listener of [...listeners]) listener();
  }

  function enter(next: Phase): void {
    if (phase === next || phase === "draining") return;
    phase = next;
    tell();
  }

  return {
    get phase() {
      return phase;
    },
    services: ["", ...services],
    problems,
    ready,
    serving: () => enter("serving"),
    draining: () => enter("draining"),
    onChange(listener) {
      if (listeners.size === 0) {
        told = ready();
        stopPolling = clock.every(pollMs, () => {
          if (ready() !== told) tell();
        });
      }
      listeners.add(listener);
      return () => {
        if (listeners.delete(listener) && listeners.size === 0) stopPolling?.();
      };
    },
  };
}
