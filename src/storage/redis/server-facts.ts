import type { Redis } from "ioredis";
import type { Durability } from "../../core/room.ts";

/** What one server says of itself. */
export interface ServerFacts {
  /** "7.0.15" */
  readonly version: string;
  readonly isMaster: boolean;
  readonly evictionPolicy: string;
  readonly durability: Durability;
  /** Whether a restart keeps anything; undefined: it does not say, and an append-only file it has not. */
  readonly isPersistent: boolean | undefined;
  /** What keeps it from working now; undefined: nothing. */
  readonly fault: string | undefined;
}

/** Asks a server. Settings that it refuses to tell (managed servers do) count as the weaker ones. */
export async function inspectServer(server: Redis): Promise<ServerFacts> {
  const info = parseInfo(await server.info());
  const hasAppendOnlyFile = info.get("aof_enabled") === "1";
  const settings = await readSettings(server);
  const isSynced =
    hasAppendOnlyFile &&
    settings?.get("appendfsync") === "always" &&
    // While the file is rewritten such a server does not sync.
    settings.get("no-appendfsync-on-rewrite") === "no";
  const saves = settings?.get("save");
  return {
    version: info.get("redis_version") ?? "unknown",
    isMaster: info.get("role") === "master",
    evictionPolicy: info.get("maxmemory_policy") ?? "unknown",
    durability: isSynced ? "SYNCED" : "STORED",
    isPersistent: hasAppendOnlyFile ? true : saves === undefined ? undefined : saves !== "",
    fault: diskFaultOf(info) ?? (await clusterFaultOf(server, info)),
  };
}

/** The weakest of several: a bus is as durable as the worst server of its cluster. */
export function combineFacts(all: readonly ServerFacts[]): ServerFacts {
  const [first] = all;
  if (first === undefined) throw new Error("no server of the cluster answers");
  return {
    version: all.map(({ version }) => version).reduce((a, b) => (majorOf(b) < majorOf(a) ? b : a)),
    isMaster: all.every(({ isMaster }) => isMaster),
    evictionPolicy: all.find(({ evictionPolicy }) => evictionPolicy !== "noeviction")?.evictionPolicy ?? "noeviction",
    durability: all.every(({ durability }) => durability === "SYNCED") ? "SYNCED" : "STORED",
    isPersistent: all.find(({ isPersistent }) => isPersistent !== true)?.isPersistent ?? first.isPersistent,
    fault: all.find(({ fault }) => fault !== undefined)?.fault,
  };
}

/** What makes a server unfit, and what to do; undefined: it is fit. */
export function unfitness({ version, evictionPolicy }: ServerFacts): string | undefined {
  if (!(majorOf(version) >= 7)) return `it is version ${version}; the bus needs Redis 7 or newer`;
  if (evictionPolicy === "noeviction") return undefined;
  return `its maxmemory-policy is ${evictionPolicy}, under which it throws messages away; set it to noeviction`;
}

function diskFaultOf(info: ReadonlyMap<string, string>): string | undefined {
  if (info.get("aof_enabled") === "1" && info.get("aof_last_write_status") === "err") {
    return "it cannot write its append-only file";
  }
  return info.get("rdb_last_bgsave_status") === "err" ? "its last snapshot failed" : undefined;
}

async function clusterFaultOf(server: Redis, info: ReadonlyMap<string, string>): Promise<string | undefined> {
  if (info.get("cluster_enabled") !== "1") return undefined;
  const state = parseInfo(String(await server.call("cluster", "info"))).get("cluster_state");
  return state === "ok" ? undefined : `the state of its cluster is ${state}`;
}

function majorOf(version: string): number {
  return Number.parseInt(version, 10);
}

function parseInfo(text: string): ReadonlyMap<string, string> {
  const facts = new Map<string, string>();
  for (const line of text.split("\r\n")) {
    const colon = line.indexOf(":");
    if (colon > 0 && !line.startsWith("#")) facts.set(line.slice(0, colon), line.slice(colon + 1));
  }
  return facts;
}

async function readSettings(server: Redis): Promise<ReadonlyMap<string, string> | undefined> {
  try {
    const pairs = (await server.call("config", "get", "appendfsync", "no-appendfsync-on-rewrite", "save")) as string[];
    const settings = new Map<string, string>();
    for (let i = 0; i + 1 < pairs.length; i += 2) settings.set(pairs[i]!, pairs[i + 1]!);
    return settings;
  } catch (error) {
    if ((error as Error).name === "ReplyError") return undefined;
    throw error;
  }
}
