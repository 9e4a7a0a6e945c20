import type { BusOptions } from "../core/bus-options.ts";
import type { Durability } from "../core/room.ts";
import type { Config } from "./load-config.ts";
import { PREFIX_PATTERN, PREFIX_RULE } from "./storage-schema.ts";

/** What the bus takes of the configuration. `durable`: whether the storage outlives the process. */
export function busOptions(config: Config, durable: boolean): BusOptions {
  const { channelDefaults, agents, limits, node } = config;
  const durability: Durability = channelDefaults.durability ?? (durable ? "STORED" : "VOLATILE");
  return {
    nodeId: node.id,
    nodeName: node.name,
    limits,
    channelDefaults: {
      routing: channelDefaults.routing,
      retention: channelDefaults.retention,
      durability,
      maxMembers: channelDefaults.maxMembers ?? limits.maxMembers,
      dedupWindowMs: channelDefaults.dedupWindowMs,
    },
    autoCreateRooms: config.autoCreateRooms,
    autoCreateChannels: config.autoCreateChannels,
    implicitAgents: agents.implicit,
    agentLeaseMs: agents.leaseMs,
    implicitIdleMs: agents.implicitIdleMs,
    heartbeatMs: config.heartbeatMs,
    cleanupIntervalMs: config.cleanupIntervalMs,
  };
}

/** The storage to open, and what it takes of the configuration. */
export interface StorageSettings {
  readonly url: string;
  readonly options: Readonly<Record<string, unknown>>;
}

const SHARED_KINDS: Readonly<Record<string, "redis" | "postgres" | "mysql">> = {
  redis: "redis",
  rediss: "redis",
  "redis+sentinel": "redis",
  "rediss+sentinel": "redis",
  "redis+cluster": "redis",
  "rediss+cluster": "redis",
  postgres: "postgres",
  postgresql: "postgres",
  mysql: "mysql",
  mariadb: "mysql",
};

/** Throws an Error that says what is wrong with a prefix in the URL. */
export function storageSettings({ storage }: Config): StorageSettings {
  const { url } = storage;
  const scheme = url.slice(0, url.indexOf(":")).toLowerCase();
  const kind = SHARED_KINDS[scheme];
  if (kind !== undefined) return sharedSettings(kind, storage);
  if (scheme === "memory") return { url, options: storage.memory };
  if (scheme === "file") return { url, options: storage.file };
  return { url, options: storage.options };
}

function sharedSettings(kind: "redis" | "postgres" | "mysql", storage: Config["storage"]): StorageSettings {
  const { connections, prefix: configured, ...common } = storage.shared;
  const { url, prefix = configured } = takePrefix(storage.url);
  if (!PREFIX_PATTERN.test(prefix))
    throw new Error(`the storage's prefix ${PREFIX_RULE}, not ${JSON.stringify(prefix)}`);
  switch (kind) {
    case "redis":
      return { url, options: { ...common, prefix, ...defined(storage.redis) } };
    case "postgres":
      return { url, options: { ...common, prefix, maxConnections: connections, ...defined(storage.postgres) } };
    case "mysql":
      return { url, options: { ...common, prefix, poolSize: connections, ...defined(storage.mysql) } };
  }
}

/** The URL without its `prefix` parameter, which is ours and not the driver's. */
function takePrefix(url: string): { url: string; prefix?: string } {
  const query = url.indexOf("?");
  if (query < 0) return { url };
  const parameters = new URLSearchParams(url.slice(query + 1));
  const prefix = parameters.get("prefix");
  if (prefix === null) return { url };
  // Cut out and not written anew: a driver may read the others in its own way.
  const others = url
    .slice(query + 1)
    .split("&")
    .filter((part) => !part.startsWith("prefix="));
  return { url: others.length === 0 ? url.slice(0, query) : `${url.slice(0, query)}?${others.join("&")}`, prefix };
}

function defined(options: object): Readonly<Record<string, unknown>> {
  return Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined));
}
