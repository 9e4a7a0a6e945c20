import { create } from "@bufbuild/protobuf";
import {
  type Channel,
  type ChannelConfig as ChannelConfigMessage,
  ChannelConfigSchema,
  ChannelSchema,
  Durability,
  type Member,
  MemberSchema,
  type Retention,
  RetentionSchema,
  type Room,
  RoomSchema,
  type Routing,
  RoutingSchema,
  RoutingStrategy,
} from "../../../gen/agentbus/v1/room_pb.ts";
import type {
  ChannelPatch,
  ChannelView,
  NewChannel,
  NewRoom,
  RoomPatch,
  RoomView,
} from "../../bus/directory/registry.ts";
import { epochAt } from "../../core/epoch-chain.ts";
import { channelName } from "../../core/names.ts";
import { formatPosition } from "../../core/position.ts";
import {
  type ChannelConfigPatch,
  type ChannelRecord,
  DURABILITIES,
  type MemberRecord,
  ROUTING_STRATEGIES,
  type RoutingConfig,
} from "../../core/room.ts";
import { recipientsMessage, recipientsOf } from "./recipients-translation.ts";
import { invalidField } from "./request-fields.ts";
import { durationOf, millisOf, timestampOf } from "./wkt.ts";

type ConfigPart = "routing" | "retention" | "max_members" | "dedup_window" | "durability";

export const ROOM_PATHS = [
  "description",
  "metadata",
  "auto_create_channels",
  "defaults",
  "defaults.routing",
  "defaults.retention",
  "defaults.max_members",
  "defaults.dedup_window",
  "defaults.durability",
] as const;

export const CHANNEL_PATHS = [
  "description",
  "metadata",
  "config",
  "config.routing",
  "config.retention",
  "config.max_members",
  "config.dedup_window",
] as const;

export function newRoom(room: Room): NewRoom {
  return {
    room: room.room,
    description: room.description,
    metadata: room.metadata,
    defaults: configOf(room.defaults, "room.defaults"),
    ...(room.autoCreateChannels !== undefined && { autoCreateChannels: room.autoCreateChannels }),
  };
}

export function newChannel(channel: Channel): NewChannel {
  return {
    name: channelName(channel.room, channel.channel),
    description: channel.description,
    metadata: channel.metadata,
    config: configOf(channel.config, "channel.config"),
  };
}

export function roomPatch(room: Room, paths: ReadonlySet<(typeof ROOM_PATHS)[number]>): RoomPatch {
  const defaults = configPatch(configOf(room.defaults, "room.defaults"), "defaults", paths);
  return {
    ...(paths.has("description") && { description: room.description }),
    ...(paths.has("metadata") && { metadata: room.metadata }),
    ...(paths.has("auto_create_channels") && { autoCreateChannels: room.autoCreateChannels ?? null }),
    ...(defaults !== undefined && { defaults }),
  };
}

/** A durability in `config` is handed on only when it is set: unset means "as it is", since it cannot change. */
export function channelPatch(channel: Channel, paths: ReadonlySet<(typeof CHANNEL_PATHS)[number]>): ChannelPatch {
  const patch = configPatch(configOf(channel.config, "channel.config"), "config", paths);
  const { durability, ...rest } = patch ?? {};
  const config = durability ? { ...rest, durability } : rest;
  return {
    ...(paths.has("description") && { description: channel.description }),
    ...(paths.has("metadata") && { metadata: channel.metadata }),
    ...(patch !== undefined && { config }),
  };
}

export function roomMessage({ record, version, channelCount }: RoomView): Room {
  return create(RoomSchema, {
    room: record.room,
    description: record.description,
    metadata: { ...record.metadata },
    defaults: configMessage(record.defaults),
    ...(record.autoCreateChannels !== undefined && { autoCreateChannels: record.autoCreateChannels }),
    revision: BigInt(version),
    createTime: timestampOf(record.createdAtMs),
    channelCount,
  });
}

/** A channel with what its log says of it. `stored` is undefined for one that is being deleted. */
export async function channelMessage(
  view: ChannelView,
  stored: { readonly record: ChannelRecord; readonly version: number } | undefined,
  subscriptionCount: number,
): Promise<Channel> {
  const { name, config, members, log } = view;
  const state = await log.state(name);
  return create(ChannelSchema, {
    room: name.room,
    channel: name.channel,
    effectiveConfig: configMessage(config),
    memberCount: members.size,
    subscriptionCount,
    ...(stored !== undefined && {
      description: stored.record.description,
      metadata: { ...stored.record.metadata },
      config: configMessage(stored.record.config),
      revision: BigInt(stored.version),
      createTime: timestampOf(stored.record.createdAtMs),
    }),
    ...(state !== undefined && {
      headSequence: BigInt(state.head),
      firstSequence: BigInt(state.floor),
      headPosition: formatPosition(name.key, epochAt(state.links, state.head), state.head),
      sizeBytes: BigInt(state.sizeBytes),
    }),
  });
}

export function memberMessage({ agentId, joinedAtMs }: MemberRecord): Member {
  return create(MemberSchema, { agentId, joinTime: timestampOf(joinedAtMs) });
}

function configOf(message: ChannelConfigMessage | undefined, path: string): ChannelConfigPatch {
  if (message === undefined) return {};
  const retention = message.retention && retentionOf(message.retention, `${path}.retention`);
  const durability = DURABILITIES[message.durability - 1];
  return {
    ...(message.routing !== undefined && { routing: routingOf(message.routing, `${path}.routing`) }),
    ...(retention !== undefined && Object.keys(retention).length > 0 && { retention }),
    ...(durability !== undefined && { durability }),
    ...(message.maxMembers > 0 && { maxMembers: message.maxMembers }),
    ...(message.dedupWindow !== undefined && { dedupWindowMs: millisOf(message.dedupWindow) }),
  };
}

/** The parts that the mask names; null for one that is named but unset. Undefined: it names none. */
function configPatch(
  config: ChannelConfigPatch,
  root: "defaults" | "config",
  paths: ReadonlySet<string>,
): NonNullable<RoomPatch["defaults"]> | undefined {
  const named = (part: ConfigPart) => paths.has(root) || paths.has(`${root}.${part}`);
  const patch = {
    ...(named("routing") && { routing: config.routing ?? null }),
    ...(named("retention") && { retention: config.retention ?? null }),
    ...(named("durability") && { durability: config.durability ?? null }),
    ...(named("max_members") && { maxMembers: config.maxMembers ?? null }),
    ...(named("dedup_window") && { dedupWindowMs: config.dedupWindowMs ?? null }),
  };
  return Object.keys(patch).length > 0 ? patch : undefined;
}

function routingOf(message: Routing, path: string): RoutingConfig {
  return {
    strategy: ROUTING_STRATEGIES[message.strategy - 1] ?? "BROADCAST",
    allowSenderRecipients: message.allowSenderRecipients ?? true,
    recipients: message.recipients && recipientsOf(message.recipients, `${path}.recipients`),
    capabilities: message.capabilities,
    limit: message.limit,
    custom: message.custom,
  };
}

function retentionOf(message: Retention, path: string): NonNullable<ChannelConfigPatch["retention"]> {
  return {
    ...(message.maxAgeDuration !== undefined && { maxAgeMs: millisOf(message.maxAgeDuration) }),
    ...(message.maxMessages > 0n && { maxMessages: safe(message.maxMessages, `${path}.max_messages`) }),
    ...(message.maxBytes > 0n && { maxBytes: safe(message.maxBytes, `${path}.max_bytes`) }),
  };
}

function safe(value: bigint, field: string): number {
  if (value > BigInt(Number.MAX_SAFE_INTEGER)) throw invalidField(field, "must be at most 2^53 - 1");
  return Number(value);
}

function configMessage(config: ChannelConfigPatch): ChannelConfigMessage {
  const { routing, retention, durability, maxMembers, dedupWindowMs } = config;
  return create(ChannelConfigSchema, {
    ...(routing !== undefined && { routing: routingMessage(routing) }),
    ...(retention !== undefined && { retention: retentionMessage(retention) }),
    ...(durability !== undefined && { durability: Durability[durability] }),
    ...(maxMembers !== undefined && { maxMembers }),
    ...(dedupWindowMs !== undefined && { dedupWindow: durationOf(dedupWindowMs) }),
  });
}

function routingMessage({ strategy, recipients, capabilities, ...routing }: RoutingConfig): Routing {
  return create(RoutingSchema, {
    ...routing,
    strategy: RoutingStrategy[strategy],
    capabilities: [...capabilities],
    ...(recipients !== undefined && { recipients: recipientsMessage(recipients) }),
  });
}

function retentionMessage({
  maxAgeMs,
  maxMessages,
  maxBytes,
}: NonNullable<ChannelConfigPatch["retention"]>): Retention {
  return create(RetentionSchema, {
    ...(maxAgeMs !== undefined && { maxAgeDuration: durationOf(maxAgeMs) }),
    ...(maxMessages !== undefined && { maxMessages: BigInt(maxMessages) }),
    ...(maxBytes !== undefined && { maxBytes: BigInt(maxBytes) }),
  });
}
