import { isBusError } from "../../src/core/errors.ts";
import { ConnectionLost } from "./connection.ts";

/** Reasons that leave open whether the call was carried out. */
const UNKNOWN: ReadonlySet<string> = new Set(["STORAGE_UNAVAILABLE", "DEADLINE", "CANCELLED"]);
/** Reasons that say: nothing was done, the same again may succeed. */
const REFUSED_FOR_NOW: ReadonlySet<string> = new Set([
  "DRAINING",
  "OVERLOADED",
  "RESEND_REQUIRED",
  "STORAGE_FULL",
  "CONCURRENT_UPDATE",
  "CHANNEL_DELETED",
  // A node that was away may not know yet what another one created, or what is gone.
  "CHANNEL_NOT_FOUND",
  "AGENT_NOT_FOUND",
  "UNKNOWN_RECIPIENT",
  "NO_CANDIDATE",
]);

/** What a client may conclude from a failure. Throws it when no fault of the run explains it. */
export function outcomeOf(error: unknown): "unknown" | "refused" {
  if (error instanceof ConnectionLost) return "unknown";
  if (!isBusError(error)) throw error;
  if (UNKNOWN.has(error.reason)) return "unknown";
  if (REFUSED_FOR_NOW.has(error.reason)) return "refused";
  throw new Error(`a node answered what no fault explains: ${error.reason}: ${error.message}`, { cause: error });
}
