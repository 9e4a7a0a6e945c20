import type { BusOptions } from "../core/bus-options.ts";
import type { Clock, Stop } from "../core/clock.ts";
import type { Logger } from "../core/logger.ts";
import { inboxOf, isInbox } from "../core/names.ts";
import type { DirectoryRecord } from "../storage/directory.ts";
import type { StoredAgent } from "./agent-index.ts";
import { type AgentState, lastActivityAtMs } from "./agents.ts";
import { mapBounded } from "./bounded.ts";
import type { DirectoryReplica } from "./directory-replica.ts";
import { agentKey } from "./record-keys.ts";
import type { ChannelView } from "./registry.ts";
import type { RoomState } from "./rooms.ts";

/** Channels looked after in one round; the next round goes on behind them. */
const CHANNELS_A_ROUND = 2_000;
/** Idle agents forgotten in one round. */
const AGENTS_A_ROUND = 200;
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
}

/**
 * Looks after what nobody waits for: retention, presence that is to be written down, agents that were only used and are
 * idle, and what a crash left behind. One round at a time; what fails is logged and tried again in the next.
 */
export class Janitor {
  readonly #deps: JanitorOptions;
  readonly #stop: Stop;
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
    await this.#try("presence", () => this.#writePresence());
  }

  async #try(what: string, task: () => Promise<void>): Promise<void> {
    try {
      await task();
    } catch (error) {
      this.#deps.log.warn({ err: error }, `could not look after ${what}; the next round tries again`);
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
    await mapBounded(views, async (view) => {
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
      if (active - written > options.implicitIdleMs / ACTIVITY_PARTS) agents.unwritten.add(agentId);
      const gone = agents.presence.state(agentId) === "OFFLINE" && now - active > options.implicitIdleMs;
      if (gone && idle.length < AGENTS_A_ROUND) idle.push(agentId);
    }
    await mapBounded(idle, (agentId) => this.#forget(agentId));
  }

  async #forget(agentId: string): Promise<void> {
    const { replica, forgetAgent, log } = this.#deps;
    const key = agentKey(agentId);
    const record = replica.get(key);
    if (record === undefined || (await this.#hasMail(agentId))) return;
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
    const { agents, rooms, replica, forgetAgent } = this.#deps;
    const orphans = new Set<string>();
    for (const agentId of rooms.memberships.agents) {
      if (agents.index.get(agentId) === undefined) orphans.add(agentId);
    }
    for (const { name } of rooms.views.all) {
      if (isInbox(name) && agents.index.get(name.channel) === undefined) orphans.add(name.channel);
    }
    for (const agentId of orphans) {
      // The replica may be behind: only the storage knows.
      if ((await replica.refresh(agentKey(agentId))) === undefined) await forgetAgent(agentId);
    }
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
      connectedAtMs: presence.connectedAtMs(agentId) || agent.connectedAtMs,
      lastActivityAtMs: Math.max(presence.lastActivityAtMs(agentId), agent.lastActivityAtMs),
    };
  }
}
