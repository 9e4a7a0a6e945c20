import { create } from "@bufbuild/protobuf";
import { type AgentKindName, agentKinds } from "./enums.ts";
import { type Agent as AgentProto, AgentSchema } from "./gen/agentbus/v1/agent_pb.ts";

/** What others see of an agent. */
export interface AgentProfile {
  /** Default "service". */
  readonly kind?: AgentKindName;
  /** The name to show to people, at most 128 bytes. Default: the id. */
  readonly screenName?: string;
  /** A picture, as a URL. */
  readonly avatar?: string;
  /** How it speaks and what it cares for, in words. */
  readonly personality?: string;
  /** What it is for, in words that another agent can choose by. */
  readonly description?: string;
  /** `to: { groups }` reaches it through them. At most 100. */
  readonly groups?: readonly string[];
  /** `to: { select: { labels } }` matches them. At most 64. */
  readonly labels?: Readonly<Record<string, string>>;
  /** What it can do: names, or names with a description and the JSON Schema of what they take. At most 64. */
  readonly capabilities?: readonly (
    | string
    | { readonly name: string; readonly description?: string; readonly inputSchema?: string }
  )[];
  /** Free key-value pairs that the bus does not read. */
  readonly metadata?: Readonly<Record<string, string>>;
  /** The program's own id of this client, for its logs. */
  readonly clientId?: string;
}

export function profileToProto(agentId: string, profile: AgentProfile): AgentProto {
  return create(AgentSchema, {
    agentId,
    kind: profile.kind === undefined ? 0 : agentKinds.toProto(profile.kind),
    screenName: profile.screenName ?? "",
    avatar: profile.avatar ?? "",
    personality: profile.personality ?? "",
    description: profile.description ?? "",
    groups: [...(profile.groups ?? [])],
    labels: { ...profile.labels },
    capabilities: (profile.capabilities ?? []).map((each) => (typeof each === "string" ? { name: each } : each)),
    metadata: { ...profile.metadata },
    clientId: profile.clientId ?? "",
  });
}

const FIELDS: Readonly<Record<keyof AgentProfile, string>> = {
  kind: "kind",
  screenName: "screen_name",
  avatar: "avatar",
  personality: "personality",
  description: "description",
  groups: "groups",
  labels: "labels",
  capabilities: "capabilities",
  metadata: "metadata",
  clientId: "client_id",
};

/** The update mask for the parts of a profile that are given. */
export function profileMask(changes: AgentProfile): string[] {
  return (Object.keys(FIELDS) as (keyof AgentProfile)[])
    .filter((key) => changes[key] !== undefined)
    .map((key) => FIELDS[key]);
}
