import type { RoutingFactory } from "./routing-strategy.ts";

/** Everyone who reads the channel, now and later. */
export const broadcast: RoutingFactory = () => ({ route: () => null });
