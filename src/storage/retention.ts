import { BusError } from "../core/errors.ts";
import type { ChannelName } from "../core/names.ts";
import type { RetentionConfig } from "../core/room.ts";

/** What a retention asks of a log, as bounds. */
export interface RetentionBounds {
  /** Entries accepted before this time go, the newest among them. */
  readonly byAge: number;
  /** Entries below this sequence go; at most the newest stays. */
  readonly byCount: number;
  /** Oldest entries go while the bodies take more than this; at most the newest stays. */
  readonly maxBytes: number;
}

/** A limit that is 0 or less does not limit. */
export function retainedFrom(retention: RetentionConfig, head: number, nowMs: number): RetentionBounds {
  return {
    byAge: retention.maxAgeMs > 0 ? nowMs - retention.maxAgeMs : Number.NEGATIVE_INFINITY,
    byCount: retention.maxMessages > 0 ? head - retention.maxMessages + 1 : 0,
    maxBytes: retention.maxBytes > 0 ? retention.maxBytes : Number.POSITIVE_INFINITY,
  };
}

/** The log, when it is there and of this incarnation (undefined: of any). Throws CHANNEL_DELETED. */
export function requireLog<L extends { readonly incarnation: string }>(
  name: ChannelName,
  log: L | undefined,
  incarnation?: string,
): L {
  if (log !== undefined && (incarnation === undefined || log.incarnation === incarnation)) return log;
  throw new BusError("CHANNEL_DELETED", `${name.key}: the channel's log is gone`);
}

/** Throws CHANNEL_DELETED when the log that is there belongs to a newer incarnation than the one to be made. */
export function checkNewer(name: ChannelName, present: string | undefined, incarnation: string): void {
  if (present === undefined || present <= incarnation) return;
  throw new BusError("CHANNEL_DELETED", `${name.key}: the channel was created anew meanwhile`);
}
