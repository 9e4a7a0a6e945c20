/** What the orchestrator tells a holding client, one at a time, each answered by a HoldReply. */
export type HoldCommand =
  | {
      readonly kind: "open";
      readonly port: number;
      readonly connections: number;
      readonly streams: number;
      /** The number of the first subscriber, which names its agent. */
      readonly firstSubscriber: number;
      /** Stream i reads `channels[i % channels.length]`. */
      readonly channels: readonly string[];
    }
  /** Answered when so many messages have been delivered to this process since it opened its streams. */
  | { readonly kind: "await"; readonly deliveries: number }
  /** Starts to record latencies. */
  | { readonly kind: "record" }
  | { readonly kind: "report" };

export interface HoldReply {
  readonly deliveries: number;
  /** When the last of them came, on the shared clock. */
  readonly lastAtMs: number;
  /** Streams that ended though nobody asked them to. */
  readonly unwantedEnds: number;
  /** The first of their causes. */
  readonly problem: string | undefined;
  /** Since `record`, in milliseconds. Only in the answer to `report`. */
  readonly latencies?: Float64Array;
}
