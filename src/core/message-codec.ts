import type { GapRange } from "./epoch-chain.ts";
import type { Draft, Facets, LogEntry } from "./message.ts";
import type { ChannelName } from "./names.ts";

/** What the server adds to every message of one publish. */
export interface Stamp {
  readonly name: ChannelName;
  readonly sender: string;
  /** For drafts without an id. */
  readonly newId: () => string;
}

/** A draft as it will be stored. */
export interface Encoded {
  readonly id: string;
  /** As in LogEntry.body. It shares memory with others: who keeps it for long copies it. */
  readonly body: Uint8Array;
}

/** One response of a subscription; what is unset is left out. */
export interface Delivery {
  /** From `seal`, in order. */
  readonly sealed?: readonly Uint8Array[];
  readonly positions?: readonly string[];
  readonly gaps?: readonly ChannelGap[];
  readonly opened?: { readonly nodeId: string; readonly agentId: string; readonly heartbeatMs: number };
  readonly caughtUp?: boolean;
  readonly serverTimeMs?: number;
  readonly goAwayMs?: number;
  readonly end?: { readonly reason: EndReason; readonly message: string; readonly channel: string };
}

export interface ChannelGap extends GapRange {
  readonly name: ChannelName;
}

export type EndReason = "TAKEN_OVER" | "CHANNEL_DELETED" | "AGENT_GONE" | "UNSUBSCRIBED";

/** Bytes before the payload of a frame: one flag byte and the payload's length, as gRPC, gRPC-Web and Connect have it. */
export const FRAME_HEADER_BYTES = 5;

/**
 * The bytes of messages, made once: what is stored is what is sent. Implemented in src/wire; the bus itself knows no
 * protobuf.
 */
export interface MessageCodec {
  /**
   * Checks one client's message and reads what the bus needs of it. Throws BusError (MALFORMED_REQUEST, INVALID_FIELD,
   * SERVER_FIELD, ...).
   */
  scan(bytes: Uint8Array): Draft;

  /** Adds what is known before the append. `hopCounts[i]` belongs to `drafts[i]`. Throws MESSAGE_TOO_LARGE. */
  encode(drafts: readonly Draft[], hopCounts: readonly number[], stamp: Stamp): Encoded[];

  /** Adds what the store assigned: each result is one whole `messages` field, tag and length included. */
  seal(entries: readonly LogEntry[]): Uint8Array[];

  facets(body: Uint8Array): Facets;

  /** A finished frame: FRAME_HEADER_BYTES and the encoded SubscribeResponse. */
  frame(delivery: Delivery): Uint8Array;
}
