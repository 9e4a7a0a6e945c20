import { type DurabilityName, durabilities } from "./enums.ts";
import type { PublishResponse } from "./gen/agentbus/v1/bus_service_pb.ts";

/** Who may read a message, as it was fixed when it was published. */
export interface Audience {
  readonly count: number;
  /** The first 100 of them. */
  readonly agents: readonly string[];
}

/** What the bus answered for one message: it is stored. */
export interface Receipt {
  readonly id: string;
  /** Where it stands, for `getMessage`, `fetch` and `causation`. */
  readonly position: string;
  /** True when the bus had it already, from an earlier attempt or another sender of the same key. */
  readonly duplicate: boolean;
  /** Undefined: everyone who reads the channel. */
  readonly audience: Audience | undefined;
  /** What was reached before the bus answered. */
  readonly durability: DurabilityName | "unknown";
}

export function receiptsOf({ results, durability }: PublishResponse): Receipt[] {
  const reached = durabilities.fromProto(durability);
  return results.map(({ id, position, duplicate, audience }) => ({
    id,
    position,
    duplicate,
    audience: audience && { count: audience.count, agents: audience.agents },
    durability: reached,
  }));
}
