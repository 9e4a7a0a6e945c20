const FIRST_MS = 50;
const MAX_MS = 2_000;

/** How long to wait before the n-th try (from 1): doubled each time, and random, so that nodes do not come all at once. */
export function backoffMs(attempt: number): number {
  const ceiling = Math.min(FIRST_MS * 2 ** Math.min(attempt, 10), MAX_MS);
  return FIRST_MS + Math.random() * (ceiling - FIRST_MS);
}
