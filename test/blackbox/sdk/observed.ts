/**
 * What a program under test says of its SDK, the same for every language: one JSON object a line. A step
 * `{"step": 7, "do": "send", …}` is answered by `{"step": 7, "result": …}` or `{"step": 7, "error": …}`, in any order;
 * `{"cancel": 7}` cancels it as the language does. Options are spelt as in the TypeScript SDK, instants as ISO 8601.
 */

/** What a message says. Empty: nothing. `bytes` is base64. */
export type Payload =
  | { readonly text: string }
  | { readonly bytes: string }
  | { readonly json: unknown }
  | Readonly<Record<string, never>>;

export interface ObservedMessage {
  readonly id: string;
  readonly position: string;
  readonly sequence: number;
  readonly epoch: number;
  readonly sender: string;
  readonly address: string;
  readonly direct: boolean;
  readonly type: string;
  readonly name: string;
  readonly content: Payload;
  readonly contentType: string;
  readonly metadata: Readonly<Record<string, string>>;
  readonly priority: number;
  readonly correlationId: string;
  readonly causation: string;
  readonly replyTo: string;
  readonly hopCount: number;
  /** ISO 8601. */
  readonly acceptedAt: string;
}

export interface ObservedReceipt {
  readonly id: string;
  readonly position: string;
  readonly duplicate: boolean;
  /** null: everyone who reads the channel. */
  readonly audience: { readonly count: number; readonly agents: readonly string[] } | null;
  readonly durability: string;
}

export interface ObservedGap {
  readonly channel: string;
  readonly firstSequence: number;
  readonly lastSequence: number | null;
  readonly cause: string;
}

/** One turn of a loop over a subscription. */
export type ObservedEvent =
  | { readonly type: "done" }
  | { readonly type: "message"; readonly message: ObservedMessage }
  | { readonly type: "gap"; readonly gap: ObservedGap }
  | { readonly type: "opened"; readonly nodeId: string }
  | { readonly type: "caught_up" | "heartbeat" | "cut" };

export interface ObservedPage {
  readonly messages: readonly ObservedMessage[];
  readonly position: string;
  readonly caughtUp: boolean;
  readonly gaps: readonly ObservedGap[];
}

export interface ObservedAgent {
  readonly agentId: string;
  /** "AI_AGENT". */
  readonly kind: string;
  /** "ONLINE". */
  readonly state: string;
  readonly screenName: string;
  readonly description: string;
  readonly groups: readonly string[];
  readonly labels: Readonly<Record<string, string>>;
  readonly capabilities: readonly string[];
}

export interface ObservedChange {
  readonly change: string;
  readonly agent: ObservedAgent;
}

/** What an SDK raised. `kind` is the name that both SDKs give it; "Usage" is the language's own error for a wrong call. */
export type ObservedError =
  | {
      readonly kind: "BusError";
      readonly code: string;
      readonly reason: string;
      readonly retry: string;
      readonly hasRetryDelay: boolean;
      readonly index: number | null;
      readonly violations: readonly string[];
      readonly message: string;
    }
  | { readonly kind: "SubscriptionEnded"; readonly reason: string; readonly channel: string; readonly message: string }
  | { readonly kind: "ClosedError" | "Cancelled" | "Usage" | "Unexpected"; readonly message: string };
