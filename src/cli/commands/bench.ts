import { randomUUID } from "node:crypto";
import type { DurabilityName } from "agentbus/node";
import type { Command } from "commander";
import { formatSize } from "../../config/units.ts";
import { DURABILITIES } from "../../core/room.ts";
import { type LoadResult, runLoad, type SideResult } from "../bench/load.ts";
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
        "latency, give a rate below the one that is reached without.",
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

async function bench({ bus, terminal, signal }: BusContext, _args: [], flags: BenchFlags): Promise<void> {
  const room = `bench.${randomUUID()}`;
  const channel = `${room}:load`;
  const created = await bus.channels.create(
    channel,
    { createRoom: true, ...given<{ durability: DurabilityName }>({ durability: flags.durability }) },
    { signal },
  );
  const { storage, version } = await bus.info({ signal });
  try {
    using _progress = showProgress(terminal, () => `publishing ${flags.messages} messages`);
    const { publishers, subscribers, messages, rate, outstanding } = flags;
    const payloadBytes = Math.max(STAMP_BYTES, flags.size);
    const result = await runLoad(bus, {
      ...{ channel, publishers, subscribers, messages, rate, outstanding, payloadBytes, signal },
    });
    const durability = enumName("durability", created.effectiveConfig?.durability ?? 0);
    const load = { messages, payloadBytes, publishers, subscribers, rate, outstanding };
    if (terminal.json) await terminal.printJson({ server: { version, storage, durability }, load, ...result });
    else
      await printResult(terminal, `${storage} storage, ${durability}; payloads of ${formatSize(payloadBytes)}`, result);
    if (result.missing > 0) throw new Error(`${result.missing} deliveries did not come`);
  } finally {
    await bus.rooms.delete(room, { force: true });
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
