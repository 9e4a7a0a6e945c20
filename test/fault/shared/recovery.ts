import { BusError } from "../../../src/core/errors.ts";
import type { Ring } from "../../../src/storage/doorbell.ts";
import type { StorageAdapter } from "../../../src/storage/storage-adapter.ts";
import { batch, isBusError, record } from "../../conformance/appending.ts";
import { waitUntil, within } from "../../support/wait.ts";

/** Servers are started and recover in it, on a machine that has other things to do. */
const PATIENCE_MS = 120_000;

export const unavailable = isBusError("STORAGE_UNAVAILABLE");

/** An error that no waiting mends: not one of the bus, with what to do in its text. */
export const isPlain = (pattern: RegExp) => (error: unknown) =>
  error instanceof Error && !(error instanceof BusError) && pattern.test(error.message);

export function eventually<T>(condition: () => T | Promise<T>, what: string) {
  return waitUntil(condition, { timeoutMs: PATIENCE_MS, what });
}

export function inTime<T>(promise: Promise<T>, what: string): Promise<T> {
  return within(promise, { timeoutMs: PATIENCE_MS, what });
}

/** The storage works and says so. */
export async function isWell(storage: StorageAdapter): Promise<void> {
  await eventually(() => storage.problem() === undefined, "the storage to be well");
}

export async function isInTrouble(storage: StorageAdapter): Promise<void> {
  await eventually(() => storage.problem() !== undefined, "the storage to notice");
}

/** Appends one message until the storage takes it: from then on it works again. */
export async function appendWhenBack(storage: StorageAdapter, id: string): Promise<void> {
  await eventually(async () => {
    try {
      return (await storage.log.append(batch([record({ id })]))).kind === "appended";
    } catch (error) {
      if (unavailable(error)) return false;
      throw error;
    }
  }, "the storage to take a message again");
}

/** Resolves at the next ring of this kind. */
export function nextRing(storage: StorageAdapter, isIt: (ring: Ring) => boolean): Promise<Ring> {
  return new Promise((resolve) => {
    const stop = storage.doorbell.listen((ring) => {
      if (!isIt(ring)) return;
      stop();
      resolve(ring);
    });
  });
}

export function nextMissed(storage: StorageAdapter): Promise<Ring> {
  return nextRing(storage, ({ topic }) => topic === "missed");
}
