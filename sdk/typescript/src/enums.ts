import { AgentKind, AgentState } from "./gen/agentbus/v1/agent_pb.ts";
import { AgentChangeKind } from "./gen/agentbus/v1/agent_service_pb.ts";
import { GapCause } from "./gen/agentbus/v1/bus_service_pb.ts";
import { MessageType } from "./gen/agentbus/v1/message_pb.ts";
import { Durability, RoutingStrategy } from "./gen/agentbus/v1/room_pb.ts";
import { RoomChangeKind } from "./gen/agentbus/v1/room_service_pb.ts";

/** The names of a generated enum in lower case, without the one for "unset". */
type NamesOf<E> = Lowercase<Exclude<keyof E & string, "UNSPECIFIED">>;

export type AgentKindName = NamesOf<typeof AgentKind>;
export type AgentStateName = NamesOf<typeof AgentState>;
export type MessageTypeName = NamesOf<typeof MessageType>;
export type DurabilityName = NamesOf<typeof Durability>;
export type RoutingStrategyName = NamesOf<typeof RoutingStrategy>;
export type GapCauseName = NamesOf<typeof GapCause>;
export type AgentChangeName = NamesOf<typeof AgentChangeKind>;
export type RoomChangeName = NamesOf<typeof RoomChangeKind>;

interface EnumNames<Name extends string, Value extends number> {
  /** Throws TypeError for a name that there is not. */
  readonly toProto: (name: Name) => Value;
  /** A value that this client does not know, from a newer server, becomes `unknown`. */
  readonly fromProto: (value: number) => Name | "unknown";
}

function names<E extends Readonly<Record<string, number>>>(what: string, values: E): EnumNames<NamesOf<E>, E[keyof E]> {
  const byName = new Map<string, number>();
  const byValue = new Map<number, string>();
  for (const [key, value] of Object.entries(values)) {
    if (value === 0) continue;
    byName.set(key.toLowerCase(), value);
    byValue.set(value, key.toLowerCase());
  }
  return {
    toProto(name) {
      const value = byName.get(name);
      if (value === undefined)
        throw new TypeError(`${what} ${JSON.stringify(name)} is none of ${[...byName.keys()].join(", ")}`);
      return value as E[keyof E];
    },
    fromProto: (value) => (byValue.get(value) ?? "unknown") as NamesOf<E> | "unknown",
  };
}

export const agentKinds = names("kind", AgentKind);
export const agentStates = names("state", AgentState);
export const messageTypes = names("type", MessageType);
export const durabilities = names("durability", Durability);
export const routingStrategies = names("strategy", RoutingStrategy);
export const gapCauses = names("cause", GapCause);
export const agentChanges = names("change", AgentChangeKind);
export const roomChanges = names("change", RoomChangeKind);
