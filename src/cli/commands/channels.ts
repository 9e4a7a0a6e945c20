import { timestampDate } from "@bufbuild/protobuf/wkt";
import type { ChannelInit } from "agentbus/node";
import type { Command } from "commander";
import { type BusContext, onBus, type Surroundings } from "../bus-command.ts";
import { addChannelOptions, type ChannelFlags, channelSettingsOf } from "../channel-options.ts";
import { examples } from "../examples.ts";
import { UsageError } from "../exit-code.ts";
import { channelArgument } from "../option-values.ts";
import { contractJson } from "../output/contract-json.ts";
import { CHANNEL_VIEW, printOutcome, printRecord, printRecords } from "../output/record-output.ts";
import { printTable } from "../output/table.ts";

export function addChannels(program: Command, surroundings: Surroundings): void {
  const channels = program
    .command("channels")
    .summary("list, create, change, join, leave and delete channels")
    .description("Channels: ordered logs in rooms, written room:channel.");
  channels
    .command("list")
    .description("Lists channels by name.")
    .argument("[room-or-pattern]", "of one room, or those that match a pattern such as 'science.*:general'")
    .addHelpText(
      "after",
      examples("agentbus channels list", "agentbus channels list science", "agentbus channels list 'science:*'"),
    )
    .action(onBus(surroundings, list));
  channels
    .command("get")
    .description("Shows a channel: settings, members, head, size.")
    .addArgument(channelArgument())
    .addHelpText("after", examples("agentbus channels get science:explore"))
    .action(
      onBus(surroundings, async ({ bus, terminal, signal }, [channel]: [string]) =>
        printRecord(terminal, CHANNEL_VIEW, await bus.channels.get(channel, { signal })),
      ),
    );
  addChannelOptions(channels.command("create"))
    .description("Creates a channel. Creating it again with the same settings is fine.")
    .addArgument(channelArgument())
    .option("--create-room", "also the room, when there is none")
    .addHelpText(
      "after",
      examples(
        "agentbus channels create science:explore --create-room",
        "agentbus channels create lab:work --routing capability --routing-limit 1",
        "agentbus channels create lab:ticks --durability volatile --max-age 10m",
      ),
    )
    .action(onBus(surroundings, create));
  addChannelOptions(channels.command("update"))
    .description(
      "Changes what is given, and leaves the rest. Changed routing holds behind the position that is printed.",
    )
    .addArgument(channelArgument())
    .addHelpText("after", examples("agentbus channels update lab:work --routing round_robin"))
    .action(onBus(surroundings, update, checkUpdate));
  channels
    .command("delete")
    .description("Deletes a channel with all its messages. Subscriptions that name it end.")
    .addArgument(channelArgument())
    .addHelpText("after", examples("agentbus channels delete science:explore"))
    .action(onBus(surroundings, remove));
  channels
    .command("join")
    .description(
      "Makes the agent a member: a candidate for routing, and a reader when it subscribes to nothing in particular.",
    )
    .addArgument(channelArgument())
    .addHelpText("after", examples("agentbus --agent bob channels join science:explore"))
    .action(onBus(surroundings, join));
  channels
    .command("leave")
    .description("Ends the agent's membership.")
    .addArgument(channelArgument())
    .addHelpText("after", examples("agentbus --agent bob channels leave science:explore"))
    .action(onBus(surroundings, leave));
  channels
    .command("members")
    .description("Lists who joined a channel.")
    .addArgument(channelArgument())
    .addHelpText("after", examples("agentbus channels members science:explore"))
    .action(onBus(surroundings, members));
}

async function list({ bus, terminal, signal }: BusContext, [which = ""]: [string?]): Promise<void> {
  const filter = /[:*]/.test(which) ? { pattern: which } : { room: which };
  await printRecords(terminal, CHANNEL_VIEW, bus.channels.list(filter, { signal }));
}

async function create(
  { bus, terminal, signal }: BusContext,
  [name]: [string],
  flags: ChannelFlags & { readonly createRoom?: true },
): Promise<void> {
  const settings = { ...channelSettingsOf(flags), createRoom: flags.createRoom ?? false };
  const channel = await bus.channels.create(name, settings, { signal });
  await printOutcome(terminal, `channel ${name} is there`, contractJson(channel));
}

function checkUpdate(_args: [string], flags: ChannelFlags): void {
  if (Object.keys(channelSettingsOf(flags)).length === 0) throw new UsageError("say what to change");
}

async function update({ bus, terminal, signal }: BusContext, [name]: [string], flags: ChannelFlags): Promise<void> {
  const settings: ChannelInit = channelSettingsOf(flags);
  const { channel, effectivePosition } = await bus.channels.update(name, settings, { signal });
  const behind = effectivePosition === "" ? "" : `, in force behind ${effectivePosition}`;
  await printOutcome(terminal, `channel ${name} is changed${behind}`, {
    channel: contractJson(channel),
    effectivePosition,
  });
}

async function remove({ bus, terminal, signal }: BusContext, [channel]: [string]): Promise<void> {
  await bus.channels.delete(channel, { signal });
  await printOutcome(terminal, `channel ${channel} is deleted`, { deleted: channel });
}

async function join({ terminal, agent, signal }: BusContext, [name]: [string]): Promise<void> {
  const channel = await agent().join(name, { signal });
  await printOutcome(terminal, `joined ${name}`, contractJson(channel));
}

async function leave({ terminal, agent, signal }: BusContext, [channel]: [string]): Promise<void> {
  await agent().leave(channel, { signal });
  await printOutcome(terminal, `left ${channel}`, { left: channel });
}

async function members({ bus, terminal, signal }: BusContext, [channel]: [string]): Promise<void> {
  const rows = await Array.fromAsync(bus.channels.members(channel, { signal }));
  if (terminal.json) {
    for (const member of rows) await terminal.printJson(contractJson(member));
    return;
  }
  const columns = [
    { heading: "AGENT", value: (row: (typeof rows)[number]) => row.agentId },
    {
      heading: "JOINED",
      value: (row: (typeof rows)[number]) => (row.joinTime ? timestampDate(row.joinTime).toISOString() : ""),
    },
  ];
  await printTable(terminal, columns, rows, "Nobody joined it.");
}
