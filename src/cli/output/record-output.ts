import type { AgentRecord, Channel, Room } from "agentbus/node";
import { formatSize } from "../../config/units.ts";
import { contractJson, enumName } from "./contract-json.ts";
import { type Column, printDetails, printTable } from "./table.ts";
import type { Terminal } from "./terminal.ts";

/** How one kind of record is shown to people; to programs each is JSON under the contract's names. */
interface RecordView<T> {
  readonly columns: readonly Column<T>[];
  readonly details: (record: T) => Readonly<Record<string, string>>;
  readonly nothing: string;
}

export const ROOM_VIEW: RecordView<Room> = {
  columns: [
    { heading: "ROOM", value: (room) => room.room },
    { heading: "CHANNELS", value: (room) => room.channelCount },
    { heading: "DESCRIPTION", value: (room) => shorten(room.description) },
  ],
  details: (room) => details(room),
  nothing: "There are no rooms.",
};

export const CHANNEL_VIEW: RecordView<Channel> = {
  columns: [
    { heading: "CHANNEL", value: addressOf },
    { heading: "MEMBERS", value: (channel) => channel.memberCount },
    { heading: "READERS", value: (channel) => channel.subscriptionCount },
    { heading: "MESSAGES", value: (channel) => String(channel.headSequence - channel.firstSequence + 1n) },
    { heading: "SIZE", value: (channel) => roughSize(Number(channel.sizeBytes)) },
    { heading: "ROUTING", value: (channel) => enumName("strategy", routingStrategy(channel)) ?? "broadcast" },
    {
      heading: "DURABILITY",
      value: (channel) => enumName("durability", channel.effectiveConfig?.durability ?? 0) ?? "",
    },
  ],
  details: (channel) => ({ address: addressOf(channel), ...details(channel) }),
  nothing: "There are no channels.",
};

export const AGENT_VIEW: RecordView<AgentRecord> = {
  columns: [
    { heading: "AGENT", value: (agent) => agent.agentId },
    { heading: "KIND", value: (agent) => enumName("kind", agent.kind) ?? "" },
    { heading: "STATE", value: (agent) => enumName("state", agent.state) ?? "" },
    { heading: "GROUPS", value: (agent) => agent.groups.join(" ") },
    { heading: "CAPABILITIES", value: (agent) => agent.capabilities.map(({ name }) => name).join(" ") },
    { heading: "DESCRIPTION", value: (agent) => shorten(agent.description) },
  ],
  details: (agent) => details(agent),
  nothing: "There are no agents.",
};

export async function printRecords<T extends object>(
  terminal: Terminal,
  view: RecordView<T>,
  records: AsyncIterable<T>,
): Promise<void> {
  if (!terminal.json) return printTable(terminal, view.columns, await Array.fromAsync(records), view.nothing);
  for await (const record of records) await terminal.printJson(contractJson(record));
}

export function printRecord<T extends object>(terminal: Terminal, view: RecordView<T>, record: T): Promise<void> {
  return terminal.json ? terminal.printJson(contractJson(record)) : printDetails(terminal, view.details(record));
}

/** Prints what a change came to: a sentence for people, the JSON for programs. */
export function printOutcome(terminal: Terminal, text: string, json: object): Promise<void> {
  return terminal.json ? terminal.printJson(json) : terminal.print(text);
}

export function addressOf({ room, channel }: { readonly room: string; readonly channel: string }): string {
  return `${room}:${channel}`;
}

function routingStrategy(channel: Channel): number {
  return channel.effectiveConfig?.routing?.strategy ?? 0;
}

/** Every field that says something, nested ones as paths. */
function details(record: object): Readonly<Record<string, string>> {
  return Object.fromEntries(flatten("", contractJson(record)));
}

function flatten(path: string, value: unknown): [string, string][] {
  if (Array.isArray(value)) {
    return value.every((item) => typeof item !== "object")
      ? [[path, value.join(", ")]]
      : value.flatMap((item, i) => flatten(`${path}[${i}]`, item));
  }
  if (typeof value !== "object" || value === null) return [[path, String(value)]];
  return Object.entries(value).flatMap(([key, inner]) => flatten(path === "" ? key : `${path}.${key}`, inner));
}

function shorten(text: string): string {
  const most = 60;
  return text.length <= most ? text : `${text.slice(0, most - 1)}…`;
}

/** Three digits at most, for a column. */
function roughSize(bytes: number): string {
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let value = bytes;
  let unit = 0;
  for (; value >= 1_000 && unit < units.length - 1; unit++) value /= 1_024;
  return Number.isInteger(value)
    ? formatSize(value * 1_024 ** unit)
    : `${value.toFixed(value < 10 ? 1 : 0)}${units[unit]}`;
}
