import type { AgentFilter, AgentKindName, AgentStateName } from "agentbus/node";
import type { Command } from "commander";
import { AGENT_KINDS, AGENT_STATES } from "../../core/agent.ts";
import { type BusContext, onBus, type Surroundings } from "../bus-command.ts";
import { examples } from "../examples.ts";
import { UsageError } from "../exit-code.ts";
import { given, pairs, repeated, wordsOption } from "../option-values.ts";
import { contractJson, enumName } from "../output/contract-json.ts";
import { AGENT_VIEW, printOutcome, printRecord, printRecords } from "../output/record-output.ts";
import { addProfileOptions, type ProfileFlags, profileOf } from "../profile-options.ts";
import { followUntilStopped } from "../watching.ts";

interface ListFlags {
  readonly kind?: readonly AgentKindName[];
  readonly state?: readonly AgentStateName[];
  readonly group?: string;
  readonly capability?: readonly string[];
  readonly label?: Readonly<Record<string, string>>;
}

export function addAgents(program: Command, surroundings: Surroundings): void {
  const agents = program
    .command("agents")
    .summary("list, register, change, watch and delete agents")
    .description("Agents: whoever speaks and listens.");
  agents
    .command("list")
    .description("Lists agents by id.")
    .addOption(wordsOption("--kind <kind>", "only agents of this kind", AGENT_KINDS))
    .addOption(wordsOption("--state <state>", "only agents in this state", AGENT_STATES))
    .option("--group <name>", "only agents of this group")
    .addOption(repeated("--capability <name>", "only agents that can do this"))
    .addOption(pairs("--label <key=value>", "only agents with this label"))
    .addHelpText(
      "after",
      examples("agentbus agents list", "agentbus agents list --state online --capability translate"),
    )
    .action(onBus(surroundings, list));
  agents
    .command("get")
    .description("Shows an agent: profile, state, what it reads.")
    .argument("<agent>", "its id")
    .addHelpText("after", examples("agentbus agents get alice"))
    .action(
      onBus(surroundings, async ({ bus, terminal, signal }, [id]: [string]) =>
        printRecord(terminal, AGENT_VIEW, await bus.agents.get(id, { signal })),
      ),
    );
  addProfileOptions(agents.command("register"))
    .description("Makes an agent known with this profile, which replaces an earlier one. Inbox and memberships stay.")
    .argument("<agent>", "its id")
    .addHelpText(
      "after",
      examples("agentbus agents register alice --kind ai_agent --capability translate --group linguists"),
    )
    .action(onBus(surroundings, register));
  addProfileOptions(agents.command("update"))
    .description("Changes the parts of the profile that are given.")
    .argument("<agent>", "its id")
    .addHelpText("after", examples("agentbus agents update alice --description 'Speaks German and French'"))
    .action(onBus(surroundings, update, checkUpdate));
  agents
    .command("delete")
    .description("Forgets an agent, with its memberships and its inbox.")
    .argument("<agent>", "its id")
    .addHelpText("after", examples("agentbus agents delete alice"))
    .action(onBus(surroundings, remove));
  agents
    .command("disconnect")
    .description("Takes an agent offline: its streams end everywhere. Inbox and memberships stay.")
    .argument("<agent>", "its id")
    .addHelpText("after", examples("agentbus agents disconnect alice"))
    .action(onBus(surroundings, disconnect));
  agents
    .command("watch")
    .description("Tells of agents as they come, change and go, until it is stopped.")
    .argument("[agent...]", "only these")
    .option("--skip-current", "nothing of those that are known already")
    .addHelpText("after", examples("agentbus agents watch", "agentbus --json agents watch alice bob"))
    .action(onBus(surroundings, watch));
}

async function list({ bus, terminal, signal }: BusContext, _args: [], flags: ListFlags): Promise<void> {
  const filter = given<AgentFilter>({
    kinds: flags.kind,
    states: flags.state,
    group: flags.group,
    capabilities: flags.capability,
    labels: flags.label,
  });
  await printRecords(terminal, AGENT_VIEW, bus.agents.list(filter, { signal }));
}

async function register({ bus, terminal, signal }: BusContext, [id]: [string], flags: ProfileFlags): Promise<void> {
  const agent = await bus.agent(id).register(profileOf(flags), { signal });
  await printOutcome(terminal, `agent ${id} is registered`, contractJson(agent));
}

function checkUpdate(_args: [string], flags: ProfileFlags): void {
  if (Object.keys(profileOf(flags)).length === 0) throw new UsageError("say what to change");
}

async function update({ bus, terminal, signal }: BusContext, [id]: [string], flags: ProfileFlags): Promise<void> {
  const changes = profileOf(flags);
  const agent = await bus.agent(id).update(changes, { signal });
  await printOutcome(terminal, `agent ${id} is changed`, contractJson(agent));
}

async function remove({ bus, terminal, signal }: BusContext, [id]: [string]): Promise<void> {
  await bus.agents.delete(id, { signal });
  await printOutcome(terminal, `agent ${id} is deleted`, { deleted: id });
}

async function disconnect({ bus, terminal, signal }: BusContext, [id]: [string]): Promise<void> {
  await bus.agent(id).disconnect({ signal });
  await printOutcome(terminal, `agent ${id} is disconnected`, { disconnected: id });
}

async function watch(context: BusContext, [ids]: [string[]?], flags: { readonly skipCurrent?: true }): Promise<void> {
  const { bus, terminal } = context;
  const options = { agentIds: ids ?? [], skipCurrent: flags.skipCurrent ?? false };
  await followUntilStopped(
    context,
    (signal) => bus.agents.watch({ ...options, signal }),
    ({ change, agent }) =>
      printOutcome(terminal, `${change} ${agent.agentId} ${enumName("state", agent.state) ?? ""}`.trimEnd(), {
        change,
        agent: contractJson(agent),
      }),
  );
}
