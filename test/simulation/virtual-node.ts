import { type Bus, createBus } from "../../src/bus/bus.ts";
import type { BusOptions } from "../../src/core/bus-options.ts";
import { isBusError } from "../../src/core/errors.ts";
import type { Logger } from "../../src/core/logger.ts";
import type { Meters } from "../../src/core/meters.ts";
import { RoutingRegistry } from "../../src/routing/routing-registry.ts";
import { createMemoryStorage } from "../../src/storage/memory/index.ts";
import { createMessageCodec } from "../../src/wire/message-codec.ts";
import type { Dice } from "./dice.ts";
import type { Faults } from "./faults.ts";
import { NodeClock } from "./node-clock.ts";
import { Party, type Scheduler } from "./scheduler.ts";
import { VirtualStorage, type VirtualStorageOptions } from "./virtual-storage.ts";

export interface VirtualNodeOptions extends Pick<VirtualStorageOptions, "backend" | "ring" | "relay"> {
  readonly scheduler: Scheduler;
  readonly dice: Dice;
  readonly name: string;
  readonly options: BusOptions;
  readonly faults: () => Faults;
  /** What the node logs, for the trace. */
  readonly onLine: (node: string, text: string) => void;
}

/** One life of one node: from its start to its death, nothing of it outlives the process. */
export class VirtualNode {
  readonly party: Party;
  readonly clock: NodeClock;
  readonly storage: VirtualStorage;
  /** Undefined until it serves. */
  bus: Bus | undefined;
  readonly #options: VirtualNodeOptions;

  constructor(options: VirtualNodeOptions) {
    const { scheduler, dice, faults } = options;
    this.#options = options;
    this.party = new Party(options.name);
    const drifts = faults().kinds.has("clocks");
    const rate = drifts ? dice.between(0.98, 1.02) : 1;
    const offsetMs = drifts ? dice.between(-20_000, 20_000) : 0;
    this.clock = new NodeClock(scheduler, this.party, rate, offsetMs);
    this.storage = new VirtualStorage({ ...options, party: this.party });
  }

  get name(): string {
    return this.party.name;
  }

  get isAlive(): boolean {
    return this.party.state !== "gone";
  }

  /** Tries until the storage can be reached. */
  async start(): Promise<void> {
    const { options, dice, scheduler, onLine } = this.#options;
    const { clock, storage } = this;
    const logger = lineLogger((text) => onLine(this.name, text));
    const random = { uuid: (nowMs: number) => dice.uuid(nowMs), epoch: () => dice.uint32() };
    const environment = { now: () => clock.now(), randomEpoch: random.epoch, log: logger };
    for (;;) {
      try {
        this.bus = await createBus({
          options,
          storage: storage.adapter,
          volatileStorage: createMemoryStorage({ ringSize: 1_000, dedupKeys: 1_000 }, environment),
          codec: createMessageCodec(options.limits),
          routing: new RoutingRegistry(),
          clock,
          random,
          logger,
          meters: NO_METERS,
        });
        return;
      } catch (error) {
        if (!isBusError(error, "STORAGE_UNAVAILABLE")) throw error;
        await scheduler.sleep(1_000, this.party);
      }
    }
  }
}

const NO_METERS: Meters = {
  counter: () => {
    let value = 0;
    return {
      add(n) {
        value += n;
      },
      get value() {
        return value;
      },
    };
  },
  histogram: () => ({ observe: () => {} }),
  gauge: () => {},
};

function lineLogger(onLine: (text: string) => void): Logger {
  const say = (level: string) => (fields: object, text: string) => {
    const { err, error = err } = fields as { err?: unknown; error?: unknown };
    // A stack tells something where nobody expected the error.
    const cause = isBusError(error) ? error.message : error instanceof Error ? error.stack : error;
    onLine(`${level}: ${text}${cause === undefined ? "" : ` (${String(cause)})`}`);
  };
  return { debug: () => {}, info: say("info"), warn: say("warn"), error: say("error") };
}
