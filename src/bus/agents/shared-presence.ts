import type { AgentState, PresentState } from "../../core/agent.ts";
import type { Clock, Stop } from "../../core/clock.ts";
import type { Logger } from "../../core/logger.ts";
import { mapBounded } from "../bounded.ts";
import type { DirectoryReplica, RecordChange } from "../directory/directory-replica.ts";
import { presenceKey } from "../directory/record-keys.ts";
import type { AgentStream, StreamCounts } from "../directory/registry.ts";
import type { NodeLease } from "../nodes/node-lease.ts";
import type { OtherNodes } from "../nodes/other-nodes.ts";
import { type Departure, MAX_SUBSCRIPTIONS, Presence } from "./presence.ts";
import { PresenceWriter } from "./presence-writer.ts";
import { type PresenceRecord, RemotePresence } from "./remote-presence.ts";

/**
 * An agent that is nowhere any more is OFFLINE only after this: it may have gone to another node, whose word comes on
 * another way than the word of the one that it left.
 */
const DOUBT_MS = 250;
/** The storage is asked where such an agent is, and gets so long to answer; then what is known counts. */
const ANSWER_MS = 500;
/** More agents than this in doubt (a node died): all records are listed, not those of each agent. */
const MANY = 32;
/** Of agents said to be present at the same moment on two nodes. */
const RANK = { ONLINE: 2, AWAY: 1, DRAINING: 0 } as const satisfies Record<PresentState, number>;
/** Activity told to other nodes in one round. */
const ACTIVITY_A_ROUND = 500;

export interface SharedPresenceOptions {
  readonly clock: Clock;
  readonly log: Logger;
  readonly leaseMs: number;
  readonly storeNow: () => number;
  /** Its state over all nodes is another one; told after `state` answers so. */
  readonly onState: (agentId: string) => void;
  /** It came to this node, left it, or told it another state. */
  readonly onLocal: (agentId: string) => void;
}

/** What of the other nodes it takes; nothing where the storage is not shared. */
export interface Peers {
  readonly replica: DirectoryReplica;
  readonly nodes: OtherNodes;
  readonly lease: NodeLease;
}

/**
 * Who is here, over all nodes: an agent is present when any node that lives says so. What this node sees itself needs
 * no storage: who has a stream here is present here, also while the storage is away.
 *
 * On several nodes at a time the newest state that the agent told any of them counts; when it told none, it is ONLINE.
 */
export class SharedPresence {
  readonly #options: SharedPresenceOptions;
  readonly #local: Presence;
  readonly #remote: RemotePresence;
  /** What listeners were told; who is not in it is OFFLINE. */
  readonly #told = new Map<string, PresentState>();
  /** Agents that seem to be nowhere. */
  readonly #doubted = new Set<string>();
  #stopDoubt: Stop | undefined;
  #closed = false;
  #listing: Promise<void> | undefined;
  #nodes: OtherNodes | undefined;
  #peers: (Peers & { readonly writer: PresenceWriter }) | undefined;

  constructor(options: SharedPresenceOptions) {
    this.#options = options;
    this.#remote = new RemotePresence((instance) => this.#nodes?.isLive(instance) === true);
    this.#local = new Presence({
      ...options,
      elsewhere: (agentId) => merged(this.#remote.of(agentId)),
      onState: (agentId, departure) => this.#onLocal(agentId, departure),
      onSubscriptions: (agentId) => this.#peers?.writer.detail(agentId),
    });
  }

  /** Whose records count. Before the first record is applied. */
  follow(nodes: OtherNodes): void {
    this.#nodes = nodes;
    nodes.changes.add(({ instance }) => {
      for (const agentId of [...this.#remote.agentsOf(instance)]) this.#onRemote(agentId);
    });
  }

  /** From now on other nodes hear who is here. */
  share(peers: Peers): void {
    const { clock, log } = this.#options;
    const writer = new PresenceWriter({ ...peers, clock, log, present: (agentId) => this.#local.of(agentId) });
    this.#peers = { ...peers, writer };
    this.shareAgain();
  }

  /** Nothing that was written of this node counts any more. */
  shareAgain(): void {
    for (const agentId of this.#local.agents()) this.#peers?.writer.state(agentId);
  }

  /** A presence record came, changed or went. */
  apply(change: RecordChange): void {
    const { parent: agentId, id: instance } = change.key;
    this.#remote.apply(change);
    this.#onRemote(agentId);
    // A storage that went back to an older state has another record of ours than it should have.
    const told = change.after !== undefined;
    const peers = this.#peers;
    if (instance === peers?.lease.instance && told !== (this.#local.of(agentId) !== undefined)) {
      peers.writer.state(agentId);
    }
  }

  /** Agents present, over all nodes. */
  get online(): number {
    return this.#told.size;
  }

  /** Streams on this node. */
  get streams(): number {
    return this.#local.streams;
  }

  state(agentId: string): AgentState {
    return this.#told.get(agentId) ?? "OFFLINE";
  }

  isAvailable(agentId: string): boolean {
    const state = this.#told.get(agentId);
    return state !== undefined && state !== "DRAINING";
  }

  heartbeat(agentId: string, state: PresentState | undefined): AgentState {
    this.#local.heartbeat(agentId, state);
    return this.state(agentId);
  }

  openStream(agentId: string, end: () => void, counts?: StreamCounts): AgentStream {
    return this.#local.openStream(agentId, end, counts);
  }

  touch(agentId: string): void {
    this.#local.touch(agentId);
  }

  /** Ends what it has on this node. */
  disconnect(agentId: string): number {
    return this.#local.disconnect(agentId);
  }

  /** Ends what it has on this node, and says so to the others before it answers when the storage lets it. Never fails. */
  async disconnectForOthers(agentId: string): Promise<number> {
    const ended = this.#local.disconnect(agentId);
    try {
      await this.#peers?.writer.write(agentId);
    } catch (error) {
      this.#options.log.debug({ err: error, agentId }, "that an agent is gone is written a little later");
    }
    return ended;
  }

  /** Asks the storage who else has the agent, and believes it at once. Throws STORAGE_UNAVAILABLE. */
  async recheck(agentId: string): Promise<void> {
    if (this.#peers === undefined) return;
    await this.#peers.replica.sync("presence", agentId);
    this.#settle(agentId, true);
  }

  /** Ends the time that nodes which left gave the agent to come back. Throws STORAGE_UNAVAILABLE. */
  async endLingering(agentId: string): Promise<void> {
    if (this.#peers === undefined) return;
    const { nodes, replica } = this.#peers;
    const left = [...this.#remote.instancesOf(agentId)].filter((instance) => nodes.hasLeft(instance));
    await mapBounded(left, (instance) => replica.remove(presenceKey(agentId, instance)));
  }

  /** The agent is deleted: nothing of it is kept here. */
  forget(agentId: string): void {
    this.#local.forget(agentId);
  }

  /** Since when it is here, or when it came to this node the last time; 0: never. */
  connectedAtMs(agentId: string): number {
    const times = this.#everywhere(agentId).map((record) => record.connectedAtMs);
    return times.length > 0 ? Math.min(...times) : this.#local.connectedAtMs(agentId);
  }

  /** 0: never, as far as this node knows. */
  lastActivityAtMs(agentId: string): number {
    const times = this.#remote.of(agentId).map((record) => record.lastActivityAtMs);
    return Math.max(this.localActivityAtMs(agentId), ...times);
  }

  /** What it did on this node. */
  localActivityAtMs(agentId: string): number {
    return this.#local.lastActivityAtMs(agentId);
  }

  /** At most the first 100, those on this node first. */
  subscriptions(agentId: string): readonly string[] {
    const all = this.#everywhere(agentId).flatMap(({ subscriptions }) => subscriptions);
    return [...new Set(all)].slice(0, MAX_SUBSCRIPTIONS);
  }

  /** Tells other nodes what agents did here, now and then. */
  shareActivity(): void {
    this.#peers?.writer.activity(this.#local.agents(), ACTIVITY_A_ROUND);
  }

  /** Instances, live or not, that wrote who was present on them. */
  get instances(): Iterable<string> {
    return this.#remote.instances;
  }

  /** Who was present on an instance, live or not. */
  agentsOf(instance: string): Iterable<string> {
    return this.#remote.agentsOf(instance);
  }

  /** Whether agents are here to whom this node owes a lease: they did not say that they leave. */
  get lingering(): boolean {
    return this.#local.online > 0;
  }

  /** Stops every timer, and writes what is not written yet. Never fails. */
  async close(): Promise<void> {
    this.#closed = true;
    this.#stopDoubt?.();
    this.#local.close();
    await this.#peers?.writer.flush();
    this.#peers?.writer.close();
  }

  #everywhere(agentId: string): readonly PresenceRecord[] {
    const here = this.#local.of(agentId);
    const elsewhere = this.#remote.of(agentId);
    return here === undefined ? elsewhere : [here, ...elsewhere];
  }

  #onLocal(agentId: string, departure: Departure | undefined): void {
    this.#options.onLocal(agentId);
    this.#peers?.writer.state(agentId);
    this.#settle(agentId, departure === "disconnected" || departure === "deleted");
  }

  #onRemote(agentId: string): void {
    const record = merged(this.#remote.of(agentId));
    if (record !== undefined) this.#local.hear(agentId, record);
    this.#settle(agentId, false);
  }

  /** `sure`: that it is nowhere need not be asked of the storage. */
  #settle(agentId: string, sure: boolean): void {
    const state = merged(this.#everywhere(agentId))?.state;
    if (state === undefined && !sure && this.#nodes !== undefined && this.#told.has(agentId)) {
      this.#doubted.add(agentId);
      this.#askLater();
      return;
    }
    this.#doubted.delete(agentId);
    if (this.#told.get(agentId) === state) return;
    if (state === undefined) this.#told.delete(agentId);
    else this.#told.set(agentId, state);
    this.#options.onState(agentId);
  }

  /** One question at a time; who comes into doubt meanwhile is in the next. */
  #askLater(): void {
    const { clock } = this.#options;
    this.#stopDoubt ??= clock.after(DOUBT_MS, () => {
      const agents = [...this.#doubted];
      let decided = false;
      const decide = () => {
        if (decided) return;
        decided = true;
        this.#stopDoubt?.();
        this.#stopDoubt = undefined;
        for (const agentId of agents) if (this.#doubted.has(agentId)) this.#settle(agentId, true);
        if (this.#doubted.size > 0 && !this.#closed) this.#askLater();
      };
      this.#stopDoubt = clock.after(ANSWER_MS, decide);
      void this.#ask(agents).then(decide);
    });
  }

  /** Never fails: without an answer what is known counts. */
  async #ask(agents: readonly string[]): Promise<void> {
    const replica = this.#peers?.replica;
    if (replica === undefined) return;
    try {
      if (agents.length > MANY) await this.#listAll(replica);
      else await mapBounded(agents, (agentId) => replica.sync("presence", agentId));
    } catch (error) {
      this.#options.log.debug({ err: error, agents: agents.length }, "who left could not be looked for elsewhere");
    }
  }

  /** One at a time: a list of many agents may take longer than it is waited for. */
  #listAll(replica: DirectoryReplica): Promise<void> {
    this.#listing ??= replica.sync("presence").finally(() => {
      this.#listing = undefined;
    });
    return this.#listing;
  }
}

/** What several nodes say, as one; undefined: none says anything. */
function merged(records: readonly PresenceRecord[]): PresenceRecord | undefined {
  let best: PresenceRecord | undefined;
  for (const record of records) {
    if (best === undefined || isNewer(record, best)) best = record;
  }
  if (best === undefined || records.length === 1) return best;
  return { ...best, connectedAtMs: Math.min(...records.map(({ connectedAtMs }) => connectedAtMs)) };
}

function isNewer(record: PresenceRecord, than: PresenceRecord): boolean {
  if (record.statedAtMs !== than.statedAtMs) return record.statedAtMs > than.statedAtMs;
  return RANK[record.state] > RANK[than.state];
}
