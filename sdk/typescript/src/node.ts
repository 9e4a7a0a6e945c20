import { type AgentBusOptions, Bus } from "./bus.ts";
import { grpcPlatform } from "./grpc-platform.ts";

export * from "./exports.ts";

/** A client of the bus over gRPC, for Node. Nothing is opened until it is needed; close it, or the process stays alive. */
export class AgentBus extends Bus {
  constructor(options: AgentBusOptions = {}) {
    super(grpcPlatform, options);
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
