import { z } from "zod";
import { AGENT_KINDS } from "../core/agent.ts";
import { DEFAULT_BUS_OPTIONS, DEFAULT_LIMITS } from "../core/bus-options.ts";
import type { Recipients } from "../core/message.ts";
import {
  type ChannelConfigPatch,
  DURABILITIES,
  type RetentionConfig,
  ROUTING_STRATEGIES,
  type RoutingConfig,
} from "../core/room.ts";
import { agentId, count, duration, type FieldMeta, roomName, size } from "./fields.ts";

const defaults = DEFAULT_BUS_OPTIONS.channelDefaults;
const MAX_MESSAGES = Number.MAX_SAFE_INTEGER;

const stringMap = z.record(z.string().min(1).max(128), z.string().max(8_192));

const recipients = z
  .strictObject({
    agents: z.array(agentId()).max(10_000).default([]).describe("Agents by id."),
    groups: z.array(z.string().min(1).max(128)).max(1_000).default([]).describe("Groups by name."),
    select: z
      .strictObject({
        kinds: z.array(z.enum(AGENT_KINDS)).default([]).describe("Any of these kinds."),
        labels: stringMap.default({}).describe("All of these labels."),
        capabilities: z.array(z.string().min(1).max(128)).max(16).default([]).describe("All of these capabilities."),
        limit: count(0, 1_000).default(0).describe("So many of those that fit. 0: all."),
      })
      .optional()
      .describe("A description of agents; all parts that are set must hold."),
  })
  .transform(({ agents, groups, select }): Recipients => ({ agents, groups, select }));

const routing = z
  .strictObject({
    strategy: z
      .enum(ROUTING_STRATEGIES)
      .default("BROADCAST")
      .describe("How the audience is chosen when the sender named nobody."),
    allowSenderRecipients: z.boolean().default(true).describe("Whether a sender's own `to` is obeyed."),
    recipients: recipients.optional().describe("For SUBGROUP and INDIVIDUAL: whom. SUBGROUP needs it."),
    capabilities: z
      .array(z.string().min(1).max(128))
      .max(16)
      .default([])
      .describe("For CAPABILITY: the names a reader needs, all of them. Empty: the message's `name`."),
    limit: count(0, 1_000).default(0).describe("For CAPABILITY: so many of those that fit, in turn. 0: all."),
    custom: z.string().max(128).default("").describe("For CUSTOM: the registered name."),
  })
  .check((context) => {
    const { strategy, custom, recipients } = context.value;
    const fault = (field: string, message: string) =>
      context.issues.push({ code: "custom", message, path: [field], input: context.value });
    if (strategy === "CUSTOM" && custom === "") fault("custom", "CUSTOM needs the name of a registered strategy");
    if (strategy === "SUBGROUP" && recipients === undefined) fault("recipients", "SUBGROUP needs recipients");
  })
  .transform(({ recipients, ...rest }): RoutingConfig => ({ ...rest, recipients }));

const fields = {
  maxAge: () => duration("1s", "3650d").describe("How old a message may get."),
  maxMessages: () => count(1, MAX_MESSAGES).describe("Messages kept."),
  maxBytes: () => size("1KiB", "1024TiB").describe("Bytes kept, as they are stored."),
  durability: () => z.enum(DURABILITIES).describe("What a publish waits for, at least."),
  maxMembers: () => count(1, 1_000_000).describe("How many agents may join."),
  dedupWindow: () => duration("1s", "10m").describe("How long an idempotency key is remembered."),
};

/** What channels do that say nothing else, every default filled in but the durability, which the storage decides. */
export const channelDefaultsSchema = z
  .strictObject({
    routing: routing.prefault({}).describe("Who reads what is published."),
    retention: z
      .strictObject({
        maxAge: fields.maxAge().prefault("7d"),
        maxMessages: fields.maxMessages().default(defaults.retention.maxMessages),
        maxBytes: fields.maxBytes().prefault("1GiB"),
      })
      .prefault({})
      .describe("How much is kept; what goes beyond is trimmed, oldest first.")
      .transform(({ maxAge, ...rest }): RetentionConfig => ({ ...rest, maxAgeMs: maxAge })),
    durability: fields
      .durability()
      .optional()
      .describe("What a publish waits for, at least. Unset: STORED where the storage is durable, else VOLATILE."),
    maxMembers: fields.maxMembers().optional().describe("How many agents may join. Unset: `limits.maxMembers`."),
    dedupWindow: fields.dedupWindow().prefault("2m"),
  })
  .transform(({ dedupWindow, ...rest }) => ({ ...rest, dedupWindowMs: dedupWindow }));

/** The same for one room or channel: what is unset is as one level up. */
const channelConfig = z
  .strictObject({
    routing: routing.optional().describe("Who reads what is published."),
    retention: z
      .strictObject({
        maxAge: fields.maxAge().optional(),
        maxMessages: fields.maxMessages().optional(),
        maxBytes: fields.maxBytes().optional(),
      })
      .optional()
      .describe("How much is kept."),
    durability: fields.durability().optional(),
    maxMembers: fields.maxMembers().optional(),
    dedupWindow: fields.dedupWindow().optional(),
  })
  .transform(
    ({ routing, retention, durability, maxMembers, dedupWindow }): ChannelConfigPatch => ({
      ...(routing !== undefined && { routing }),
      ...(retention !== undefined && {
        retention: {
          ...(retention.maxAge !== undefined && { maxAgeMs: retention.maxAge }),
          ...(retention.maxMessages !== undefined && { maxMessages: retention.maxMessages }),
          ...(retention.maxBytes !== undefined && { maxBytes: retention.maxBytes }),
        },
      }),
      ...(durability !== undefined && { durability }),
      ...(maxMembers !== undefined && { maxMembers }),
      ...(dedupWindow !== undefined && { dedupWindowMs: dedupWindow }),
    }),
  );

const description = z.string().max(4_096).default("").describe("What it is for, in words.");
const metadata = stringMap.default({}).describe("Key-value pairs that the bus does not read.");

/** Rooms with their channels that are there once the server is ready. */
export const roomsSchema = z
  .array(
    z.strictObject({
      room: roomName().describe("Its name."),
      description,
      metadata,
      defaults: channelConfig
        .prefault({})
        .meta({ "x-see": "channelDefaults" } satisfies FieldMeta)
        .describe("What its channels do unless they say otherwise; keys as in `channelDefaults`."),
      autoCreateChannels: z
        .boolean()
        .optional()
        .describe("Whether a channel of it that is used but does not exist is created. Unset: as the server."),
      channels: z
        .array(
          z.strictObject({
            channel: roomName().describe("Its name."),
            description,
            metadata,
            config: channelConfig
              .prefault({})
              .meta({ "x-see": "channelDefaults" } satisfies FieldMeta)
              .describe("What it does; keys as in `channelDefaults`, unset ones as its room."),
          }),
        )
        .max(DEFAULT_LIMITS.channels)
        .default([])
        .describe("Its channels."),
    }),
  )
  .max(DEFAULT_LIMITS.rooms);
