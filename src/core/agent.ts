export const AGENT_KINDS = ["HUMAN", "AI_AGENT", "DASHBOARD", "SERVICE"] as const;
export type AgentKind = (typeof AGENT_KINDS)[number];

export const AGENT_STATES = ["ONLINE", "AWAY", "OFFLINE", "DRAINING"] as const;
export type AgentState = (typeof AGENT_STATES)[number];
/** The states of an agent that is here. */
export type PresentState = Exclude<AgentState, "OFFLINE">;

export interface Capability {
  readonly name: string;
  readonly description: string;
  readonly inputSchema: string;
}

/** What an agent says of itself. */
export interface AgentProfile {
  readonly kind: AgentKind;
  readonly screenName: string;
  readonly avatar: string;
  readonly personality: string;
  readonly description: string;
  readonly groups: readonly string[];
  readonly labels: Readonly<Record<string, string>>;
  readonly capabilities: readonly Capability[];
  readonly metadata: Readonly<Record<string, string>>;
  readonly clientId: string;
}

/** An agent as the directory keeps it. Presence is not kept here: it dies with the node that sees it. */
export interface AgentRecord extends AgentProfile {
  readonly agentId: string;
  /** Never registered, only used: forgotten when idle with an empty inbox. */
  readonly implicit: boolean;
  readonly createdAtMs: number;
  /** When it came online the last time, as of the last write; 0: never. */
  readonly connectedAtMs: number;
  /** When it last did anything, as of the last write. */
  readonly lastActivityAtMs: number;
}

export const EMPTY_PROFILE: AgentProfile = {
  kind: "SERVICE",
  screenName: "",
  avatar: "",
  personality: "",
  description: "",
  groups: [],
  labels: {},
  capabilities: [],
  metadata: {},
  clientId: "",
};
