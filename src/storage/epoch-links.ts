import type { EpochLink } from "../core/epoch-chain.ts";

/** How many links a chain keeps. Positions under a dropped epoch are told as a Gap, like those of a foreign log. */
export const MAX_EPOCH_LINKS = 1_000;

/**
 * The chain with one more link, from `first` on. A link nothing was issued under stays: positions under it are out there.
 */
export function withNewEpoch(
  links: readonly EpochLink[],
  first: number,
  randomEpoch: () => number,
): readonly EpochLink[] {
  let epoch = randomEpoch();
  // Placing a reader looks for the first link of its epoch, so the same number twice would misplace it.
  while (links.some((link) => link.epoch === epoch)) epoch = randomEpoch();
  return [...links.slice(-(MAX_EPOCH_LINKS - 1)), { epoch, first }];
}

/** The epoch under which the next sequence is issued. */
export function newestEpoch(links: readonly EpochLink[]): number {
  return links[links.length - 1]!.epoch;
}
