import { create } from "@bufbuild/protobuf";
import {
  type Agent,
  AgentKind,
  AgentSchema,
  AgentState,
  CapabilitySchema,
  type AgentKind as WireAgentKind,
  type AgentState as WireAgentState,
} from "../../../gen/agentbus/v1/agent_pb.ts";
import type { Agents, AgentView } from "../../bus/directory/registry.ts";
import { AGENT_KINDS, AGENT_STATES, type AgentProfile, type AgentState as State } from "../../core/agent.ts";
import { invalidField } from "./request-fields.ts";
import { timestampOf } from "./wkt.ts";

export const AGENT_PATHS = [
  "kind",
  "screen_name",
  "avatar",
  "personality",
  "description",
  "groups",
  "labels",
  "capabilities",
  "metadata",
  "client_id",
] as const;

/** What is unset is stored as it is shown: empty, and SERVICE. Throws INVALID_FIELD for a capability named twice. */
export function profileOf(agent: Agent): AgentProfile {
  const names = agent.capabilities.map((capability) => capability.name);
  const twice = names.find((name, at) => names.indexOf(name) !== at);
  if (twice !== undefined) throw invalidField("agent.capabilities", `${JSON.stringify(twice)} is there twice`);
  return {
    kind: kindOf(agent.kind) ?? "SERVICE",
    screenName: agent.screenName,
    avatar: agent.avatar,
    personality: agent.personality,
    description: agent.description,
    groups: agent.groups,
    labels: agent.labels,
    capabilities: agent.capabilities.map(({ name, description, inputSchema }) => ({ name, description, inputSchema })),
    metadata: agent.metadata,
    clientId: agent.clientId,
  };
}

/** The parts that the mask names. */
export function profilePatch(agent: Agent, paths: ReadonlySet<(typeof AGENT_PATHS)[number]>): Partial<AgentProfile> {
  const profile = profileOf(agent);
  return Object.fromEntries(Array.from(paths, (path) => [PART[path], profile[PART[path]]]));
}

const PART = {
  kind: "kind",
  screen_name: "screenName",
  avatar: "avatar",
  personality: "personality",
  description: "description",
  groups: "groups",
  labels: "labels",
  capabilities: "capabilities",
  metadata: "metadata",
  client_id: "clientId",
} as const satisfies Record<(typeof AGENT_PATHS)[number], keyof AgentProfile>;

/** Undefined: the wire's unset value. */
export function kindOf(kind: WireAgentKind): AgentProfile["kind"] | undefined {
  return AGENT_KINDS[kind - 1];
}

/** Undefined: the wire's unset value. */
export function stateOf(state: WireAgentState): State | undefined {
  return AGENT_STATES[state - 1];
}

export function stateMessage(state: State): WireAgentState {
  return AgentState[state];
}

/** The agent with its presence as it is at this moment. */
export function agentMessage({ record, version }: AgentView, agents: Agents): Agent {
  const { agentId } = record;
  const connectedAtMs = agents.connectedAtMs(agentId) || record.connectedAtMs;
  const lastActivityAtMs = agents.lastActivityAtMs(agentId) || record.lastActivityAtMs;
  return create(AgentSchema, {
    agentId,
    kind: AgentKind[record.kind],
    screenName: record.screenName || agentId,
    avatar: record.avatar,
    personality: record.personality,
    description: record.description,
    groups: [...record.groups],
    labels: { ...record.labels },
    capabilities: record.capabilities.map((capability) => create(CapabilitySchema, capability)),
    metadata: { ...record.metadata },
    clientId: record.clientId,
    state: stateMessage(agents.state(agentId)),
    ...(connectedAtMs > 0 && { connectTime: timestampOf(connectedAtMs) }),
    ...(lastActivityAtMs > 0 && { lastActivityTime: timestampOf(lastActivityAtMs) }),
    subscriptions: [...agents.subscriptions(agentId)],
    implicit: record.implicit,
    revision: BigInt(version),
    createTime: timestampOf(record.createdAtMs),
  });
}
