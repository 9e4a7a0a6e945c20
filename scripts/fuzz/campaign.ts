import { readFileSync } from "node:fs";
import type { BusProcess } from "../../test/support/bus-process.ts";
import { scrape } from "../../test/support/metrics.ts";
import { createSeededRandom } from "../../test/support/seeded-random.ts";
import { waitUntil } from "../../test/support/wait.ts";
import { openClients } from "../../test/support/wire-clients.ts";
import { ATTACKS } from "./attacks.ts";
import { pick } from "./mutate.ts";

export interface FuzzOptions {
  readonly bus: BusProcess;
  readonly seed: number;
  /** Asked before each round. */
  readonly goOn: (attacks: number) => boolean;
}

export interface FuzzReport {
  readonly attacks: Readonly<Record<string, number>>;
  readonly publishes: number;
  /** Resident memory after the campaign over that before it; undefined where the system does not tell. */
  readonly grownBytes: number | undefined;
}

const ATTACKS_AT_ONCE = 8;
const PUBLISH_MS = 10_000;

/**
 * Throws attacks at a server, and publishes in between. Throws an Error when the server is down, does not answer, or
 * answered anything with INTERNAL: garbage must be refused, never surprise.
 */
export async function runFuzz({ bus, seed, goOn }: FuzzOptions): Promise<FuzzReport> {
  const random = createSeededRandom(seed);
  const names = Object.keys(ATTACKS);
  const attacks = Object.fromEntries(names.map((name) => [name, 0]));
  const ended = new AbortController();
  bus.exited.then(({ code, signal }) => ended.abort(new Error(`the server ended (${signal ?? code})`)));
  using clients = openClients(bus.url);
  const before = residentBytes(bus.pid);
  let publishes = 0;
  for (let count = 0; goOn(count); count += ATTACKS_AT_ONCE) {
    const round = Array.from({ length: ATTACKS_AT_ONCE }, () => pick(random, names));
    await Promise.all(
      round.map((name) => {
        attacks[name]!++;
        // Each draws from its own numbers: how the network interleaves them must not change what is thrown.
        return ATTACKS[name]!(bus, createSeededRandom(Math.floor(random() * 2 ** 32)));
      }),
    );
    ended.signal.throwIfAborted();
    const text = { payload: { case: "text" as const, value: `after ${count} attacks` } };
    const request = { agentId: "watchman", room: "watch", channel: "tower", messages: [text] };
    await clients.bus.publish(request, { timeoutMs: PUBLISH_MS, signal: ended.signal });
    publishes++;
  }
  await expectClean(bus, publishes);
  const after = residentBytes(bus.pid);
  return {
    attacks,
    publishes,
    grownBytes: before === undefined || after === undefined ? undefined : after - before,
  };
}

async function expectClean(bus: BusProcess, publishes: number): Promise<void> {
  await waitUntil(
    async () => {
      const counted = await scrape(bus.url);
      return counted.sum("agentbus_subscriptions") === 0 && counted.sum("agentbus_calls_in_flight") <= 1;
    },
    { what: "calls of attackers to end", timeoutMs: 30_000 },
  );
  const internal = (await scrape(bus.url)).series("agentbus_rpc_handled_total", { code: "INTERNAL" });
  const bugs = bus.log.filter(({ msg }) => /failed by a bug|a handler threw|uncaught|unhandled/i.test(msg));
  if (internal.length > 0 || bugs.length > 0) {
    const lines = [...internal, ...bugs.slice(0, 5).map((line) => JSON.stringify(line))];
    throw new Error(`garbage was answered with INTERNAL:\n${lines.join("\n")}`);
  }
  using clients = openClients(bus.url);
  const { channel } = await clients.rooms.getChannel({ room: "watch", channel: "tower" });
  if (channel?.headSequence !== BigInt(publishes)) {
    throw new Error(`${publishes} messages were published in between, the log has ${channel?.headSequence}`);
  }
}

function residentBytes(pid: number): number | undefined {
  if (process.platform !== "linux") return undefined;
  return Number(readFileSync(`/proc/${pid}/statm`, "utf8").split(" ")[1]) * 4_096;
}
