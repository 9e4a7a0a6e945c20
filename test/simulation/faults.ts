import type { Dice } from "./dice.ts";

/** The kinds of faults; a run has some of them. */
export const FAULT_KINDS = [
  "errors",
  "lost-answers",
  "late-answers",
  "full",
  "rings",
  "relay",
  "outages",
  "restarts",
  "fail-overs",
  "clocks",
  "kills",
  "pauses",
  "cuts",
  "slow",
  "twins",
] as const;
/**
 * Kinds that a run has only when they are asked for. `restores` takes back everything, the records too, and `lost-records`
 * them alone: the bus promises to notice that in logs, and for records no more than to show again what is stored.
 */
export const ASKED_KINDS = ["restores", "lost-records"] as const;
export const KNOWN_KINDS = [...FAULT_KINDS, ...ASKED_KINDS] as const;
export type FaultKind = (typeof KNOWN_KINDS)[number];

/** What goes wrong in one run, and how often. Probabilities are of one operation. */
export interface Faults {
  readonly kinds: ReadonlySet<FaultKind>;
  /** Of one way, at most. */
  readonly latencyMs: number;
  /** Fails without having been done. */
  readonly failed: number;
  /** Is done, and the answer is lost. */
  readonly lost: number;
  /** Is said to have failed, and is done later. */
  readonly late: number;
  /** Refused with STORAGE_FULL. */
  readonly full: number;
  /** A ring is lost, or comes late. */
  readonly ringLost: number;
  readonly ringLate: number;
  readonly relayLost: number;
  /** Between two of the great events: kills, pauses, cuts, outages. */
  readonly eventEveryMs: number;
}

/** No run has all kinds: faults hide each other. */
export function chooseFaults(dice: Dice, allowed: ReadonlySet<FaultKind>): Faults {
  const share = Math.max(dice.pick([0.15, 0.35, 0.6]), 1 / Math.max(allowed.size, 1));
  const kinds = new Set(KNOWN_KINDS.filter((kind) => dice.chance(share) && allowed.has(kind)));
  const rate = (kind: FaultKind, most: number) => {
    const drawn = dice.between(0, most);
    return kinds.has(kind) ? drawn : 0;
  };
  return {
    kinds,
    latencyMs: kinds.has("slow") ? dice.pick([200, 1_000]) : dice.pick([2, 10, 40]),
    failed: rate("errors", 0.15),
    lost: rate("lost-answers", 0.15),
    late: rate("late-answers", 0.1),
    full: rate("full", 0.1),
    ringLost: kinds.has("rings") ? dice.pick([0.2, 0.6, 1]) : 0,
    ringLate: rate("rings", 0.5),
    relayLost: rate("relay", 0.3),
    eventEveryMs: dice.pick([500, 1_500, 4_000]),
  };
}

/** After the chaos: a network that works. */
export const CALM: Faults = {
  kinds: new Set(),
  latencyMs: 3,
  failed: 0,
  lost: 0,
  late: 0,
  full: 0,
  ringLost: 0,
  ringLate: 0,
  relayLost: 0,
  eventEveryMs: Number.POSITIVE_INFINITY,
};
