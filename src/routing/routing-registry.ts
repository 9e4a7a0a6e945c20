import { BusError } from "../core/errors.ts";
import { quote } from "../core/names.ts";
import { ROUTING_STRATEGIES, type RoutingConfig, type RoutingStrategyName } from "../core/room.ts";
import { broadcast } from "./broadcast.ts";
import { capability } from "./capability.ts";
import { individual } from "./individual.ts";
import { roundRobin } from "./round-robin.ts";
import type { RoutingFactory, RoutingStrategy } from "./routing-strategy.ts";
import { subgroup } from "./subgroup.ts";

const BUILT_IN: Readonly<Record<Exclude<RoutingStrategyName, "CUSTOM">, RoutingFactory>> = {
  BROADCAST: broadcast,
  SUBGROUP: subgroup,
  INDIVIDUAL: individual,
  CAPABILITY: capability,
  ROUND_ROBIN: roundRobin,
};

/** Makes strategies from configuration. A program that embeds the bus registers its own here, before the bus starts. */
export class RoutingRegistry {
  readonly #custom = new Map<string, RoutingFactory>();

  /** Makes a strategy known: `routing.strategy` CUSTOM with `routing.custom` set to `name`. The same name replaces it. */
  register(name: string, factory: RoutingFactory): this {
    if (!/^[!-~]{1,128}$/.test(name)) {
      throw new TypeError(
        `routing strategy ${quote(name)}: a name is 1 to 128 printable ASCII characters without spaces`,
      );
    }
    this.#custom.set(name, factory);
    return this;
  }

  /** The built-in strategies, then the registered ones by name. */
  get names(): readonly string[] {
    return [...ROUTING_STRATEGIES.filter((name) => name !== "CUSTOM"), ...[...this.#custom.keys()].sort()];
  }

  /** A new strategy for one channel. Throws UNKNOWN_STRATEGY, or INVALID_FIELD for what the strategy cannot work with. */
  create(routing: RoutingConfig): RoutingStrategy {
    if (routing.strategy !== "CUSTOM") return BUILT_IN[routing.strategy](routing);
    const factory = this.#custom.get(routing.custom);
    if (factory !== undefined) return factory(routing);
    const known = [...this.#custom.keys()].sort().map(quote).join(", ");
    throw new BusError(
      "UNKNOWN_STRATEGY",
      `routing.custom ${quote(routing.custom)} is not registered on this server; registered: ${known || "none"}`,
    );
  }
}
