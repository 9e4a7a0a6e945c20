import { durationMs } from "@bufbuild/protobuf/wkt";
import type { Command } from "commander";
import { type BusContext, onBus, type Surroundings } from "../bus-command.ts";
import { examples } from "../examples.ts";
import { count, read } from "../option-values.ts";
import { contractJson } from "../output/contract-json.ts";
import { CHANNEL_VIEW } from "../output/record-output.ts";
import { type Column, printDetails, printTable } from "../output/table.ts";

type Status = Awaited<ReturnType<BusContext["bus"]["status"]>>;
type Node = Status["nodes"][number];

export function addStatus(program: Command, surroundings: Surroundings): void {
  program
    .command("status")
    .summary("show nodes, load and the busiest channels")
    .description(
      "Shows how the bus is: its nodes and their load, agents, rooms, and the channels with the most members.",
    )
    .addOption(read("--channels <count>", "so many channels", count(1, 1_000)).default(20))
    .addHelpText("after", examples("agentbus status", "agentbus --json status | jq '.nodes[].serving'"))
    .action(onBus(surroundings, status));
}

async function status({ bus, terminal, signal }: BusContext, _args: [], flags: { channels: number }): Promise<void> {
  const answer = await bus.status({ maxChannels: flags.channels, signal });
  if (terminal.json) return terminal.printJson(contractJson(answer));
  await printTable(terminal, NODE_COLUMNS, answer.nodes, "No node answered.");
  for (const { nodeId, problems } of answer.nodes) {
    for (const problem of problems) await terminal.print(terminal.paint("yellow", `${nodeId}: ${problem}`));
  }
  if (terminal.interactive) await terminal.print("");
  await printDetails(terminal, {
    agents: `${answer.agents} known, ${answer.agentsOnline} online`,
    rooms: String(answer.rooms),
    channels: String(answer.channels),
  });
  if (answer.busiestChannels.length === 0) return;
  if (terminal.interactive) await terminal.print("");
  await printTable(terminal, CHANNEL_VIEW.columns, answer.busiestChannels, CHANNEL_VIEW.nothing);
}

const NODE_COLUMNS: readonly Column<Node>[] = [
  { heading: "NODE", value: (node) => node.nodeId },
  { heading: "STATE", value: (node) => (node.serving ? "serving" : "not serving") },
  { heading: "VERSION", value: (node) => node.version },
  { heading: "STORAGE", value: (node) => node.storage },
  {
    heading: "UP",
    value: (node) => (node.uptimeDuration === undefined ? "" : upText(durationMs(node.uptimeDuration))),
  },
  { heading: "CONNECTIONS", value: (node) => node.connections },
  { heading: "READERS", value: (node) => node.subscriptions },
  { heading: "IN/S", value: (node) => node.publishRate.toFixed(1) },
  { heading: "OUT/S", value: (node) => node.deliveryRate.toFixed(1) },
];

function upText(ms: number): string {
  const seconds = Math.floor(ms / 1_000);
  const parts = [
    [Math.floor(seconds / 86_400), "d"],
    [Math.floor(seconds / 3_600) % 24, "h"],
    [Math.floor(seconds / 60) % 60, "m"],
    [seconds % 60, "s"],
  ] as const;
  const first = parts.findIndex(([value]) => value > 0);
  const shown = first < 0 ? parts.slice(-1) : parts.slice(first, first + 2);
  return shown.map(([value, unit]) => `${value}${unit}`).join(" ");
}
