import { setTimeout } from "node:timers/promises";
import { type Bus, createBus } from "./bus/bus.ts";
import { busOptions, storageSettings } from "./config/bus-settings.ts";
import type { Config } from "./config/load-config.ts";
import type { Clock, Random } from "./core/clock.ts";
import type { Logger } from "./core/logger.ts";
import type { Meters } from "./core/meters.ts";
import type { RoutingRegistry } from "./routing/routing-registry.ts";
import type { StorageRegistry } from "./storage/factory.ts";
import { createMemoryStorage } from "./storage/memory/index.ts";
import type { StorageAdapter } from "./storage/storage-adapter.ts";
import { createMessageCodec } from "./wire/message-codec.ts";

export interface OpenBusOptions {
  readonly config: Config;
  readonly storages: StorageRegistry;
  readonly routing: RoutingRegistry;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly meters: Meters;
  readonly version: string;
}

/** How long a storage may take to answer before it is left without a word, in milliseconds. */
const GOODBYE_MS = 1_000;
/** No such record: what counts is that the storage answers. */
const ANYTHING = { kind: "goodbye", parent: "", id: "" } as const;

/** The use cases over the configured storage, and all that must be closed with them. */
export interface OpenBus {
  readonly bus: Bus;
  readonly storage: StorageAdapter;
  /**
   * Leaves the other nodes in good order. A shared storage that does not answer within a second is not waited for: what
   * this node wrote there expires by itself, and what is open to it ends in the background.
   */
  close(): Promise<void>;
}

/** Opens the storage and reads the directory. Nothing is left open when it fails. */
export async function openBus(options: OpenBusOptions): Promise<OpenBus> {
  const { config, storages, random, clock, logger } = options;
  const environment = { now: clock.now, randomEpoch: random.epoch, log: logger };
  const { url, options: storageOptions } = storageSettings(config);
  const storage = await storages.open(url, storageOptions, environment);
  const volatileStorage = keepsVolatileItself(storage)
    ? storage
    : createMemoryStorage(config.storage.memory, environment);
  async function closeStorages(): Promise<void> {
    if (volatileStorage !== storage) await volatileStorage.close();
    await storage.close();
  }
  try {
    const settings = busOptions(config, storage.capabilities.durable);
    const bus = await createBus({
      ...options,
      options: settings,
      storage,
      volatileStorage,
      codec: createMessageCodec(settings.limits),
    });
    return {
      bus,
      storage,
      async close() {
        const closing = bus.close();
        if (!storage.capabilities.shared || (await answersUntil(closing, storage))) {
          await closing;
          await closeStorages();
          return;
        }
        logger.warn({}, "the storage does not answer: leaving without a word to other nodes, whose leases tell them");
        closing
          .then(closeStorages)
          .catch((error: unknown) => logger.warn({ err: error }, "the storage was not closed in good order"));
      },
    };
  } catch (error) {
    await closeStorages();
    throw error;
  }
}

/** Whether the storage answers for as long as the task runs. It may fall silent at any moment of it. */
async function answersUntil(task: Promise<void>, storage: StorageAdapter): Promise<boolean> {
  const over = task.then(
    () => true,
    () => true,
  );
  for (;;) {
    if (!(await Promise.race([over, answers(storage)]))) return false;
    if (await Promise.race([over, setTimeout(GOODBYE_MS, false, { ref: false })])) return true;
  }
}

async function answers({ directory }: StorageAdapter): Promise<boolean> {
  const asked = directory.get(ANYTHING).then(
    () => true,
    () => false,
  );
  return await Promise.race([asked, setTimeout(GOODBYE_MS, false, { ref: false })]);
}

/** A storage that forgets, or one that nodes share without a relay: VOLATILE messages must reach the other nodes, too. */
function keepsVolatileItself({ capabilities, relay }: StorageAdapter): boolean {
  return !capabilities.durable || (capabilities.shared && relay === undefined);
}
