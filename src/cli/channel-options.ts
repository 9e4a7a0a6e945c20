import type { ChannelSettings, DurabilityName, Retention, Routing, RoutingStrategyName } from "agentbus/node";
import type { Command } from "commander";
import { DURABILITIES, ROUTING_STRATEGIES } from "../core/room.ts";
import { count, duration, given, pairs, read, repeated, size, wordOption } from "./option-values.ts";

export interface ChannelFlags {
  readonly description?: string;
  readonly metadata?: Readonly<Record<string, string>>;
  readonly routing?: RoutingStrategyName;
  readonly routingTo?: readonly string[];
  readonly routingGroup?: readonly string[];
  readonly routingCapability?: readonly string[];
  readonly routingLimit?: number;
  readonly routingCustom?: string;
  readonly senderRecipients?: boolean;
  readonly durability?: DurabilityName;
  readonly maxAge?: number;
  readonly maxMessages?: number;
  readonly maxBytes?: number;
  readonly maxMembers?: number;
  readonly dedupWindow?: number;
}

const whole = count(1, Number.MAX_SAFE_INTEGER);

/** What a channel does, or the channels of a room unless they say otherwise. */
export function addChannelOptions(command: Command): Command {
  return command
    .option("--description <text>", "what it is for, in words")
    .addOption(pairs("--metadata <key=value>", "a free pair"))
    .addOption(wordOption("--routing <strategy>", "who reads what is published", ROUTING_STRATEGIES))
    .addOption(repeated("--routing-to <agent>", "for subgroup and individual: this agent"))
    .addOption(repeated("--routing-group <name>", "for subgroup: the agents of this group"))
    .addOption(repeated("--routing-capability <name>", "for capability: who can do this"))
    .addOption(read("--routing-limit <count>", "for capability: so many of those that fit, in turn", count(0, 1_000)))
    .option("--routing-custom <name>", "for custom: the name under which the server knows it")
    .option("--sender-recipients", "obey whom a sender names")
    .option("--no-sender-recipients", "refuse messages whose sender names who reads them")
    .addOption(
      wordOption("--durability <level>", "what a publish waits for, at least; cannot change later", DURABILITIES),
    )
    .addOption(read("--max-age <duration>", "how long messages are kept", duration))
    .addOption(read("--max-messages <count>", "how many messages are kept", whole))
    .addOption(read("--max-bytes <size>", "how much is kept", size))
    .addOption(read("--max-members <count>", "how many agents may join", count(1, 1_000_000)))
    .addOption(read("--dedup-window <duration>", "how long idempotency keys are remembered", duration));
}

/** What was said about the channel; nothing about what was left out. */
export function channelSettingsOf(flags: ChannelFlags): ChannelSettings & {
  readonly description?: string;
  readonly metadata?: Readonly<Record<string, string>>;
} {
  const { routingTo, routingGroup } = flags;
  const routing = given<Routing>({
    strategy: flags.routing,
    recipients:
      routingTo === undefined && routingGroup === undefined
        ? undefined
        : { agents: routingTo ?? [], groups: routingGroup ?? [] },
    capabilities: flags.routingCapability,
    limit: flags.routingLimit,
    custom: flags.routingCustom,
    allowSenderRecipients: flags.senderRecipients,
  });
  const retention = given<Retention>({
    maxAgeMs: flags.maxAge,
    maxMessages: flags.maxMessages,
    maxBytes: flags.maxBytes,
  });
  return given<ReturnType<typeof channelSettingsOf>>({
    description: flags.description,
    metadata: flags.metadata,
    routing: unlessEmpty(routing),
    retention: unlessEmpty(retention),
    durability: flags.durability,
    maxMembers: flags.maxMembers,
    dedupWindowMs: flags.dedupWindow,
  });
}

function unlessEmpty<T extends object>(settings: T): T | undefined {
  return Object.keys(settings).length === 0 ? undefined : settings;
}
