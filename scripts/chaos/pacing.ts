import { setTimeout as pause } from "node:timers/promises";

/**
 * Keeps a producer near a rate, in messages a second, with bursts: waits are drawn between nothing and twice the mean. A
 * producer that was held up does not catch up.
 */
export function paceOf(messagesPerSecond: number, meanBatch: number, random: () => number): () => Promise<void> {
  const meanMs = (1_000 * meanBatch) / messagesPerSecond;
  return () => pause(random() * 2 * meanMs);
}
