/** From `first` on, sequences were issued under `epoch`. */
export interface EpochLink {
  readonly epoch: number;
  readonly first: number;
}

/** LOST: on the way between two nodes, an unknown number of them; the range is the place where they are missing. */
export type GapCause = "RETENTION" | "NEW_EPOCH" | "DAMAGED" | "LOST";

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
  const end = endOf(log, at);
  if (sequence <= end) return atLeastFloor(log, sequence);
  // What was issued anew under these numbers may be trimmed already: the reader has not seen that, either.
  const gap: GapRange = { first: end + 1, last: Math.max(sequence, log.floor - 1), cause: "NEW_EPOCH" };
  return { after: Math.max(end, log.floor - 1), gap, rolledBack: at === log.links.length - 1 };
}

function atLeastFloor(log: LogExtent, sequence: number): Placement {
  if (sequence >= log.floor - 1) return { after: sequence, rolledBack: false };
  return {
    after: log.floor - 1,
    gap: { first: sequence + 1, last: log.floor - 1, cause: "RETENTION" },
    rolledBack: false,
  };
}

/** How a log's extent compares with what was known of the same log before. */
export interface Comparison {
  /** Up to this sequence both hold the same messages under the same numbers. */
  readonly agreed: number;
  /**
   * - grown: all that was known is still there.
   * - forked: messages that were known are gone, and their numbers are issued anew under another epoch.
   * - behind: less than was known, without a new epoch: an old answer, or a log that was rolled back and is not aware of it.
   */
  readonly kind: "grown" | "forked" | "behind";
}

/** Compares what a log tells of itself with what was known of it, which may begin at a later link than the log does. */
export function compareExtents(known: Pick<LogExtent, "head" | "links">, told: LogExtent): Comparison {
  for (let i = known.links.length - 1; i >= 0; i--) {
    const at = told.links.findIndex(({ epoch }) => epoch === known.links[i]!.epoch);
    if (at < 0) continue;
    // The newest link that both have: they part where the first of the two goes on under another epoch, or ends.
    const knownEnd = endOf(known, i);
    const toldEnd = endOf(told, at);
    if (i === known.links.length - 1 && toldEnd >= knownEnd) return { agreed: toldEnd, kind: "grown" };
    return { agreed: Math.min(knownEnd, toldEnd), kind: at < told.links.length - 1 ? "forked" : "behind" };
  }
  return { agreed: Math.min(known.links[0]!.first - 1, told.head), kind: "forked" };
}

/** The last sequence of a link that is still in the log: a later link may have begun below the one that follows. */
function endOf({ head, links }: Pick<LogExtent, "head" | "links">, at: number): number {
  let end = at === links.length - 1 ? head : Number.POSITIVE_INFINITY;
  for (let later = at + 1; later < links.length; later++) end = Math.min(end, links[later]!.first - 1);
  return end;
}
