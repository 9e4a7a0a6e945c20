import { createRegistry, type Registry } from "../../src/bus/directory/create-registry.ts";
import { type BusOptions, DEFAULT_BUS_OPTIONS, type Limits } from "../../src/core/bus-options.ts";
import type { Random } from "../../src/core/clock.ts";
import type { Logger } from "../../src/core/logger.ts";
import type { Meters } from "../../src/core/meters.ts";
import { RoutingRegistry } from "../../src/routing/routing-registry.ts";
import { createMemoryStorage } from "../../src/storage/memory/index.ts";
import type { AppendRecord } from "../../src/storage/message-log.ts";
import type { StorageAdapter, StorageCapabilities } from "../../src/storage/storage-adapter.ts";
import { createFakeClock, type FakeClock } from "./fake-clock.ts";
import { linkNode, type NodeLink } from "./node-link.ts";

export interface LogLine {
  readonly level: "debug" | "info" | "warn" | "error";
  readonly fields: Readonly<Record<string, unknown>>;
  readonly text: string;
}

/** What outlives a restart, and what several nodes share. */
export interface Backend {
  readonly storage: StorageAdapter;
  readonly capabilities: StorageCapabilities;
  readonly clock: FakeClock;
  readonly random: Random;
}

export interface NodeOptions extends Partial<Omit<BusOptions, "limits">> {
  readonly limits?: Partial<Limits>;
  readonly routing?: RoutingRegistry;
}

export interface TestNode extends Registry {
  readonly clock: FakeClock;
  readonly backend: Backend;
  readonly lines: readonly LogLine[];
  /** The node's line to what it shares with others. */
  readonly link: NodeLink;
}

/** `memory` forgets, `durable` is kept over restarts of the node, `shared` takes several nodes. */
export function createBackend(kind: "memory" | "durable" | "shared" = "memory"): Backend {
  const clock = createFakeClock();
  let drawn = 0;
  // As of real ones, a later id compares greater.
  const random: Random = { uuid: () => `uuid-${String(++drawn).padStart(6, "0")}`, epoch: () => ++drawn };
  const storage = openMemory(clock, random);
  const durable = kind !== "memory";
  const capabilities: StorageCapabilities = durable
    ? { durable, shared: kind === "shared", durability: "SYNCED", notifies: true }
    : storage.capabilities;
  return { storage, capabilities, clock, random };
}

/** A registry as one node has it, over a backend that it may share. */
export async function openNode(
  backend = createBackend(),
  { limits, routing, ...options }: NodeOptions = {},
): Promise<TestNode> {
  const { storage, capabilities, clock, random } = backend;
  const lines: LogLine[] = [];
  const { link, ...own } = linkNode({ clock, directory: storage.directory, doorbell: storage.doorbell });
  const registry = await createRegistry({
    options: { ...DEFAULT_BUS_OPTIONS, ...options, limits: { ...DEFAULT_BUS_OPTIONS.limits, ...limits } },
    storage: { ...storage, directory: own.directory, doorbell: own.doorbell },
    logs: capabilities.durable
      ? { volatile: openMemory(clock, random).log, durable: storage.log, capabilities }
      : { volatile: storage.log, capabilities },
    routing: routing ?? new RoutingRegistry(),
    clock: own.clock,
    random,
    log: recordingLogger(lines),
    meters: NO_METERS,
  });
  return { ...registry, clock, backend, lines, link };
}

/** Everything that can happen without time passing has happened: over the memory storage, one turn of the event loop. */
export const settle = () => new Promise<void>((resolve) => setImmediate(resolve));

/** Lets time pass for all nodes of a backend, in steps in which they get to do what falls due. */
export async function pass({ clock }: Pick<Backend, "clock">, ms: number): Promise<void> {
  await settle();
  for (let left = ms; left > 0; left -= STEP_MS) {
    clock.advance(Math.min(left, STEP_MS));
    await settle();
  }
}

const STEP_MS = 50;

export function recordingLogger(lines: LogLine[]): Logger {
  const at = (level: LogLine["level"]) => (fields: object, text: string) =>
    void lines.push({ level, fields: { ...fields }, text });
  return { debug: at("debug"), info: at("info"), warn: at("warn"), error: at("error") };
}

export const NO_METERS: Meters = {
  counter: () => ({ add: () => {}, value: 0 }),
  histogram: () => ({ observe: () => {} }),
  gauge: () => {},
};

/** Something to append. */
export function textRecord(text: string): AppendRecord {
  return {
    id: text,
    sender: "test",
    idempotencyKey: "",
    contentDigest: 0,
    audience: null,
    timeToLiveMs: 0,
    body: Buffer.from(text),
  };
}

function openMemory(clock: FakeClock, random: Random): StorageAdapter {
  const silent = { info: () => {}, warn: () => {}, error: () => {} };
  return createMemoryStorage({ ringSize: 1_000 }, { now: clock.now, randomEpoch: random.epoch, log: silent });
}
