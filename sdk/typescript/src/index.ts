import { type AgentBusOptions, Bus } from "./bus.ts";
import { fetchPlatform } from "./fetch-platform.ts";

export * from "./exports.ts";

/**
 * A client of the bus over fetch, for browsers and every other runtime. In Node, "agentbus/node" sends faster. Nothing is
 * opened until it is needed.
 */
export class AgentBus extends Bus {
  constructor(options: AgentBusOptions = {}) {
    super(fetchPlatform, options);
  }
}

/** An AgentBus that has reached the bus. Rejects with a BusError when nobody answers. */
export async function connect(options: AgentBusOptions = {}): Promise<AgentBus> {
  const bus = new AgentBus(options);
  try {
    await bus.ping();
    return bus;
  } catch (error) {
    await bus.close();
    throw error;
  }
}
