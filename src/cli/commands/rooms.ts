import type { RoomSettings } from "agentbus/node";
import type { Command } from "commander";
import { type BusContext, onBus, type Surroundings } from "../bus-command.ts";
import { addChannelOptions, type ChannelFlags, channelSettingsOf } from "../channel-options.ts";
import { examples } from "../examples.ts";
import { UsageError } from "../exit-code.ts";
import { given } from "../option-values.ts";
import { contractJson } from "../output/contract-json.ts";
import { printOutcome, printRecord, printRecords, ROOM_VIEW } from "../output/record-output.ts";
import { followUntilStopped } from "../watching.ts";

interface RoomFlags extends ChannelFlags {
  readonly autoCreate?: boolean;
}

export function addRooms(program: Command, surroundings: Surroundings): void {
  const rooms = program
    .command("rooms")
    .summary("list, create, change and delete rooms")
    .description("Rooms: namespaces of channels.");
  rooms
    .command("list")
    .description("Lists rooms by name.")
    .argument("[pattern]", "only those that match, for example 'lab.*'")
    .addHelpText("after", examples("agentbus rooms list", "agentbus rooms list 'lab.*'"))
    .action(
      onBus(surroundings, ({ bus, terminal, signal }, [pattern]: [string?]) =>
        printRecords(terminal, ROOM_VIEW, bus.rooms.list(pattern, { signal })),
      ),
    );
  rooms
    .command("get")
    .description("Shows a room.")
    .argument("<room>", "its name")
    .addHelpText("after", examples("agentbus rooms get science"))
    .action(
      onBus(surroundings, async ({ bus, terminal, signal }, [room]: [string]) =>
        printRecord(terminal, ROOM_VIEW, await bus.rooms.get(room, { signal })),
      ),
    );
  addRoomOptions(rooms.command("create"))
    .description("Creates a room. Creating it again with the same settings is fine.")
    .argument("<room>", "its name; dots make a hierarchy")
    .addHelpText(
      "after",
      examples(
        "agentbus rooms create science --description 'Where we explore'",
        "agentbus rooms create lab.support --routing round_robin --max-age 30d",
      ),
    )
    .action(onBus(surroundings, create));
  addRoomOptions(rooms.command("update"))
    .description("Changes what is given, and leaves the rest.")
    .argument("<room>", "its name")
    .addHelpText("after", examples("agentbus rooms update science --max-messages 5000"))
    .action(onBus(surroundings, update, checkUpdate));
  rooms
    .command("delete")
    .description("Deletes a room.")
    .argument("<room>", "its name")
    .option("--force", "also when it has channels, with all their messages")
    .addHelpText("after", examples("agentbus rooms delete science --force"))
    .action(onBus(surroundings, remove));
  rooms
    .command("watch")
    .description("Tells what happens in a room (channels that come and go, members, settings), until it is stopped.")
    .argument("<room>", "its name")
    .addHelpText("after", examples("agentbus rooms watch science"))
    .action(onBus(surroundings, watch));
}

function addRoomOptions(command: Command): Command {
  return addChannelOptions(command)
    .option("--auto-create", "create channels that are used but do not exist")
    .option("--no-auto-create", "refuse channels that do not exist");
}

function settingsOf(flags: RoomFlags): RoomSettings {
  return { ...channelSettingsOf(flags), ...given<RoomSettings>({ autoCreateChannels: flags.autoCreate }) };
}

async function create({ bus, terminal, signal }: BusContext, [name]: [string], flags: RoomFlags): Promise<void> {
  const room = await bus.rooms.create(name, settingsOf(flags), { signal });
  await printOutcome(terminal, `room ${name} is there`, contractJson(room));
}

function checkUpdate(_args: [string], flags: RoomFlags): void {
  if (Object.keys(settingsOf(flags)).length === 0) throw new UsageError("say what to change");
}

async function update({ bus, terminal, signal }: BusContext, [name]: [string], flags: RoomFlags): Promise<void> {
  const settings = settingsOf(flags);
  const { room, effectivePositions } = await bus.rooms.update(name, settings, { signal });
  await printOutcome(terminal, `room ${name} is changed`, { room: contractJson(room), effectivePositions });
}

async function remove({ bus, terminal, signal }: BusContext, [room]: [string], flags: { force?: true }): Promise<void> {
  await bus.rooms.delete(room, { force: flags.force ?? false, signal });
  await printOutcome(terminal, `room ${room} is deleted`, { deleted: room });
}

async function watch(context: BusContext, [room]: [string]): Promise<void> {
  const { bus, terminal } = context;
  await followUntilStopped(
    context,
    (signal) => bus.rooms.watch(room, { signal }),
    (change) =>
      printOutcome(terminal, [change.change, change.channel, change.agentId].filter(Boolean).join(" "), change),
  );
}
