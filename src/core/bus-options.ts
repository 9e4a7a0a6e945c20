import type { ChannelConfig } from "./room.ts";

/** Every limit that the bus enforces. All are configured under `limits.`; 0 is allowed only where it says so. */
export interface Limits {
  /** Bytes of one stored message. */
  readonly messageBytes: number;
  /** Bytes of one request. */
  readonly requestBytes: number;
  /** Bytes of one response, after which it is closed; one larger message still fits. */
  readonly responseBytes: number;
  /** Bytes of one batch that a live subscription gets at once. */
  readonly deliveryBytes: number;
  readonly metadataKeys: number;
  readonly metadataBytes: number;
  readonly batchMessages: number;
  readonly rooms: number;
  readonly channels: number;
  readonly agents: number;
  /** Agents that were never registered, only used. */
  readonly implicitAgents: number;
  readonly maxMembers: number;
  /** Subscriptions on this node. */
  readonly subscriptions: number;
  readonly subscriptionsPerAgent: number;
  readonly channelsPerSubscription: number;
  /** Agents in one audience. */
  readonly audience: number;
  readonly maxHops: number;
  /** Messages a second of one sender, and how many may come at once. 0: unlimited. */
  readonly senderRate: number;
  readonly senderBurst: number;
  /** The same for messages with a cause: answers to answers to answers are what runs away. 0: unlimited. */
  readonly reactionRate: number;
  readonly reactionBurst: number;
  /** Bytes of recent messages kept ready for live readers, of one channel and of all. */
  readonly tailBytes: number;
  readonly totalTailBytes: number;
  /** Publishes (batches) that wait for the storage on this node. */
  readonly pendingPublishes: number;
  /** Requests of one stream that are worked on at the same time. */
  readonly streamInFlight: number;
  /** Malformed frames on one stream within 60 s before it is ended. */
  readonly protocolViolations: number;
  /** Changes a watcher may fall behind. */
  readonly watchBacklog: number;
  /** Store reads at the same time, for readers that are behind. */
  readonly concurrentReads: number;
}

export interface BusOptions {
  readonly nodeId: string;
  readonly nodeName: string;
  readonly limits: Limits;
  readonly channelDefaults: ChannelConfig;
  readonly autoCreateRooms: boolean;
  readonly autoCreateChannels: boolean;
  /** Agents may be used without being registered. Off when API keys are on. */
  readonly implicitAgents: boolean;
  readonly agentLeaseMs: number;
  readonly implicitIdleMs: number;
  readonly heartbeatMs: number;
  /** How often retention and idle agents are looked after. */
  readonly cleanupIntervalMs: number;
}

export const DEFAULT_LIMITS: Limits = {
  messageBytes: 1_048_576,
  requestBytes: 2_097_152,
  responseBytes: 1_048_576,
  deliveryBytes: 262_144,
  metadataKeys: 64,
  metadataBytes: 8_192,
  batchMessages: 100,
  rooms: 10_000,
  channels: 100_000,
  agents: 100_000,
  implicitAgents: 10_000,
  maxMembers: 10_000,
  subscriptions: 50_000,
  subscriptionsPerAgent: 10_000,
  channelsPerSubscription: 1_000,
  audience: 10_000,
  maxHops: 16,
  senderRate: 1_000_000,
  senderBurst: 1_000_000,
  reactionRate: 1_000,
  reactionBurst: 5_000,
  tailBytes: 1_048_576,
  totalTailBytes: 268_435_456,
  pendingPublishes: 100_000,
  streamInFlight: 1_024,
  protocolViolations: 5,
  watchBacklog: 10_000,
  concurrentReads: 64,
};

const DAY_MS = 86_400_000;

export const DEFAULT_BUS_OPTIONS: BusOptions = {
  nodeId: "message-broker-1",
  nodeName: "MessageBroker",
  limits: DEFAULT_LIMITS,
  channelDefaults: {
    routing: {
      strategy: "BROADCAST",
      allowSenderRecipients: true,
      recipients: undefined,
      capabilities: [],
      limit: 0,
      custom: "",
    },
    retention: { maxAgeMs: 7 * DAY_MS, maxMessages: 1_000_000, maxBytes: 1_073_741_824 },
    durability: "VOLATILE",
    maxMembers: 10_000,
    dedupWindowMs: 120_000,
  },
  autoCreateRooms: true,
  autoCreateChannels: true,
  implicitAgents: true,
  agentLeaseMs: 15_000,
  implicitIdleMs: DAY_MS,
  heartbeatMs: 15_000,
  cleanupIntervalMs: 10_000,
};
