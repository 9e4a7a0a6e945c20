import type { AgentKindName, Recipients } from "agentbus/node";
import type { Command } from "commander";
import { AGENT_KINDS } from "../core/agent.ts";
import { UsageError } from "./exit-code.ts";
import { count, pairs, read, repeated, wordsOption } from "./option-values.ts";

export interface RecipientFlags {
  readonly to?: readonly string[];
  readonly group?: readonly string[];
  readonly kind?: readonly AgentKindName[];
  readonly label?: Readonly<Record<string, string>>;
  readonly capability?: readonly string[];
  readonly limit?: number;
}

export function addRecipientOptions(command: Command): Command {
  return command
    .addOption(repeated("--to <agent>", "only this agent reads it"))
    .addOption(repeated("--group <name>", "only the agents of this group read it"))
    .addOption(wordsOption("--kind <kind>", "only agents of this kind read it", AGENT_KINDS))
    .addOption(pairs("--label <key=value>", "only agents with this label read it"))
    .addOption(repeated("--capability <name>", "only agents that can do this read it"))
    .addOption(read("--limit <count>", "of those that fit, at most so many, in turn", count(1, 1_000)));
}

/** Undefined: nobody was named, and the channel's routing decides. */
export function recipientsOf({ to, group, kind, label, capability, limit }: RecipientFlags): Recipients | undefined {
  const selects = kind !== undefined || label !== undefined || capability !== undefined;
  if (limit !== undefined && !selects) throw new UsageError("--limit goes with --kind, --label or --capability");
  if (to === undefined && group === undefined && !selects) return undefined;
  return {
    agents: to ?? [],
    groups: group ?? [],
    ...(selects
      ? { select: { kinds: kind ?? [], labels: label ?? {}, capabilities: capability ?? [], limit: limit ?? 0 } }
      : {}),
  };
}
