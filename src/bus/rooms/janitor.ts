import type { BusOptions } from "../../core/bus-options.ts";
import type { Clock, Stop } from "../../core/clock.ts";
import type { Logger } from "../../core/logger.ts";
import { type ChannelName, inboxOf, isInbox } from "../../core/names.ts";
import type { DirectoryRecord } from "../../storage/directory.ts";
import type { StoredAgent } from "../agents/agent-index.ts";
import { type AgentState, lastActivityAtMs } from "../agents/agents.ts";
import type { ExclusiveNames } from "../agents/exclusive-names.ts";
import { mapBounded } from "../bounded.ts";
import type { DirectoryReplica } from "../directory/directory-replica.ts";
import { agentKey, presenceKey, roomKey } from "../directory/record-keys.ts";
import type { ChannelView } from "../directory/registry.ts";
import type { OtherNodes } from "../nodes/other-nodes.ts";
import type { RoomState } from "./rooms.ts";

/** Channels looked after in one round; the next round goes on behind them. */
const CHANNELS_A_ROUND = 2_000;
/** Idle agents forgotten in one round. */
const AGENTS_A_ROUND = 200;
/** Presence records of dead nodes removed in one round. */
const RECORDS_A_ROUND = 1_000;
/** An agent's activity is written down when what is written is older than this part of the time after which it counts. */
const ACTIVITY_PARTS = 4;

export interface JanitorOptions {
  readonly options: BusOptions;
  readonly clock: Clock;
  readonly log: Logger;
  readonly replica: DirectoryReplica;
  readonly rooms: RoomState;
  readonly agents: AgentState;
  /** Takes away what belonged to an agent that is gone. */
  readonly forgetAgent: (agentId: string) => Promise<void>;
  /** Takes away a channel with all that is in it. */
  readonly removeChannel: (name: ChannelName) => Promise<void>;
  /** Deletes what this node could not delete of deleted channels. */
  readonly finishDeletions: () => Promise<void>;
  /** Whether the channel's log is in this node's memory: nobody else looks after it. */
  readonly isOwnLog: (view: ChannelView) => boolean;
  /** Whether this node looks after what all nodes share; asked before each step. */
  readonly isSweeper: () => boolean;
  /** Removes what has expired in the storage. */
  readonly sweepStorage: () => Promise<void>;
  /** What dead nodes may have left something of; undefined: the storage has one node. */
  readonly shared: { readonly nodes: OtherNodes; readonly exclusiveNames: ExclusiveNames } | undefined;
}

/**
 * Looks after what nobody waits for: retention, presence that is to be written down, agents that were only used and are
 * idle, and what a crash left behind. One round at a time; what fails is logged and tried again in the next. What nodes
 * share is looked after by one of them; what is in a node's memory, and what it alone has seen, by each.
 */
export class Janitor {
  readonly #deps: JanitorOptions;
  readonly #stop: Stop;
  readonly #failing = new Set<string>();
  #round: Promise<void> | undefined;
  #channels: Iterator<ChannelView> | undefined;

  constructor(deps: JanitorOptions) {
    this.#deps = deps;
    this.#stop = deps.clock.every(deps.options.cleanupIntervalMs, () => void this.cleanUp());
  }

  /** A round; the one that runs already, if one does. Never fails. */
  cleanUp(): Promise<void> {
    this.#round ??= this.#cleanUp().finally(() => {
      this.#round = undefined;
    });
    return this.#round;
  }

  /** Writes down what is known of presence, for the next start. */
  async close(): Promise<void> {
    this.#stop();
    await this.#round;
    await this.#try("presence", () => this.#writePresence());
  }

  async #cleanUp(): Promise<void> {
    await this.#try("retention", () => this.#applyRetention());
    await this.#try("idle agents", () => this.#forgetIdle());
    await this.#try("what deleted agents left", () => this.#forgetLeftovers());
    await this.#try("what deleted rooms left", () => this.#removeOrphans());
    await this.#try("logs of deleted channels", () => this.#deps.finishDeletions());
    await this.#try("presence", () => this.#writePresence());
    await this.#try("what dead nodes left", () => this.#removeOfDeadNodes());
    await this.#try("what has expired", () => this.#sweepStorage());
  }

  async #sweepStorage(): Promise<void> {
    if (this.#deps.isSweeper()) await this.#deps.sweepStorage();
  }

  async #try(what: string, task: () => Promise<void>): Promise<void> {
    try {
      await task();
      this.#failing.delete(what);
    } catch (error) {
      // Once for each time that it begins to fail: a storage may be away for many rounds.
      const level = this.#failing.has(what) ? "debug" : "warn";
      this.#failing.add(what);
      this.#deps.log[level]({ err: error }, `could not look after ${what}; the next round tries again`);
    }
  }

  async #applyRetention(): Promise<void> {
    const views: ChannelView[] = [];
    this.#channels ??= this.#deps.rooms.views.all[Symbol.iterator]();
    while (views.length < CHANNELS_A_ROUND) {
      const next = this.#channels.next();
      if (next.done === true) {
        this.#channels = undefined;
        break;
      }
      views.push(next.value);
    }
    const { isOwnLog, isSweeper } = this.#deps;
    await mapBounded(views, async (view) => {
      if (!isOwnLog(view) && !isSweeper()) return;
      // Not there, or another one by now: nothing of ours to trim.
      const state = await view.log.state(view.name);
      if (state?.incarnation !== view.incarnation || state.floor > state.head) return;
      await view.log.trim(view.name, view.config.retention);
    });
  }

  async #forgetIdle(): Promise<void> {
    const { agents, clock, options } = this.#deps;
    const now = clock.now();
    const idle: string[] = [];
    for (const agentId of agents.index.implicit) {
      const active = lastActivityAtMs(agents, agentId);
      const written = agents.index.get(agentId)!.record.lastActivityAtMs;
      const seenHere = agents.presence.localActivityAtMs(agentId);
      if (seenHere - written > options.implicitIdleMs / ACTIVITY_PARTS) agents.unwritten.add(agentId);
      const gone = agents.presence.state(agentId) === "OFFLINE" && now - active > options.implicitIdleMs;
      if (gone && idle.length < AGENTS_A_ROUND) idle.push(agentId);
    }
    await mapBounded(idle, (agentId) => this.#forget(agentId));
  }

  async #forget(agentId: string): Promise<void> {
    const { agents, replica, forgetAgent, isSweeper, log } = this.#deps;
    const key = agentKey(agentId);
    const record = replica.get(key);
    if (!isSweeper() || record === undefined || (await this.#hasMail(agentId))) return;
    // It may have come to another node this moment.
    await agents.presence.recheck(agentId);
    if (agents.presence.state(agentId) !== "OFFLINE" || !isSweeper()) return;
    // At this version only: registered or used on another node meanwhile, it stays.
    if (!(await replica.remove(key, record.version))) return;
    // From here on nobody can write to it. What came in just before brings it back.
    if (await this.#hasMail(agentId)) {
      await replica.write(key, (current) => (current === undefined ? record.value : undefined));
      return;
    }
    await forgetAgent(agentId);
    log.info({ agentId }, "an agent that was only used, never registered, was idle and is forgotten");
  }

  async #hasMail(agentId: string): Promise<boolean> {
    const inbox = this.#deps.rooms.views.channel(inboxOf(agentId).key);
    const state = await inbox?.log.state(inbox.name);
    return state !== undefined && state.floor <= state.head;
  }

  /** Memberships and inboxes of agents that do not exist: somebody stopped between two steps of deleting them. */
  async #forgetLeftovers(): Promise<void> {
    const { agents, rooms, replica, forgetAgent, isSweeper } = this.#deps;
    if (!isSweeper()) return;
    const orphans = new Set<string>();
    for (const agentId of rooms.memberships.agents) {
      if (agents.index.get(agentId) === undefined) orphans.add(agentId);
    }
    for (const { name } of rooms.views.all) {
      if (isInbox(name) && agents.index.get(name.channel) === undefined) orphans.add(name.channel);
    }
    for (const agentId of orphans) {
      // The replica may be behind: only the storage knows.
      if ((await replica.refresh(agentKey(agentId))) !== undefined) continue;
      if (!isSweeper()) return;
      await forgetAgent(agentId);
    }
  }

  /** Channels in rooms that do not exist: somebody stopped while the room was being deleted. */
  async #removeOrphans(): Promise<void> {
    const { rooms, replica, removeChannel, isSweeper } = this.#deps;
    const orphans = [...rooms.views.all].filter(
      ({ name }) => !isInbox(name) && rooms.views.room(name.room) === undefined,
    );
    for (const { name } of orphans) {
      // The replica may be behind: only the storage knows.
      if (!isSweeper() || (await replica.refresh(roomKey(name.room))) !== undefined) continue;
      await removeChannel(name);
    }
  }

  async #removeOfDeadNodes(): Promise<void> {
    const { agents, replica, isSweeper, shared } = this.#deps;
    agents.presence.shareActivity();
    if (shared === undefined || !isSweeper()) return;
    // A node writes its own record before any other: whoever wrote one and has none now is gone for ever.
    const gone = await shared.nodes.gone([...agents.presence.instances]);
    const keys = gone.flatMap((instance) =>
      Array.from(agents.presence.agentsOf(instance), (agentId) => presenceKey(agentId, instance)),
    );
    await mapBounded(keys.slice(0, RECORDS_A_ROUND), async (key) => {
      if (isSweeper()) await replica.remove(key, replica.get(key)?.version);
    });
    if (isSweeper()) await shared.exclusiveNames.sweep((instances) => shared.nodes.gone(instances));
  }

  async #writePresence(): Promise<void> {
    const { agents, replica } = this.#deps;
    const unwritten = [...agents.unwritten];
    agents.unwritten.clear();
    try {
      await mapBounded(unwritten, async (agentId) => {
        await replica.write(agentKey(agentId), (current) => this.#withPresence(agentId, current));
      });
    } catch (error) {
      for (const agentId of unwritten) agents.unwritten.add(agentId);
      throw error;
    }
  }

  #withPresence(agentId: string, current: DirectoryRecord | undefined): StoredAgent | undefined {
    if (current === undefined) return undefined;
    const { presence } = this.#deps.agents;
    const agent = current.value as StoredAgent;
    return {
      ...agent,
      connectedAtMs: Math.max(presence.connectedAtMs(agentId), agent.connectedAtMs),
      lastActivityAtMs: Math.max(presence.lastActivityAtMs(agentId), agent.lastActivityAtMs),
    };
  }
}
