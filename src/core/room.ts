import type { Recipients } from "./message.ts";

export const DURABILITIES = ["VOLATILE", "STORED", "SYNCED"] as const;
/** What is true when a publish is answered, weakest first. */
export type Durability = (typeof DURABILITIES)[number];

export const ROUTING_STRATEGIES = [
  "BROADCAST",
  "SUBGROUP",
  "INDIVIDUAL",
  "CAPABILITY",
  "ROUND_ROBIN",
  "CUSTOM",
] as const;
export type RoutingStrategyName = (typeof ROUTING_STRATEGIES)[number];

/** Who reads what is published to a channel. */
export interface RoutingConfig {
  readonly strategy: RoutingStrategyName;
  readonly allowSenderRecipients: boolean;
  readonly recipients: Recipients | undefined;
  readonly capabilities: readonly string[];
  /** 0: all that fit. */
  readonly limit: number;
  /** The registered name, for CUSTOM. */
  readonly custom: string;
}

export interface RetentionConfig {
  readonly maxAgeMs: number;
  readonly maxMessages: number;
  readonly maxBytes: number;
}

/** How a channel behaves, every default filled in. */
export interface ChannelConfig {
  readonly routing: RoutingConfig;
  readonly retention: RetentionConfig;
  readonly durability: Durability;
  readonly maxMembers: number;
  readonly dedupWindowMs: number;
}

/** The same with what was left unset: a channel's own over its room's over the server's. */
export interface ChannelConfigPatch {
  readonly routing?: RoutingConfig;
  readonly retention?: Partial<RetentionConfig>;
  readonly durability?: Durability;
  readonly maxMembers?: number;
  readonly dedupWindowMs?: number;
}

export interface RoomRecord {
  readonly room: string;
  readonly description: string;
  readonly metadata: Readonly<Record<string, string>>;
  readonly defaults: ChannelConfigPatch;
  readonly autoCreateChannels?: boolean;
  readonly createdAtMs: number;
}

export interface ChannelRecord {
  readonly room: string;
  readonly channel: string;
  readonly description: string;
  readonly metadata: Readonly<Record<string, string>>;
  readonly config: ChannelConfigPatch;
  /**
   * The room's defaults that hold for the channel. They are written here with each change of the room, so that one record
   * says how the channel is routed, and its version in which order that changed. Unset, as in an inbox: none.
   */
  readonly inherited?: InheritedDefaults;
  /** Added to the record's version: a storage that was set back gives old numbers again. Unset: 0. */
  readonly versionOffset?: number;
  /** Fixed at creation, from the defaults of that moment. */
  readonly durability: Durability;
  /** Names this creation of the channel: deleted and created again it is another one. */
  readonly incarnation: string;
  readonly createdAtMs: number;
}

export interface InheritedDefaults {
  /** Of the room's record. */
  readonly version: number;
  readonly config: ChannelConfigPatch;
}

export interface MemberRecord {
  readonly agentId: string;
  readonly joinedAtMs: number;
  /** Where the channel's log ended just before: what comes behind it is for the member. Unset: it had no log yet. */
  readonly joinedBehind?: LogPlace;
}

/** A place in one channel's log. */
export interface LogPlace {
  readonly epoch: number;
  readonly sequence: number;
}

export function mergeChannelConfig(
  defaults: ChannelConfig,
  room: ChannelConfigPatch,
  channel: ChannelConfigPatch,
): ChannelConfig {
  return {
    routing: channel.routing ?? room.routing ?? defaults.routing,
    retention: { ...defaults.retention, ...room.retention, ...channel.retention },
    durability: channel.durability ?? room.durability ?? defaults.durability,
    maxMembers: channel.maxMembers ?? room.maxMembers ?? defaults.maxMembers,
    dedupWindowMs: channel.dedupWindowMs ?? room.dedupWindowMs ?? defaults.dedupWindowMs,
  };
}
