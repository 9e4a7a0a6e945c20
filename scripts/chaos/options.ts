import { parseArgs } from "node:util";
import { FAULT_KINDS, type FaultKind } from "./fault-kinds.ts";

export const BACKENDS = ["memory", "file", "redis", "postgres", "mysql"] as const;
export type BackendName = (typeof BACKENDS)[number];

/** What the channels of a run promise, and how their backend is set up for it. */
export const DURABILITIES = ["SYNCED", "STORED"] as const;
export type ChaosDurability = (typeof DURABILITIES)[number];

export interface ChaosOptions {
  readonly backend: BackendName;
  readonly nodes: number;
  readonly minutes: number;
  readonly seed: number;
  /** SYNCED: the backend answers when it is on the disk. STORED: it may lose its last second when its machine fails. */
  readonly durability: ChaosDurability;
  /** Unset: all that the backend allows. */
  readonly faults: readonly FaultKind[] | undefined;
  /** Messages a second that are published, about. */
  readonly rate: number;
  readonly json: boolean;
  /** Set: the old form, one node killed so often, on file storage. */
  readonly kills: number | undefined;
}

/** Throws an Error that says what is wrong. */
export function parseChaosOptions(args: readonly string[]): ChaosOptions {
  const { values } = parseArgs({
    args: [...args],
    options: {
      backend: { type: "string", default: "file" },
      nodes: { type: "string" },
      minutes: { type: "string", default: "1" },
      seed: { type: "string", default: String(Date.now() % 1_000_000) },
      durability: { type: "string", default: "SYNCED" },
      faults: { type: "string" },
      rate: { type: "string", default: "150" },
      json: { type: "boolean", default: false },
      kills: { type: "string" },
    },
  });
  const backend = oneOf("--backend", values.backend, BACKENDS);
  const shared = backend !== "memory" && backend !== "file";
  const nodes = numberOf("--nodes", values.nodes ?? (shared ? "2" : "1"), 1, 5);
  if (!Number.isInteger(nodes)) throw new Error("--nodes must be a whole number");
  if (!shared && nodes > 1) throw new Error(`--nodes ${nodes}: ${backend} storage belongs to one node`);
  const kills = values.kills === undefined ? undefined : numberOf("--kills", values.kills, 1, 1_000_000);
  if (kills !== undefined && backend !== "file") throw new Error("--kills is for --backend file");
  return {
    backend,
    nodes,
    minutes: numberOf("--minutes", values.minutes, 0.1, 24 * 60),
    seed: numberOf("--seed", values.seed, 0, 2 ** 32),
    durability: oneOf("--durability", values.durability.toUpperCase(), DURABILITIES),
    faults: values.faults?.split(",").map((fault) => oneOf("--faults", fault, FAULT_KINDS)),
    rate: numberOf("--rate", values.rate, 1, 10_000),
    json: values.json,
    kills,
  };
}

function oneOf<T extends string>(option: string, value: string, allowed: readonly T[]): T {
  const found = allowed.find((candidate) => candidate === value);
  if (found === undefined) throw new Error(`${option} ${JSON.stringify(value)}: give one of ${allowed.join(", ")}`);
  return found;
}

function numberOf(option: string, text: string, min: number, max: number): number {
  const value = Number(text);
  if (text.trim() !== "" && value >= min && value <= max) return value;
  throw new Error(`${option} ${JSON.stringify(text)}: give a number from ${min} to ${max}`);
}
