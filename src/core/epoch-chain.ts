/** From `first` on, sequences were issued under `epoch`. */
export interface EpochLink {
  readonly epoch: number;
  readonly first: number;
}

export type GapCause = "RETENTION" | "NEW_EPOCH" | "DAMAGED";

/** Sequences `first` to `last` cannot be delivered; `last` 0: unknown how many. */
export interface GapRange {
  readonly first: number;
  readonly last: number;
  readonly cause: GapCause;
}

/** What a log must tell to place a reader in it. */
export interface LogExtent {
  /** Sequence of the newest message; 0: none was ever stored. */
  readonly head: number;
  /** Sequence of the oldest retained message; head + 1 when none is retained. */
  readonly floor: number;
  /** Oldest first, never empty; the first link's `first` is 1 unless old links were dropped. */
  readonly links: readonly EpochLink[];
}

export interface Placement {
  /** Read what comes after this sequence. */
  readonly after: number;
  /** What the reader must be told it misses. */
  readonly gap?: GapRange;
  /** The reader knew more than there is: the log was rolled back behind our back and needs a new epoch. */
  readonly rolledBack: boolean;
}

/** Under which epoch a sequence was issued; sequence 0 and what lies before the chain count to the first link. */
export function epochAt(links: readonly EpochLink[], sequence: number): number {
  for (let i = links.length - 1; i > 0; i--) {
    if (links[i]!.first <= sequence) return links[i]!.epoch;
  }
  return links[0]!.epoch;
}

/**
 * Places a reader who has seen everything up to `sequence` of `epoch`. Exact while the sequence lies below the first of
 * the next link; whatever else is told as a Gap, never passed over.
 */
export function placeReader(log: LogExtent, epoch: number, sequence: number): Placement {
  const at = log.links.findIndex((link) => link.epoch === epoch);
  if (at < 0) {
    // Another log than the reader knew: everything that is here is new to it, and what it missed there is unknown.
    return { after: log.floor - 1, gap: { first: sequence + 1, last: 0, cause: "NEW_EPOCH" }, rolledBack: false };
  }
  const next = log.links[at + 1];
  const end = next === undefined ? log.head : next.first - 1;
  if (sequence <= end) return atLeastFloor(log, sequence);
  // What was issued anew under these numbers may be trimmed already: the reader has not seen that, either.
  const gap: GapRange = { first: end + 1, last: Math.max(sequence, log.floor - 1), cause: "NEW_EPOCH" };
  return { after: Math.max(end, log.floor - 1), gap, rolledBack: next === undefined };
}

function atLeastFloor(log: LogExtent, sequence: number): Placement {
  if (sequence >= log.floor - 1) return { after: sequence, rolledBack: false };
  return {
    after: log.floor - 1,
    gap: { first: sequence + 1, last: log.floor - 1, cause: "RETENTION" },
    rolledBack: false,
  };
}
