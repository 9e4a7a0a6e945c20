import { create } from "@bufbuild/protobuf";
import { durationFromMs } from "@bufbuild/protobuf/wkt";
import { type DurabilityName, durabilities, type RoutingStrategyName, routingStrategies } from "./enums.ts";
import {
  type ChannelConfig,
  ChannelConfigSchema,
  type Retention as RetentionProto,
  RetentionSchema,
  type Routing as RoutingProto,
  RoutingSchema,
} from "./gen/agentbus/v1/room_pb.ts";
import { type Recipients, recipientsToProto } from "./outgoing.ts";

/** Who reads what is published to a channel. */
export interface Routing {
  /** How readers are chosen when the sender named nobody. Default "broadcast". */
  readonly strategy?: RoutingStrategyName;
  /** Whether a sender's own `to` is obeyed. Default true. */
  readonly allowSenderRecipients?: boolean;
  /** For "subgroup" and "individual": whom. */
  readonly recipients?: string | readonly string[] | Recipients;
  /** For "capability": the names; a reader needs all of them. Empty: the message's name. */
  readonly capabilities?: readonly string[];
  /** For "capability": how many of those that fit, in turn. Default 0: all. */
  readonly limit?: number;
  /** For "custom": the name under which the server knows it. */
  readonly custom?: string;
}

/** How much is kept. What goes beyond is trimmed, oldest first, whether it was read or not. */
export interface Retention {
  /** In milliseconds. Default 7 days; 1 s to 3,650 days. */
  readonly maxAgeMs?: number;
  /** Default 1,000,000. */
  readonly maxMessages?: number;
  /** Default 1 GiB. */
  readonly maxBytes?: number;
}

/** How a channel behaves. What is left out is as the room says, then as the server is configured. */
export interface ChannelSettings {
  readonly routing?: Routing;
  readonly retention?: Retention;
  /** What a publish waits for, at least. It cannot change later. */
  readonly durability?: DurabilityName;
  /** How many agents may join. */
  readonly maxMembers?: number;
  /** How long an idempotency key is remembered, in milliseconds. 1 s to 10 min; default 2 min. */
  readonly dedupWindowMs?: number;
}

export function settingsToProto(settings: ChannelSettings): ChannelConfig {
  const { routing, retention, durability, maxMembers = 0, dedupWindowMs } = settings;
  const config = create(ChannelConfigSchema, { maxMembers });
  if (routing !== undefined) config.routing = routingToProto(routing);
  if (durability !== undefined) config.durability = durabilities.toProto(durability);
  if (dedupWindowMs !== undefined) config.dedupWindow = durationFromMs(dedupWindowMs);
  if (retention !== undefined) config.retention = retentionToProto(retention);
  return config;
}

function retentionToProto({ maxAgeMs, maxMessages = 0, maxBytes = 0 }: Retention): RetentionProto {
  const retention = create(RetentionSchema, { maxMessages: BigInt(maxMessages), maxBytes: BigInt(maxBytes) });
  if (maxAgeMs !== undefined) retention.maxAgeDuration = durationFromMs(maxAgeMs);
  return retention;
}

function routingToProto({
  strategy,
  allowSenderRecipients,
  recipients,
  capabilities = [],
  limit = 0,
  custom = "",
}: Routing): RoutingProto {
  const routing = create(RoutingSchema, { capabilities: [...capabilities], limit, custom });
  if (strategy !== undefined) routing.strategy = routingStrategies.toProto(strategy);
  if (allowSenderRecipients !== undefined) routing.allowSenderRecipients = allowSenderRecipients;
  if (recipients !== undefined) routing.recipients = recipientsToProto(recipients);
  return routing;
}

const FIELDS: Readonly<Record<keyof ChannelSettings, string>> = {
  routing: "routing",
  retention: "retention",
  durability: "durability",
  maxMembers: "max_members",
  dedupWindowMs: "dedup_window",
};

/** The update mask for the settings that are given, under the field that holds them: "config" or "defaults". */
export function settingsMask(parent: string, settings: ChannelSettings): string[] {
  const given = (Object.keys(FIELDS) as (keyof ChannelSettings)[]).filter((key) => settings[key] !== undefined);
  return given.map((key) => `${parent}.${FIELDS[key]}`);
}
