import { setTimeout as pause } from "node:timers/promises";

/** Short, so that clients are there in the moment the server is back: that is when most goes wrong. */
const MIN_MS = 5;
const SPREAD_MS = 20;

/** Keeps clients from spinning while the server is away. */
export async function pauseBeforeRetry(): Promise<void> {
  await pause(MIN_MS + Math.random() * SPREAD_MS);
}
