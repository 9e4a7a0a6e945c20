import { randomUUID } from "node:crypto";
import type { Agent, ChannelSettings, DurabilityName } from "agentbus/node";
import type { Command } from "commander";
import { formatSize } from "../../config/units.ts";
import { DURABILITIES } from "../../core/room.ts";
import { type LoadOptions, type LoadResult, runLoad, type SideResult } from "../bench/load.ts";
import { STAMP_BYTES } from "../bench/stamp.ts";
import { type BusContext, onBus, type Surroundings } from "../bus-command.ts";
import { examples } from "../examples.ts";
import { count, given, read, size, wordOption } from "../option-values.ts";
import { enumName } from "../output/contract-json.ts";
import { showProgress } from "../output/progress.ts";
import type { Terminal } from "../output/terminal.ts";

interface BenchFlags {
  readonly messages: number;
  readonly size: number;
  readonly publishers: number;
  readonly subscribers: number;
  readonly rate?: number;
  readonly outstanding: number;
  readonly durability?: DurabilityName;
}

export function addBench(program: Command, surroundings: Surroundings): void {
  program
    .command("bench")
    .summary("measure a running bus")
    .description(
      "Publishes to a channel of its own and reads it, prints rates and waiting times, and deletes the channel. " +
        "Publishers and subscribers share this one process, so what it prints is what one client reaches, and often not " +
        "the limit of the server. Without --rate messages queue up and waiting times are those of a queue: to measure " +
        "latency, give a rate below the one that is reached without; waiting then counts from when a message was due. With an API key, all of them are the acting agent.",
    )
    .addOption(read("-n, --messages <count>", "of all publishers together", count(1, 100_000_000)).default(10_000))
    .addOption(read("--size <size>", "of a payload", size).default(256, "256B"))
    .addOption(read("--publishers <count>", "agents that publish", count(1, 1_000)).default(1))
    .addOption(read("--subscribers <count>", "agents that read", count(0, 1_000)).default(1))
    .addOption(
      read("--rate <count>", "messages a second of all publishers; default: as many as go", count(1, 10_000_000)),
    )
    .addOption(read("--outstanding <count>", "of each publisher, without an answer", count(1, 100_000)).default(256))
    .addOption(wordOption("--durability <level>", "of the channel; default: the storage's", DURABILITIES))
    .addHelpText(
      "after",
      examples(
        "agentbus bench",
        "# latency at a steady 500 messages a second, read by ten",
        "agentbus bench --rate 500 --subscribers 10 --messages 5000",
        "agentbus --json bench --publishers 4 --size 1KiB",
      ),
    )
    .action(onBus(surroundings, bench));
}

async function bench(
  context: BusContext,
  _args: [],
  { messages, size, rate, outstanding, durability, ...agents }: BenchFlags,
): Promise<void> {
  const { bus, terminal, signal } = context;
  const id = randomUUID();
  const channel = `bench.${id}:load`;
  const settings = given<ChannelSettings>({ durability });
  const created = await bus.channels.create(channel, { createRoom: true, ...settings }, { signal });
  const payloadBytes = Math.max(STAMP_BYTES, size);
  const publishers = benchAgents(context, `bench-${id}-publisher`, agents.publishers);
  const subscribers = benchAgents(context, `bench-${id}-subscriber`, agents.subscribers);
  try {
    const { storage, version } = await bus.info({ signal });
    const level = enumName("durability", created.effectiveConfig?.durability ?? 0);
    const result = await run(terminal, {
      ...{ channel, publishers, subscribers, messages, payloadBytes, rate, outstanding, signal },
    });
    const load = { messages, payloadBytes, ...agents, rate, outstanding };
    if (terminal.json) await terminal.printJson({ server: { version, storage, durability: level }, load, ...result });
    else await printResult(terminal, `${storage} storage, ${level}; payloads of ${formatSize(payloadBytes)}`, result);
    if (result.missing > 0) throw new Error(`${result.missing} deliveries did not come`);
  } finally {
    await bus.rooms.delete(`bench.${id}`, { force: true });
    await forget(context, [...publishers, ...subscribers]);
  }
}

async function run(terminal: Terminal, options: LoadOptions): Promise<LoadResult> {
  using _progress = showProgress(terminal, () => `publishing ${options.messages} messages`);
  return await runLoad(options);
}

/** Agents of their own where anybody may be anybody; else the one that the API key may act for. */
function benchAgents({ bus, agent, hasKey }: BusContext, prefix: string, count: number): Agent[] {
  return Array.from({ length: count }, (_, i) => (hasKey ? agent() : bus.agent(`${prefix}-${i + 1}`)));
}

/** The bus would forget them by itself, but not before a day. */
async function forget({ bus, hasKey }: BusContext, agents: readonly Agent[]): Promise<void> {
  if (hasKey) return;
  for (const { id } of agents) {
    await bus.agents.delete(id).catch((error: unknown) => {
      // It was stopped before this one had said anything.
      if ((error as { reason?: string }).reason !== "AGENT_NOT_FOUND") throw error;
    });
  }
}

async function printResult(terminal: Terminal, title: string, { published, delivered }: LoadResult): Promise<void> {
  await terminal.print(terminal.paint("bold", title));
  await terminal.print(`published  ${sideText(published)}`);
  if (delivered.messages > 0) await terminal.print(`delivered  ${sideText(delivered)}`);
}

function sideText({ messages, perSecond, bytesPerSecond, latency }: SideResult): string {
  const rate = `${messages} messages, ${Math.round(perSecond)}/s, ${(bytesPerSecond / 1_048_576).toFixed(1)} MiB/s`;
  if (latency === undefined) return rate;
  const { p50, p90, p99, max } = latency;
  return `${rate}, waiting p50 ${p50} ms, p90 ${p90} ms, p99 ${p99} ms, max ${max} ms`;
}
