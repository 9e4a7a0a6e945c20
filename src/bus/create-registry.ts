import type { BusOptions } from "../core/bus-options.ts";
import type { Clock, Random } from "../core/clock.ts";
import type { Logger } from "../core/logger.ts";
import type { Meters } from "../core/meters.ts";
import type { RoutingRegistry } from "../routing/routing-registry.ts";
import type { Directory } from "../storage/directory.ts";
import type { Doorbell } from "../storage/doorbell.ts";
import { AgentState, createAgents } from "./agents.ts";
import { DirectoryReplica } from "./directory-replica.ts";
import { checkDurability, type Logs } from "./durability.ts";
import { Janitor } from "./janitor.ts";
import { RECORD_KINDS } from "./record-keys.ts";
import type { Agents, Rooms } from "./registry.ts";
import { createRooms, RoomState } from "./rooms.ts";

export interface RegistryOptions {
  readonly options: BusOptions;
  readonly directory: Directory;
  readonly doorbell: Doorbell;
  readonly logs: Logs;
  readonly routing: RoutingRegistry;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
  readonly meters: Meters;
}

/** Rooms and agents over one directory. */
export interface Registry {
  readonly rooms: Rooms;
  readonly agents: Agents;
  /** One round of retention, idle agents and leftovers, besides those that come by themselves. Never fails. */
  cleanUp(): Promise<void>;
  /** Writes down what is known of presence and stops every timer. Streams are not ended. */
  close(): Promise<void>;
}

/**
 * Reads the directory and keeps it in memory from then on. Throws DURABILITY_UNAVAILABLE when the storage cannot reach
 * the configured default, STORAGE_UNAVAILABLE when it cannot be read.
 */
export async function createRegistry(deps: RegistryOptions): Promise<Registry> {
  const { options, directory, doorbell, logs, routing, clock, random, log, meters } = deps;
  const { shared } = logs.capabilities;
  checkDurability(options.channelDefaults.durability, logs);
  routing.create(options.channelDefaults.routing);

  const roomState = new RoomState({ options, logs, routing, log });
  const agentState = new AgentState({ clock, log, leaseMs: options.agentLeaseMs });
  const replica = await DirectoryReplica.load(
    { directory, doorbell, clock, log, shared, kinds: RECORD_KINDS },
    (change) => (change.key.kind === "agent" ? agentState.apply(change) : roomState.apply(change)),
  );
  const rooms = await createRooms({
    options,
    state: roomState,
    replica,
    directory,
    logs,
    routing,
    clock,
    random,
    shared,
    agentExists: (agentId) => agentState.index.get(agentId) !== undefined,
  });
  const { forgetAgent, ...publicRooms } = rooms;
  const agents = createAgents({ options, replica, state: agentState, clock, shared, forget: forgetAgent });
  const janitor = new Janitor({ options, clock, log, replica, rooms: roomState, agents: agentState, forgetAgent });

  meters.gauge("rooms", "Rooms.", () => rooms.counts.rooms);
  meters.gauge("channels", "Channels, without inboxes.", () => rooms.counts.channels);
  meters.gauge("agents", "Agents known.", () => agents.counts.agents);
  meters.gauge("agents_online", "Agents online, as this node sees them.", () => agents.counts.online);
  meters.gauge("agent_streams", "Open streams that keep an agent present.", () => agentState.presence.streams);

  return {
    rooms: publicRooms,
    agents,
    cleanUp: () => janitor.cleanUp(),
    async close() {
      await janitor.close();
      agentState.presence.close();
      replica.close();
    },
  };
}
