import { type AgentProfile, type AgentRecord, EMPTY_PROFILE } from "../../core/agent.ts";
import type { BusOptions } from "../../core/bus-options.ts";
import type { Clock } from "../../core/clock.ts";
import { BusError } from "../../core/errors.ts";
import type { Logger } from "../../core/logger.ts";
import { checkAgentId, quote } from "../../core/names.ts";
import type { DirectoryReplica, RecordChange } from "../directory/directory-replica.ts";
import { agentKey } from "../directory/record-keys.ts";
import type { AgentEvent, AgentQuery, Agents, AgentView } from "../directory/registry.ts";
import { Listeners } from "../listeners.ts";
import { AgentIndex, hasLabel, type StoredAgent, sameProfile } from "./agent-index.ts";
import type { Disconnects } from "./disconnects.ts";
import { SharedPresence } from "./shared-presence.ts";

/** Agents and their presence as this node knows them; `apply` keeps it so, and tells whoever listens. */
export class AgentState {
  readonly index = new AgentIndex();
  readonly presence: SharedPresence;
  readonly changes: Listeners<AgentEvent>;
  /** Agents that came to this node or left it since it was written down. */
  readonly unwritten = new Set<string>();

  constructor(options: {
    readonly clock: Clock;
    readonly log: Logger;
    readonly leaseMs: number;
    readonly storeNow: () => number;
  }) {
    this.changes = new Listeners(options.log);
    this.presence = new SharedPresence({
      ...options,
      onState: (agentId) => this.#onState(agentId),
      onLocal: (agentId) => {
        if (this.index.get(agentId) !== undefined) this.unwritten.add(agentId);
      },
    });
  }

  apply(change: RecordChange): void {
    const profileChange = this.index.apply(change);
    if (profileChange !== undefined) this.changes.tell(profileChange);
    // Streams of an agent that any node deleted end here, too.
    if (profileChange?.kind === "DELETED") this.presence.forget(change.key.id);
  }

  #onState(agentId: string): void {
    const agent = this.index.get(agentId);
    if (agent !== undefined) this.changes.tell({ kind: "STATE", agent });
  }
}

export interface AgentsOptions {
  readonly options: BusOptions;
  readonly replica: DirectoryReplica;
  readonly state: AgentState;
  readonly clock: Clock;
  /** Other nodes write to the same storage: who is not known here may be known all the same. */
  readonly shared: boolean;
  /** Reaches the agent's streams on other nodes; undefined: there are none. */
  readonly elsewhere: Pick<Disconnects, "ask" | "hasOthers"> | undefined;
  readonly log: Logger;
  /** Takes away what belonged to an agent that is gone. */
  readonly forget: (agentId: string) => Promise<void>;
}

/** Opens agents over a loaded replica. */
export function createAgents(deps: AgentsOptions): Agents {
  const { options, replica, state, clock, shared, elsewhere, log, forget } = deps;
  const { index, presence } = state;
  const { limits } = options;
  const registering = new Map<string, Promise<AgentView>>();
  /** Implicit agents that are being stored: each takes its place before the index counts it, and no longer. */
  const places = new Set<string>();
  state.changes.add(({ agent }) => places.delete(agent.record.agentId));

  function require(agentId: string): AgentView {
    const agent = index.get(agentId);
    if (agent === undefined) throw agentNotFound(agentId);
    return agent;
  }

  /** Also an agent that only the storage knows yet. */
  async function find(agentId: string): Promise<AgentView | undefined> {
    if (index.get(agentId) === undefined && shared) await replica.refresh(agentKey(agentId));
    return index.get(agentId);
  }

  async function registerImplicitly(agentId: string): Promise<AgentView> {
    checkAgentId(agentId);
    const known = await find(agentId);
    if (known !== undefined) return known;
    if (!options.implicitAgents) throw agentNotFound(agentId);
    if (index.implicit.size + places.size >= limits.implicitAgents) {
      throw tooMany("implicitAgents", limits.implicitAgents);
    }
    places.add(agentId);
    try {
      await put(agentId, (current) => current ?? newAgent(agentId, EMPTY_PROFILE, true, clock.now()));
    } finally {
      places.delete(agentId);
    }
    return require(agentId);
  }

  async function put(agentId: string, change: (current: StoredAgent | undefined) => StoredAgent): Promise<boolean> {
    const outcome = await replica.write(
      agentKey(agentId),
      (current) => {
        const before = current?.value as StoredAgent | undefined;
        const after = change(before);
        return after === before ? undefined : after;
      },
      limits.agents,
    );
    if (outcome.kind === "full") throw tooMany("agents", limits.agents);
    return outcome.kind === "stored" && outcome.created;
  }

  return {
    exists: (agentId) => index.get(agentId) !== undefined,
    profile: (agentId) => index.get(agentId)?.record,
    inGroup: (group) => index.inGroup(group),
    fitting: (selection) => index.fitting(selection),
    isAvailable: (agentId) => presence.isAvailable(agentId),

    get: (agentId) => index.get(agentId),
    find,
    mayBeBehind: shared,
    ensure(agentId) {
      const known = index.get(agentId);
      if (known !== undefined) return known;
      const running = registering.get(agentId);
      if (running !== undefined) return running;
      const registered = registerImplicitly(agentId).finally(() => registering.delete(agentId));
      registering.set(agentId, registered);
      return registered;
    },
    async register(agentId, profile) {
      checkAgentId(agentId);
      let created = false;
      await put(agentId, (current) => {
        created = current === undefined || current.implicit;
        if (current === undefined) return newAgent(agentId, profile, false, clock.now());
        if (!current.implicit && sameProfile(current, profile)) return current;
        return { ...current, ...profile, implicit: false, revision: current.revision + 1 };
      });
      return { agent: require(agentId), created };
    },
    async update(agentId, patch) {
      await find(agentId);
      await put(agentId, (current) => {
        if (current === undefined) throw agentNotFound(agentId);
        const changed = { ...current, ...patch, implicit: false };
        if (!current.implicit && sameProfile(current, changed)) return current;
        return { ...changed, revision: current.revision + 1 };
      });
      return require(agentId);
    },
    async delete(agentId) {
      if ((await find(agentId)) === undefined) throw agentNotFound(agentId);
      // The record first: from then on nobody finds the agent, and nothing new comes to be for it.
      await replica.remove(agentKey(agentId));
      try {
        await elsewhere?.ask(agentId);
      } catch (error) {
        log.warn(
          { err: error, agentId },
          "other nodes end the streams of a deleted agent when they see that it is gone",
        );
      }
      await forget(agentId);
    },
    list: (query) => list(state, query),
    onChange: (listener) => state.changes.add(listener),
    counts: {
      get agents() {
        return index.size;
      },
      get online() {
        return presence.online;
      },
    },

    state: (agentId) => presence.state(agentId),
    heartbeat(agentId, wanted) {
      require(agentId);
      if (wanted === "OFFLINE") throw new BusError("INVALID_FIELD", "state: an agent that beats is not OFFLINE");
      return presence.heartbeat(agentId, wanted);
    },
    openStream(agentId, end, counts) {
      require(agentId);
      return presence.openStream(agentId, end, counts);
    },
    async disconnect(agentId) {
      const here = presence.disconnect(agentId);
      if (elsewhere?.hasOthers !== true) return here;
      const there = await elsewhere.ask(agentId);
      await presence.endLingering(agentId);
      await presence.recheck(agentId);
      return here + there;
    },
    touch(agentId) {
      if (index.get(agentId) !== undefined) presence.touch(agentId);
    },
    connectedAtMs(agentId) {
      const here = presence.connectedAtMs(agentId);
      if (presence.state(agentId) !== "OFFLINE") return here;
      return Math.max(here, index.get(agentId)?.record.connectedAtMs ?? 0);
    },
    lastActivityAtMs: (agentId) => lastActivityAtMs(state, agentId),
    subscriptions: (agentId) => presence.subscriptions(agentId),
  };
}

/** 0: never. */
export function lastActivityAtMs({ index, presence }: AgentState, agentId: string): number {
  return Math.max(presence.lastActivityAtMs(agentId), index.get(agentId)?.record.lastActivityAtMs ?? 0);
}

export function newAgent(agentId: string, profile: AgentProfile, implicit: boolean, nowMs: number): StoredAgent {
  const record: AgentRecord = {
    ...profile,
    agentId,
    implicit,
    createdAtMs: nowMs,
    connectedAtMs: 0,
    lastActivityAtMs: nowMs,
  };
  return { ...record, revision: 1 };
}

function list({ index, presence }: AgentState, query: AgentQuery): readonly AgentView[] {
  const { kinds, states, group, capabilities, labels, after, limit } = query;
  const wantedLabels = Object.entries(labels);
  const found: AgentView[] = [];
  for (const agentId of index.from(after)) {
    if (found.length === limit) break;
    const agent = index.get(agentId)!;
    const { record } = agent;
    const fits =
      (kinds.length === 0 || kinds.includes(record.kind)) &&
      (states.length === 0 || states.includes(presence.state(agentId))) &&
      (group === "" || record.groups.includes(group)) &&
      capabilities.every((name) => record.capabilities.some((capability) => capability.name === name)) &&
      wantedLabels.every(([key, value]) => hasLabel(record, key, value));
    if (fits) found.push(agent);
  }
  return found;
}

function agentNotFound(agentId: string): BusError {
  return new BusError("AGENT_NOT_FOUND", `there is no agent ${quote(agentId)}; register it`);
}

function tooMany(limit: "agents" | "implicitAgents", value: number): BusError {
  return new BusError("TOO_MANY", `there are limits.${limit} (${value}) agents already`);
}
