import type { BusOptions } from "../../src/core/bus-options.ts";
import { DEFAULT_BUS_OPTIONS } from "../../src/core/bus-options.ts";
import { channelName } from "../../src/core/names.ts";
import { createHistory, type History } from "../support/history.ts";
import { Connection } from "./connection.ts";
import { Dice } from "./dice.ts";
import { CALM, type Faults } from "./faults.ts";
import { Scheduler } from "./scheduler.ts";
import { VirtualBackend } from "./virtual-backend.ts";
import { VirtualNode } from "./virtual-node.ts";

export const NODES = ["n1", "n2", "n3"] as const;
/** Short, so that a run sees many of them end. */
export const LEASE_MS = 4_000;
const HEARTBEAT_MS = 1_500;
/** What a failed run shows of its end. */
const TRACED = 5_000;

/** What happened, for people: when, where, what. */
export interface TraceLine {
  readonly atMs: number;
  readonly where: string;
  readonly what: string;
}

/** Everything there is in one run: one backend, three nodes, time, chance, and what was seen. */
export class World {
  readonly scheduler = new Scheduler();
  readonly dice: Dice;
  readonly history: History = createHistory();
  /** What was seen of the VOLATILE channel, whose log is another one on each node: judged by rules of its own. */
  readonly volatileHistory: History = createHistory();
  readonly backend: VirtualBackend;
  /** What goes wrong now. */
  faults: Faults = CALM;
  /** The chaos is over. */
  isQuiet = false;
  /** Promises that only the simulation can judge, broken. */
  readonly violations: string[] = [];
  readonly #nodes = new Map<string, VirtualNode>();
  readonly #connections = new Map<VirtualNode, Set<Connection>>();
  readonly #trace: TraceLine[] = [];
  #failure: Error | undefined;

  constructor(seed: number) {
    this.dice = new Dice(seed);
    this.backend = new VirtualBackend(this.scheduler, this.dice, {
      appended: (name, log) => this.ring(VirtualBackend.ringOf(name, log)),
      lost: (channel, lost, isDeleted) => {
        this.history.record({ kind: "lost", channel, ...lost, isDeleted });
        const range = `${channel}@${lost.epoch.toString(16)} ${lost.first} to ${lost.last}`;
        this.note("store", `${isDeleted ? "deleted" : "lost"} ${range}`);
      },
    });
  }

  get trace(): readonly TraceLine[] {
    return this.#trace;
  }

  /** Nodes that live, serving or not. */
  get nodes(): readonly VirtualNode[] {
    return [...this.#nodes.values()];
  }

  /** Throws what a client or a node never may do. */
  throwFailure(): void {
    if (this.#failure !== undefined) throw this.#failure;
  }

  /** Something happened that no fault explains: the run ends. */
  fail(error: unknown): void {
    this.#failure ??= error instanceof Error ? error : new Error(String(error));
  }

  /** Runs a client to its end; it must not fail. */
  runClient(task: () => Promise<void>): Promise<void> {
    return task().catch((error: unknown) => this.fail(error));
  }

  note(where: string, what: string): void {
    this.#trace.push({ atMs: Math.round(this.scheduler.now * 1_000) / 1_000, where, what });
    if (this.#trace.length >= TRACED * 2) this.#trace.splice(0, TRACED);
  }

  violated(text: string): void {
    this.violations.push(text);
    this.note("check", text);
  }

  sleep(ms: number): Promise<void> {
    return this.scheduler.sleep(ms, undefined);
  }

  node(name: string): VirtualNode | undefined {
    return this.#nodes.get(name);
  }

  /** `nodeId`: what it is called in its configuration. Default: its name. */
  start(name: string, nodeId: string = name): VirtualNode {
    const node = new VirtualNode({
      scheduler: this.scheduler,
      dice: this.dice,
      backend: this.backend,
      name,
      options: busOptions(nodeId),
      faults: () => this.faults,
      ring: (ring) => this.ring(ring),
      relay: (packet) => {
        for (const other of this.#nodes.values()) if (other !== node) other.storage.carry(packet);
      },
      onLine: (where, what) => this.note(where, what),
    });
    this.#nodes.set(name, node);
    this.#connections.set(node, new Set());
    this.note(name, nodeId === name ? "starts" : `starts as ${nodeId}`);
    node.start().catch((error: unknown) => this.fail(error));
    return node;
  }

  /** As with SIGKILL: nothing is said to anybody. */
  kill(name: string): void {
    const node = this.#nodes.get(name);
    if (node === undefined) return;
    this.note(name, "is killed");
    this.#nodes.delete(name);
    this.scheduler.kill(node.party);
    for (const connection of this.#connections.get(node)!) connection.cut();
    this.#connections.delete(node);
  }

  /** A connection to some node, also to one that is paused: who connects cannot know. Undefined: there is none. */
  connect(): Connection | undefined {
    if (this.#nodes.size === 0) return undefined;
    const node = this.dice.pick(this.nodes);
    const latencyMs = this.faults.kinds.has("slow") ? 100 : 5;
    const fail = (error: unknown) => this.fail(error);
    const connection = new Connection(node, { scheduler: this.scheduler, dice: this.dice, latencyMs, fail });
    this.#connections.get(node)!.add(connection);
    return connection;
  }

  /** Who has it uses it no more. */
  release(connection: Connection): void {
    this.#connections.get(connection.node)?.delete(connection);
  }

  /** Some of the open connections of all nodes. */
  connections(): readonly Connection[] {
    return [...this.#connections.values()].flatMap((open) => [...open]);
  }

  ring(ring: Parameters<VirtualNode["storage"]["hear"]>[0]): void {
    for (const node of this.#nodes.values()) node.storage.hear(ring);
  }
}

/** A channel of the room that every run has. */
export function channelOf(channel: string) {
  return channelName("sim", channel);
}

function busOptions(nodeId: string): BusOptions {
  return {
    ...DEFAULT_BUS_OPTIONS,
    nodeId,
    agentLeaseMs: LEASE_MS,
    heartbeatMs: HEARTBEAT_MS,
    cleanupIntervalMs: 5_000,
    channelDefaults: { ...DEFAULT_BUS_OPTIONS.channelDefaults, dedupWindowMs: 600_000 },
  };
}
