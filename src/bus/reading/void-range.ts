import { type GapRange, type LogExtent, placeReader } from "../../core/epoch-chain.ts";

/**
 * What a reader who stands at `after` must be told is void, now that the log lost its end; undefined: nothing of what it
 * has. Its own epoch tells exactly; where that is gone, too, it is what lies behind `agreed`.
 */
export function voidRange(log: LogExtent, agreed: number, epoch: number, after: number): GapRange | undefined {
  if (log.links.some((link) => link.epoch === epoch)) {
    const { gap } = placeReader(log, epoch, after);
    return gap?.cause === "NEW_EPOCH" ? gap : undefined;
  }
  if (after <= agreed) return undefined;
  // What was issued anew under these numbers may be trimmed already: the reader has not seen that, either.
  return { first: agreed + 1, last: Math.max(after, log.floor - 1), cause: "NEW_EPOCH" };
}
