import { Code, ConnectError } from "@connectrpc/connect";
import { ErrorInfoSchema } from "../../gen/google/rpc/error_details_pb.ts";

/** Reasons after which nobody knows whether the request was carried out. */
const UNKNOWN_OUTCOME: ReadonlySet<string> = new Set(["STORAGE_UNAVAILABLE", "DEADLINE", "CANCELLED"]);
/** Reasons that say: not stored, the same again may succeed. */
const REFUSED_FOR_NOW: ReadonlySet<string> = new Set([
  "DRAINING",
  "OVERLOADED",
  "RATE_LIMITED",
  "RESEND_REQUIRED",
  "STORAGE_FULL",
  "CONCURRENT_UPDATE",
  // A log that was born within the second that a power cut took is not there, until a publish makes it again.
  "CHANNEL_DELETED",
]);

export type Outcome = "unknown" | "refused";

/** The reason of the table that a failed call carries; "": none, so the connection broke. */
export function reasonOf(error: unknown): string {
  return ConnectError.from(error).findDetails(ErrorInfoSchema)[0]?.reason ?? "";
}

/**
 * What a failure says of the request: nobody knows, or not stored and worth a retry. Throws for any other: no fault of
 * the campaign explains it.
 */
export function outcomeOf(error: unknown): Outcome {
  const failure = ConnectError.from(error);
  const reason = reasonOf(failure);
  // A connection that breaks shows under several codes; a status of the server always has a reason.
  if (reason === "" && failure.code !== Code.InvalidArgument) return "unknown";
  return outcomeOfReason(reason, failure);
}

/** The same for the reason of an item within a stream. */
export function outcomeOfReason(reason: string, cause: unknown): Outcome {
  if (UNKNOWN_OUTCOME.has(reason)) return "unknown";
  if (REFUSED_FOR_NOW.has(reason)) return "refused";
  throw new Error(`the server answered what no fault explains: ${reason || String(cause)}`, { cause });
}
