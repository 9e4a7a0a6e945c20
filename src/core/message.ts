import type { AgentKind } from "./agent.ts";

export const MESSAGE_TYPES = ["MESSAGE", "EVENT", "COMMAND", "RESULT", "TELEMETRY", "SYSTEM"] as const;
export type MessageType = (typeof MESSAGE_TYPES)[number];

/** A description of agents; all parts that are set must hold. */
export interface Selection {
  readonly kinds: readonly AgentKind[];
  readonly labels: Readonly<Record<string, string>>;
  readonly capabilities: readonly string[];
  /** 0: all that fit. */
  readonly limit: number;
}

/** Whom a message is for: the union. */
export interface Recipients {
  readonly agents: readonly string[];
  readonly groups: readonly string[];
  readonly select: Selection | undefined;
}

/**
 * One message as its client sent it, checked. What the bus needs of it is read; the bytes are kept as they came.
 */
export interface Draft {
  /** The client's own encoding. Owned by the draft: nothing else writes to this memory. */
  readonly bytes: Uint8Array;
  /** "" when the client named none. */
  readonly id: string;
  readonly type: MessageType;
  /** Whether `type` is in `bytes`. */
  readonly hasType: boolean;
  readonly name: string;
  readonly to: Recipients | undefined;
  /** The key that makes a retry safe: the client's, else its id, else "" (none: the client cannot repeat it). */
  readonly idempotencyKey: string;
  /** Position of the cause, "" for a root. */
  readonly causation: string;
  /** 0: lives as long as the channel retains it. */
  readonly timeToLiveMs: number;
  /** Same content, same number: over everything but id, idempotency key, timestamp and traceparent. */
  readonly contentDigest: number;
}

/** Who may read a message: agent ids, sorted, without doubles; null: every reader of the channel. */
export type Audience = readonly string[] | null;

/** One message in a log. */
export interface LogEntry {
  readonly sequence: number;
  readonly epoch: number;
  readonly acceptedAtMs: number;
  /** When it stops being shown; 0: never. */
  readonly expiresAtMs: number;
  readonly id: string;
  readonly sender: string;
  readonly audience: Audience;
  /** The encoded `Message` with everything but sequence, epoch and accept_time, which are the three above. */
  readonly body: Uint8Array;
}

/** What filters look at. */
export interface Facets {
  readonly type: MessageType;
  readonly name: string;
  readonly sessionId: string;
  readonly correlationId: string;
  readonly priority: number;
  readonly metadata: Readonly<Record<string, string>>;
  readonly hopCount: number;
}

/** Whether an agent may see an entry: it is open, or the agent is in its audience or wrote it. */
export function maySee(entry: Pick<LogEntry, "audience" | "sender">, agentId: string): boolean {
  return entry.audience === null || entry.sender === agentId || entry.audience.includes(agentId);
}
