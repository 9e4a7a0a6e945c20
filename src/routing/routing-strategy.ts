import type { AgentProfile } from "../core/agent.ts";
import type { Audience, Draft, Selection } from "../core/message.ts";
import type { ChannelName } from "../core/names.ts";
import type { RoutingConfig } from "../core/room.ts";

/**
 * Decides who may read a message when its sender named nobody. One instance serves one channel on one node and may keep
 * state (whose turn it is). Called once for each message, between validate and append, never at the same time for one
 * channel; called again when the channel's configuration changed meanwhile.
 */
export interface RoutingStrategy {
  /**
   * Null: every reader of the channel. Else the agents, sorted, without doubles, at least one. Throws BusError
   * (NO_CANDIDATE, RECIPIENT_REQUIRED, ...): nothing is stored.
   */
  route(draft: Draft, context: RoutingContext): Audience;
}

export interface RoutingContext {
  readonly sender: string;
  readonly channel: ChannelName;
  readonly routing: RoutingConfig;
  /** Agents that joined the channel. */
  readonly members: ReadonlySet<string>;
  readonly agents: Candidates;
  /** Agents in one audience, at most (`limits.audience`). */
  readonly maxAudience: number;
}

/** The agents of the bus as routing may ask for them. Lists are sorted by id. */
export interface Candidates {
  exists(agentId: string): boolean;
  profile(agentId: string): AgentProfile | undefined;
  inGroup(group: string): readonly string[];
  /** All that fit, its `limit` not applied. */
  fitting(selection: Selection): readonly string[];
  /** Online and not DRAINING. */
  isAvailable(agentId: string): boolean;
}

/**
 * Makes the strategy of one channel. Called again, for a new one, when the channel's routing changes; and for one that is
 * asked about a single batch and thrown away, before the channel or the sender of that batch is created.
 */
export type RoutingFactory = (routing: RoutingConfig) => RoutingStrategy;
