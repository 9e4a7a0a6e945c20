import type { BusOptions } from "../../core/bus-options.ts";
import type { Clock, Random } from "../../core/clock.ts";
import type { Logger } from "../../core/logger.ts";
import type { Meters } from "../../core/meters.ts";
import type { RoutingRegistry } from "../../routing/routing-registry.ts";
import type { StorageAdapter } from "../../storage/storage-adapter.ts";
import { AgentState, createAgents } from "../agents/agents.ts";
import { ExclusiveNames } from "../agents/exclusive-names.ts";
import type { NodeReport } from "../nodes/node-records.ts";
import { NodeTies } from "../nodes/node-ties.ts";
import { checkDurability, type Logs } from "../rooms/durability.ts";
import { Janitor } from "../rooms/janitor.ts";
import { createRooms, RoomState } from "../rooms/rooms.ts";
import { DirectoryReplica } from "./directory-replica.ts";
import { RECORD_KINDS } from "./record-keys.ts";
import type { Agents, Nodes, Rooms } from "./registry.ts";

export interface RegistryOptions {
  readonly options: BusOptions;
  readonly storage: Pick<StorageAdapter, "kind" | "directory" | "doorbell" | "now" | "sweep">;
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
  readonly nodes: Nodes;
  readonly exclusiveNames: ExclusiveNames;
  /** One round of retention, idle agents and leftovers, besides those that come by themselves. Never fails. */
  cleanUp(): Promise<void>;
  /** Writes down what is known of presence, tells the other nodes, and stops every timer. Streams are not ended. */
  close(): Promise<void>;
}

/**
 * Reads the directory and keeps it in memory from then on. Throws DURABILITY_UNAVAILABLE when the storage cannot reach
 * the configured default, STORAGE_UNAVAILABLE when it cannot be read.
 */
export async function createRegistry(deps: RegistryOptions): Promise<Registry> {
  const { options, storage, logs, routing, clock, random, log, meters } = deps;
  const { shared } = logs.capabilities;
  const { directory, doorbell } = storage;
  const storeNow = () => storage.now();
  checkDurability(options.channelDefaults.durability, logs);
  routing.create(options.channelDefaults.routing);

  const startedAtMs = clock.now();
  let report = (): NodeReport => ({ ...NOT_SERVING, startedAtMs, storage: storage.kind });
  const roomState = new RoomState({ options, logs, routing, log });
  const agentState = new AgentState({ clock, log, storeNow, leaseMs: options.agentLeaseMs });
  const ties = shared
    ? new NodeTies({
        options,
        storage,
        clock,
        random,
        log,
        presence: agentState.presence,
        report: () => report(),
        onInstance: () => exclusiveNames.claimAgain(),
      })
    : undefined;
  const exclusiveNames = new ExclusiveNames({
    directory,
    doorbell,
    clock,
    log,
    storeNow,
    shared,
    instance: () => ties?.lease.instance ?? "",
    isLive: (instance) => ties?.others.isLive(instance) === true,
  });

  let replica: DirectoryReplica | undefined;
  try {
    await ties?.meet();
    replica = await DirectoryReplica.load(
      { directory, doorbell, clock, log, shared, kinds: shared ? [...RECORD_KINDS, "presence"] : RECORD_KINDS },
      (change) => {
        if (change.key.kind === "agent") agentState.apply(change);
        else if (change.key.kind === "presence") agentState.presence.apply(change);
        else roomState.apply(change);
      },
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
    await ties?.join(replica);
    return open(rooms, replica);
  } catch (error) {
    ties?.close();
    await exclusiveNames.close();
    replica?.close();
    throw error;
  }

  function open(
    { forgetAgent, ...rooms }: Awaited<ReturnType<typeof createRooms>>,
    replica: DirectoryReplica,
  ): Registry {
    const agents = createAgents({
      options,
      replica,
      state: agentState,
      clock,
      shared,
      elsewhere: ties?.disconnects,
      log,
      forget: forgetAgent,
    });
    const janitor = new Janitor({
      options,
      clock,
      log,
      replica,
      rooms: roomState,
      agents: agentState,
      forgetAgent,
      removeChannel: (name) => rooms.deleteChannel(name),
      finishDeletions: () => rooms.finishDeletions(),
      isOwnLog: (view) => view.log === logs.volatile && logs.volatile !== logs.durable,
      isSweeper: () => ties === undefined || ties.sweeper.held,
      sweepStorage: async () => storage.sweep?.(),
      shared: ties && { nodes: ties.others, exclusiveNames },
    });

    meters.gauge("rooms", "Rooms.", () => rooms.counts.rooms);
    meters.gauge("channels", "Channels, without inboxes.", () => rooms.counts.channels);
    meters.gauge("agents", "Agents known.", () => agents.counts.agents);
    meters.gauge("agents_online", "Agents online, as this node sees them.", () => agents.counts.online);
    meters.gauge("agent_streams", "Open streams that keep an agent present.", () => agentState.presence.streams);

    return {
      rooms,
      agents,
      nodes: {
        get others() {
          return ties?.others.records ?? [];
        },
        reportWith(reporter) {
          report = reporter;
        },
        announce: () => ties?.lease.renew(),
      },
      exclusiveNames,
      cleanUp: () => janitor.cleanUp(),
      async close() {
        await janitor.close();
        await exclusiveNames.close();
        if (ties === undefined) await agentState.presence.close();
        else await ties.leave();
        replica.close();
      },
    };
  }
}

/** Of a node that has not said anything of itself yet. */
const NOT_SERVING: Omit<NodeReport, "startedAtMs" | "storage"> = {
  version: "",
  serving: false,
  problems: ["the node starts"],
  connections: 0,
  streams: 0,
  subscriptions: 0,
  published: 0,
  delivered: 0,
  publishRate: 0,
  deliveryRate: 0,
};
