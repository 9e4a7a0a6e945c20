import type { AgentKindName, AgentProfile } from "agentbus/node";
import type { Command } from "commander";
import { AGENT_KINDS } from "../core/agent.ts";
import { given, pairs, repeated, wordOption } from "./option-values.ts";

export interface ProfileFlags {
  readonly kind?: AgentKindName;
  readonly screenName?: string;
  readonly avatar?: string;
  readonly personality?: string;
  readonly description?: string;
  readonly group?: readonly string[];
  readonly label?: Readonly<Record<string, string>>;
  readonly capability?: readonly string[];
  readonly metadata?: Readonly<Record<string, string>>;
}

/** What an agent says of itself. */
export function addProfileOptions(command: Command): Command {
  return command
    .addOption(wordOption("--kind <kind>", "what it is; default: service", AGENT_KINDS))
    .option("--screen-name <name>", "the name to show to people")
    .option("--avatar <url>", "a picture")
    .option("--personality <text>", "how it speaks and what it cares for")
    .option("--description <text>", "what it is for, in words that another agent can choose by")
    .addOption(repeated("--group <name>", "a group it is in"))
    .addOption(pairs("--label <key=value>", "a label to select it by"))
    .addOption(repeated("--capability <name>", "something it can do"))
    .addOption(pairs("--metadata <key=value>", "a free pair"));
}

/** What was said; nothing about what was left out. */
export function profileOf(flags: ProfileFlags): AgentProfile {
  return given<AgentProfile>({
    kind: flags.kind,
    screenName: flags.screenName,
    avatar: flags.avatar,
    personality: flags.personality,
    description: flags.description,
    groups: flags.group,
    labels: flags.label,
    capabilities: flags.capability,
    metadata: flags.metadata,
  });
}
