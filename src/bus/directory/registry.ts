import type { AgentProfile, AgentRecord, AgentState } from "../../core/agent.ts";
import type { Stop } from "../../core/clock.ts";
import type { ChannelName } from "../../core/names.ts";
import type {
  ChannelConfig,
  ChannelConfigPatch,
  ChannelRecord,
  LogPlace,
  MemberRecord,
  RoomRecord,
} from "../../core/room.ts";
import type { Candidates, RoutingStrategy } from "../../routing/routing-strategy.ts";
import type { MessageLog } from "../../storage/message-log.ts";
import type { NodeRecord, NodeReport } from "../nodes/node-records.ts";

// What the ways of messages (publish, subscribe, fetch) ask of rooms and agents. Lookups are synchronous: this node
// keeps a replica of the directory. What may have to write answers a promise, and the plain value when nothing is to do.

/** A channel as this node knows it. A new object for each change: compare by identity to see whether it changed. */
export interface ChannelView {
  readonly name: ChannelName;
  readonly config: ChannelConfig;
  readonly incarnation: string;
  /** Sum of the room's and the channel's record versions: grows with each change of either. */
  readonly version: number;
  readonly strategy: RoutingStrategy;
  /** Live: joins and leaves show without a new view. */
  readonly members: ReadonlySet<string>;
  /** The log that its durability asks for. */
  readonly log: MessageLog;
}

/** What routing needs of a channel, which may not be there yet. */
export type PlannedChannel = Pick<ChannelView, "name" | "config" | "strategy" | "members">;

export interface RoomView {
  readonly record: RoomRecord;
  readonly version: number;
  readonly channelCount: number;
}

export type ChannelEvent = { readonly kind: "created" | "updated" | "deleted"; readonly channel: ChannelView };

export type RoomChange = {
  readonly kind:
    | "ROOM_UPDATED"
    | "ROOM_DELETED"
    | "CHANNEL_CREATED"
    | "CHANNEL_UPDATED"
    | "CHANNEL_DELETED"
    | "MEMBER_JOINED"
    | "MEMBER_LEFT";
  readonly room: string;
  /** "" for the room itself. */
  readonly channel: string;
  /** "" unless a member joined or left. */
  readonly agentId: string;
};

export interface MemberEvent {
  readonly joined: boolean;
  readonly agentId: string;
  readonly channel: ChannelView;
  /** Of one who joined, when it is known: what comes behind it in the log is for the member. */
  readonly behind: LogPlace | undefined;
}

/** Rooms, channels and members. */
export interface Rooms {
  /** Undefined: there is none. Inboxes included. */
  channel(key: string): ChannelView | undefined;
  /** What is there, or is created because `auto_create` allows it. Throws ROOM_NOT_FOUND, CHANNEL_NOT_FOUND, TOO_MANY. */
  ensureChannel(name: ChannelName): ChannelView | Promise<ChannelView>;
  /**
   * The channel as `ensureChannel` would answer it, without creating anything; an inbox also of an agent that is yet to
   * come. Its strategy is a new one, so that routing by it takes nobody's turn. Throws what `ensureChannel` would, limits
   * as far as this node knows.
   */
  plan(name: ChannelName): PlannedChannel | Promise<PlannedChannel>;
  /** Throws what `ensureChannel` would for one of them, limits as far as this node knows. Creates nothing. */
  checkEnsurable(names: readonly ChannelName[]): Promise<void>;
  /** The inbox of an agent that exists, made when it is not there yet. */
  ensureInbox(agentId: string): ChannelView | Promise<ChannelView>;
  /**
   * Asks the directory again: an append said that our view is old. Undefined: it is gone.
   *
   * @param staleAt the version that the log asks for; default: any will do.
   */
  reload(name: ChannelName, staleAt?: number): Promise<ChannelView | undefined>;
  /** Sees to it that a channel has its log. Answers the channel as it is then; undefined: it is gone. */
  ensureLog(view: ChannelView): Promise<ChannelView | undefined>;
  /** Channels that fit a pattern, inboxes never. */
  matching(pattern: string): readonly ChannelView[];
  /** Channels that the agent joined. */
  joinedBy(agentId: string): readonly ChannelView[];
  /** Told after the replica changed, in order. */
  onChannel(listener: (event: ChannelEvent) => void): Stop;
  onMember(listener: (event: MemberEvent) => void): Stop;
  /** Told of everything that WatchRoom tells. */
  onChange(listener: (change: RoomChange) => void): Stop;

  createRoom(record: NewRoom): Promise<{ room: RoomView; created: boolean }>;
  updateRoom(
    room: string,
    patch: RoomPatch,
  ): Promise<{ room: RoomView; effective: readonly { key: string; epoch: number; sequence: number }[] }>;
  room(room: string): RoomView | undefined;
  listRooms(request: { pattern: string; after: string; limit: number }): readonly RoomView[];
  deleteRoom(room: string, force: boolean): Promise<void>;
  createChannel(record: NewChannel, createRoom: boolean): Promise<{ channel: ChannelView; created: boolean }>;
  updateChannel(
    name: ChannelName,
    patch: ChannelPatch,
  ): Promise<{ channel: ChannelView; epoch: number; sequence: number }>;
  channelRecord(key: string): { record: ChannelRecord; version: number } | undefined;
  listChannels(request: { room: string; pattern: string; after: string; limit: number }): readonly ChannelView[];
  deleteChannel(name: ChannelName): Promise<void>;
  /** Throws what `join` would, limits as far as this node knows. Creates nothing. */
  checkJoin(agentId: string, name: ChannelName): Promise<void>;
  join(agentId: string, name: ChannelName): Promise<{ channel: ChannelView; joined: boolean }>;
  leave(agentId: string, name: ChannelName): Promise<boolean>;
  listMembers(name: ChannelName, after: string, limit: number): Promise<readonly MemberRecord[]>;
  readonly counts: { readonly rooms: number; readonly channels: number };
}

export interface NewRoom {
  readonly room: string;
  readonly description: string;
  readonly metadata: Readonly<Record<string, string>>;
  readonly defaults: ChannelConfigPatch;
  readonly autoCreateChannels?: boolean;
}

export interface NewChannel {
  readonly name: ChannelName;
  readonly description: string;
  readonly metadata: Readonly<Record<string, string>>;
  readonly config: ChannelConfigPatch;
}

/** What is present is set; a value of null sets it back to unset. */
export interface RoomPatch {
  readonly description?: string;
  readonly metadata?: Readonly<Record<string, string>>;
  readonly autoCreateChannels?: boolean | null;
  readonly defaults?: { readonly [K in keyof ChannelConfigPatch]?: ChannelConfigPatch[K] | null };
}

export interface ChannelPatch {
  readonly description?: string;
  readonly metadata?: Readonly<Record<string, string>>;
  readonly config?: { readonly [K in keyof ChannelConfigPatch]?: ChannelConfigPatch[K] | null };
}

/** An agent as this node sees it. A new object for each change of the record. */
export interface AgentView {
  readonly record: AgentRecord;
  readonly version: number;
}

export type AgentEvent = {
  readonly kind: "CREATED" | "UPDATED" | "STATE" | "DELETED";
  readonly agent: AgentView;
};

/** Agents and their presence, over all nodes. */
export interface Agents extends Candidates {
  get(agentId: string): AgentView | undefined;
  /** The same, and before it answers that there is none on a shared storage, asks that: another node may know more. */
  find(agentId: string): Promise<AgentView | undefined>;
  /** Other nodes write to the same storage: who is not known here may be there all the same. */
  readonly mayBeBehind: boolean;
  /**
   * The agent, registered implicitly when it is unknown and the bus allows it. Throws AGENT_NOT_FOUND, TOO_MANY,
   * BAD_NAME, RESERVED_NAME.
   */
  ensure(agentId: string): AgentView | Promise<AgentView>;
  register(agentId: string, profile: AgentProfile): Promise<{ agent: AgentView; created: boolean }>;
  update(agentId: string, patch: Partial<AgentProfile>): Promise<AgentView>;
  /** Ends its streams on all nodes, deletes memberships and inbox. */
  delete(agentId: string): Promise<void>;
  list(request: AgentQuery): readonly AgentView[];
  onChange(listener: (event: AgentEvent) => void): Stop;
  readonly counts: { readonly agents: number; readonly online: number };

  state(agentId: string): AgentState;
  /** Keeps it present for one lease; `state` undefined: as before. */
  heartbeat(agentId: string, state: AgentState | undefined): AgentState;
  /**
   * A stream of the agent is open: it is present until the returned stream is closed and then for one lease, or not at
   * all longer when it closed gracefully and was the last. `end` is called when the agent is disconnected or deleted,
   * also while the stream does not count yet. `counts`: default "at once".
   */
  openStream(agentId: string, end: () => void, counts?: StreamCounts): AgentStream;
  /**
   * Ends all its streams, here at once, on other nodes when they hear of it; it is OFFLINE. Answers how many, without
   * those of a node that did not answer within 3 s: that one ends them when it hears, or is dead within a lease. Throws
   * STORAGE_UNAVAILABLE when the other nodes cannot be asked; its streams here have ended all the same.
   */
  disconnect(agentId: string): Promise<number>;
  /** It did something: noted for last_activity, cheap. */
  touch(agentId: string): void;
  connectedAtMs(agentId: string): number;
  lastActivityAtMs(agentId: string): number;
  subscriptions(agentId: string): readonly string[];
}

/** The nodes of the bus: those that share its storage. */
export interface Nodes {
  /** Those that run, but for this one, as they said of themselves at most two thirds of `agents.lease` ago; by node id. */
  readonly others: readonly NodeRecord[];
  /** How this node is: asked every second from then on. Unset: it does not serve. */
  reportWith(report: () => NodeReport): void;
  /** Tells the others now: something that matters has changed. */
  announce(): void;
}

/** From when on a stream makes its agent present. */
export type StreamCounts = "at once" | "when described";

export interface AgentStream {
  /** It is open; this is what it reads now, for Agent.subscriptions. */
  describe(subscriptions: readonly string[]): void;
  /** Graceful: the client finished it. Abrupt: it was cut, so the lease runs. */
  close(graceful: boolean): void;
}

export interface AgentQuery {
  readonly kinds: readonly string[];
  readonly states: readonly AgentState[];
  readonly group: string;
  readonly capabilities: readonly string[];
  readonly labels: Readonly<Record<string, string>>;
  readonly after: string;
  readonly limit: number;
}
