import type { Filter, MessageTypeName } from "agentbus/node";
import type { Command } from "commander";
import { MESSAGE_TYPES } from "../core/message.ts";
import { count, given, pairs, read, repeated, wordsOption } from "./option-values.ts";

export interface FilterFlags {
  readonly type?: readonly MessageTypeName[];
  readonly name?: readonly string[];
  readonly sender?: readonly string[];
  readonly session?: readonly string[];
  readonly correlation?: readonly string[];
  readonly metadata?: Readonly<Record<string, string>>;
  readonly minPriority?: number;
  readonly directOnly?: true;
}

export function addFilterOptions(command: Command): Command {
  return command
    .addOption(wordsOption("--type <type>", "only messages of this type", MESSAGE_TYPES))
    .addOption(repeated("--name <name>", "only messages with this name"))
    .addOption(repeated("--sender <agent>", "only what this agent said"))
    .addOption(repeated("--session <id>", "only messages of this session"))
    .addOption(repeated("--correlation <id>", "only messages of this conversation"))
    .addOption(pairs("--metadata <key=value>", "only messages with this pair"))
    .addOption(read("--min-priority <0-9>", "only messages at least so urgent", count(0, 9)))
    .option("--direct-only", "only messages for chosen readers");
}

/** Undefined: every message fits. */
export function filterOf(flags: FilterFlags): Filter | undefined {
  const filter = given<Filter>({
    types: flags.type,
    names: flags.name,
    senders: flags.sender,
    sessionIds: flags.session,
    correlationIds: flags.correlation,
    metadata: flags.metadata,
    minPriority: flags.minPriority,
    directOnly: flags.directOnly,
  });
  return Object.keys(filter).length === 0 ? undefined : filter;
}
