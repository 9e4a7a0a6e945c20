import type { BusOptions } from "../core/bus-options.ts";
import type { Durability } from "../core/room.ts";
import type { Config } from "./load-config.ts";

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

/** What the storage named by `storage.url` takes of the configuration. */
export function storageOptions({ storage }: Config): Readonly<Record<string, unknown>> {
  const scheme = storage.url.slice(0, storage.url.indexOf(":")).toLowerCase();
  if (scheme === "memory") return storage.memory;
  if (scheme === "file") return storage.file;
  return storage.options;
}
