import { z } from "zod";
import { DEFAULT_LIMITS as defaults, type Limits } from "../core/bus-options.ts";
import { count, size } from "./fields.ts";

const bytes = (key: keyof Limits, min: string, max: string, text: string) =>
  size(min, max).prefault(defaults[key]).describe(text);

const number = (key: keyof Limits, min: number, max: number, text: string) =>
  count(min, max).default(defaults[key]).describe(text);

/** Every limit of core/bus-options.ts, with its range. No range goes beyond what the rules of the protos allow. */
export const limitsSchema = z.strictObject({
  // A client refuses responses over 4 MiB by default, so no message may be larger.
  messageBytes: bytes("messageBytes", "1KiB", "4MiB", "One stored message."),
  requestBytes: bytes("requestBytes", "1KiB", "64MiB", "One request. At least `messageBytes`."),
  responseBytes: bytes(
    "responseBytes",
    "1KiB",
    "4MiB",
    "One response, after which it is closed; one larger message still fits.",
  ),
  deliveryBytes: bytes("deliveryBytes", "1KiB", "4MiB", "What a live subscription gets at once."),
  metadataKeys: number("metadataKeys", 0, 1_024, "Metadata entries of one message."),
  metadataBytes: bytes("metadataBytes", "0B", "1MiB", "Metadata of one message, keys and values."),
  batchMessages: number("batchMessages", 1, 100, "Messages in one publish."),
  rooms: number("rooms", 1, 10_000_000, "Rooms."),
  channels: number("channels", 1, 10_000_000, "Channels, inboxes among them."),
  agents: number("agents", 1, 10_000_000, "Agents."),
  implicitAgents: number("implicitAgents", 0, 10_000_000, "Agents that were never registered, only used."),
  maxMembers: number("maxMembers", 1, 1_000_000, "Members of a channel that says nothing else."),
  subscriptions: number("subscriptions", 1, 10_000_000, "Subscriptions on this node."),
  subscriptionsPerAgent: number("subscriptionsPerAgent", 1, 1_000_000, "Subscriptions of one agent on this node."),
  channelsPerSubscription: number("channelsPerSubscription", 1, 1_000, "Channels that one subscription matches."),
  audience: number("audience", 1, 1_000_000, "Agents that one message is for."),
  maxHops: number("maxHops", 1, 1_000, "Causes in a row behind one message, against loops."),
  senderRate: number("senderRate", 0, 100_000_000, "Messages a second of one sender. 0: unlimited."),
  senderBurst: number("senderBurst", 0, 100_000_000, "Messages of one sender that may come at once. 0: unlimited."),
  reactionRate: number("reactionRate", 0, 100_000_000, "As `senderRate`, for messages with a cause. 0: unlimited."),
  reactionBurst: number("reactionBurst", 0, 100_000_000, "As `senderBurst`, for messages with a cause. 0: unlimited."),
  tailBytes: bytes("tailBytes", "4KiB", "1GiB", "Recent messages of one channel kept ready for live readers."),
  totalTailBytes: bytes("totalTailBytes", "1MiB", "1TiB", "The same of all channels. At least `tailBytes`."),
  pendingPublishes: number("pendingPublishes", 1, 10_000_000, "Publishes that wait for the storage on this node."),
  streamInFlight: number("streamInFlight", 1, 100_000, "Requests of one stream that are worked on at the same time."),
  protocolViolations: number(
    "protocolViolations",
    1,
    1_000,
    "Malformed frames on one stream within 60 s before it is ended.",
  ),
  watchBacklog: number("watchBacklog", 1, 1_000_000, "Changes that a watcher may fall behind."),
  concurrentReads: number("concurrentReads", 1, 10_000, "Storage reads at the same time for readers that are behind."),
} satisfies Record<keyof Limits, z.ZodType>);
