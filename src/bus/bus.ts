import type { BusOptions } from "../core/bus-options.ts";
import type { Clock, Random } from "../core/clock.ts";
import type { Logger } from "../core/logger.ts";
import type { MessageCodec } from "../core/message-codec.ts";
import type { Meters } from "../core/meters.ts";
import type { RoutingRegistry } from "../routing/routing-registry.ts";
import type { StorageAdapter } from "../storage/storage-adapter.ts";
import { createRegistry } from "./directory/create-registry.ts";
import type { Agents, Nodes, Rooms } from "./directory/registry.ts";
import { Publisher } from "./publishing/publisher.ts";
import { EpochRenewals } from "./reading/epoch-renewals.ts";
import { Fetcher } from "./reading/fetcher.ts";
import { Hub } from "./reading/hub.ts";
import { Subscriptions } from "./reading/subscriptions.ts";
import { VolatileRelay } from "./relay/volatile-relay.ts";

export interface BusDependencies {
  readonly options: BusOptions;
  readonly storage: StorageAdapter;
  /** Keeps the logs of VOLATILE channels; the same as `storage` when that is volatile itself. */
  readonly volatileStorage: StorageAdapter;
  readonly codec: MessageCodec;
  readonly routing: RoutingRegistry;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly meters: Meters;
}

/** The use cases, without any transport. */
export interface Bus {
  readonly options: BusOptions;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly codec: MessageCodec;
  readonly storage: StorageAdapter;
  readonly routing: RoutingRegistry;
  readonly rooms: Rooms;
  readonly agents: Agents;
  readonly nodes: Nodes;
  readonly publisher: Publisher;
  readonly subscriptions: Subscriptions;
  readonly fetcher: Fetcher;
  /** Stops timers and writes down presence; the storages are the caller's to close. */
  close(): Promise<void>;
}

export async function createBus(deps: BusDependencies): Promise<Bus> {
  const { options, storage, volatileStorage, codec, routing, clock, random, logger, meters } = deps;
  const durable = storage.capabilities.durable;
  const { relay: carrier } = storage;
  // A node that has VOLATILE channels for itself alone tells the other nodes what comes in.
  const relay =
    carrier && volatileStorage.log !== storage.log
      ? new VolatileRelay({
          log: volatileStorage.log,
          relay: carrier,
          origin: random.uuid(clock.now()),
          clock,
          logger,
          meters,
        })
      : undefined;
  const registry = await createRegistry({
    options,
    storage,
    logs: {
      volatile: relay?.log ?? volatileStorage.log,
      ...(durable ? { durable: storage.log } : {}),
      // Asked each time: a shared storage reads them again whenever it connects.
      get capabilities() {
        return storage.capabilities;
      },
    },
    routing,
    clock,
    random,
    log: logger,
    meters,
  });
  const { rooms, agents, nodes, exclusiveNames } = registry;
  const renewals = new EpochRenewals(clock);
  const hub = new Hub({
    codec,
    clock,
    doorbell: storage.doorbell,
    options,
    logger,
    renewals,
    sharedLog: storage.capabilities.shared ? storage.log : undefined,
    ensureLog: (view) => rooms.ensureLog(view),
  });
  relay?.start(rooms, hub);
  const publisher = new Publisher({
    rooms,
    agents,
    hub,
    codec,
    clock,
    random,
    options,
    meters,
    logger,
    reached: ({ log }) => (durable && log === storage.log ? storage.capabilities.durability : "VOLATILE"),
  });
  const subscriptions = new Subscriptions({
    hub,
    renewals,
    rooms,
    agents,
    exclusiveNames,
    codec,
    clock,
    options,
    meters,
    logger,
  });
  const fetcher = new Fetcher({ hub, rooms, codec, clock, options });
  meters.gauge("tail_bytes", "Bytes of recent messages kept ready for live readers.", () => hub.bytes);
  meters.gauge("backpressure_active", "1 while publishes wait for the storage in more than a full queue's half.", () =>
    publisher.pending > options.limits.pendingPublishes / 2 ? 1 : 0,
  );
  return {
    options,
    clock,
    logger,
    codec,
    storage,
    routing,
    rooms,
    agents,
    nodes,
    publisher,
    subscriptions,
    fetcher,
    async close() {
      subscriptions.close();
      relay?.close();
      hub.close();
      await registry.close();
    },
  };
}
