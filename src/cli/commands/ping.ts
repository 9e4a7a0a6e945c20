import { setTimeout as pause } from "node:timers/promises";
import { timestampDate } from "@bufbuild/protobuf/wkt";
import type { Command } from "commander";
import { type BusContext, onBus, type Surroundings } from "../bus-command.ts";
import { examples } from "../examples.ts";
import { count, duration, read } from "../option-values.ts";

interface PingFlags {
  readonly count: number;
  readonly interval: number;
}

export function addPing(program: Command, surroundings: Surroundings): void {
  program
    .command("ping")
    .summary("ask for a sign of life")
    .description("Asks the bus for a sign of life and prints how long it took. Fails when nobody answers.")
    .addOption(read("-n, --count <count>", "ask so often", count(1, 1_000_000)).default(1))
    .addOption(read("--interval <duration>", "wait between", duration).default(1_000, "1s"))
    .addHelpText("after", examples("agentbus ping", "agentbus --url https://bus.example.com ping -n 5"))
    .action(onBus(surroundings, ping));
}

async function ping({ bus, terminal, signal }: BusContext, _args: [], { count, interval }: PingFlags): Promise<void> {
  for (let sent = 0; sent < count; sent++) {
    if (sent > 0) await pause(interval, undefined, { signal });
    const startedAt = performance.now();
    const { nodeId, serverTime } = await bus.ping({ signal });
    const milliseconds = Math.round((performance.now() - startedAt) * 1_000) / 1_000;
    if (terminal.json) {
      const time = serverTime === undefined ? undefined : timestampDate(serverTime).toISOString();
      await terminal.printJson({ nodeId, url: bus.url, milliseconds, serverTime: time });
    } else await terminal.print(`${nodeId} at ${bus.url}: ${milliseconds} ms`);
  }
}
