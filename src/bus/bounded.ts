/** Storage steps of one operation that run at the same time: enough to fill a group commit, few enough for all others. */
const CONCURRENCY = 16;

/** Runs `step` for each item, a bounded number at a time, and answers the results in order. Stops at the first failure. */
export async function mapBounded<T, R>(items: readonly T[], step: (item: T) => Promise<R>): Promise<R[]> {
  const results = new Array<R>(items.length);
  let next = 0;
  let failed = false;
  const worker = async () => {
    while (next < items.length && !failed) {
      const at = next++;
      try {
        results[at] = await step(items[at]!);
      } catch (error) {
        failed = true;
        throw error;
      }
    }
  };
  await Promise.all(Array.from({ length: Math.min(CONCURRENCY, items.length) }, worker));
  return results;
}
