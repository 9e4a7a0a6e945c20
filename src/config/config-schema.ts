import { z } from "zod";
import { DEFAULT_BUS_OPTIONS } from "../core/bus-options.ts";
import { authSchema } from "./auth-schema.ts";
import { channelDefaultsSchema, roomsSchema } from "./channel-schema.ts";
import { duration } from "./fields.ts";
import { limitsSchema } from "./limits-schema.ts";
import { serverSchema } from "./server-schema.ts";
import { storageSchema } from "./storage-schema.ts";

export const LOG_LEVELS = ["debug", "info", "warn", "error"] as const;
export const LOG_FORMATS = ["auto", "json", "pretty"] as const;

const node = z.strictObject({
  id: z
    .string()
    .regex(/^[A-Za-z0-9._-]{1,128}$/, "must be 1 to 128 of A-Z a-z 0-9 . _ -")
    .default(DEFAULT_BUS_OPTIONS.nodeId)
    .describe("What this node is called; unique among nodes that share a storage."),
  name: z.string().min(1).max(128).default(DEFAULT_BUS_OPTIONS.nodeName).describe("What the service is called."),
});

const agents = z
  .strictObject({
    implicit: z
      .boolean()
      .optional()
      .describe("Whether agents may be used without being registered. Unset: yes without API keys, no with them."),
    lease: duration("1s", "1h")
      .prefault("15s")
      .describe("How long an agent without stream and heartbeat counts as online."),
    implicitIdle: duration("1s", "365d")
      .prefault("1d")
      .describe("After how much idle time an agent that was never registered is forgotten, if its inbox is empty."),
  })
  .transform(({ lease, implicitIdle, ...rest }) => ({ ...rest, leaseMs: lease, implicitIdleMs: implicitIdle }));

const log = z.strictObject({
  level: z.enum(LOG_LEVELS).default("info").describe("The least that is logged."),
  format: z.enum(LOG_FORMATS).default("auto").describe("`auto` is `pretty` on a terminal and `json` elsewhere."),
});

const metrics = z.strictObject({
  compat: z
    .boolean()
    .default(false)
    .describe("Offer the well-known series also without the prefix `agentbus_`, see docs/metrics.md."),
  sampleRate: z
    .number()
    .min(0.001)
    .max(1)
    .default(1)
    .describe("Share of the observations that histograms take; each one taken counts for those left out."),
});

/** The whole configuration as a person writes it. */
export const configSchema = z
  .strictObject({
    server: serverSchema.prefault({}).describe("The port."),
    node: node.prefault({}).describe("Who this node is."),
    storage: storageSchema.prefault({}).describe("Where messages are kept."),
    auth: authSchema.prefault({}).describe("Who may call."),
    rooms: roomsSchema.default([]).describe("Rooms that are created at start."),
    autoCreateRooms: z.boolean().default(true).describe("Whether a room that is used but does not exist is created."),
    autoCreateChannels: z
      .boolean()
      .default(true)
      .describe("Whether a channel that is used but does not exist is created."),
    channelDefaults: channelDefaultsSchema.prefault({}).describe("What channels do that say nothing else."),
    agents: agents.prefault({}).describe("How long agents count as present."),
    limits: limitsSchema.prefault({}).describe("What is refused, and with which bounds the server works."),
    heartbeat: duration("1s", "10m")
      .prefault("15s")
      .describe("How often an idle stream gets a heartbeat, unless it asks for another interval."),
    cleanupInterval: duration("100ms", "1h")
      .prefault("10s")
      .describe("How often retention and idle agents are looked after."),
    strictStartup: z
      .boolean()
      .default(false)
      .describe(
        "End the process when declared rooms cannot be created at start, instead of trying again while serving the rest.",
      ),
    log: log.prefault({}).describe("What is logged, and how."),
    metrics: metrics.prefault({}).describe("What is counted, and how."),
  })
  .transform(({ heartbeat, cleanupInterval, ...rest }) => ({
    ...rest,
    heartbeatMs: heartbeat,
    cleanupIntervalMs: cleanupInterval,
  }));

/** JSON Schema of the configuration file, for editors. */
export function configJsonSchema(): Record<string, unknown> {
  return { ...z.toJSONSchema(configSchema, { io: "input" }), title: "agentbus configuration" };
}
