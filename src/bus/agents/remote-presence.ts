import type { PresentState } from "../../core/agent.ts";
import type { RecordChange } from "../directory/directory-replica.ts";

/** What one node says of an agent that is present on it. */
export interface PresenceRecord {
  readonly state: PresentState;
  /** When the agent itself said so (store's clock); 0: it never did, and is ONLINE because it is here. */
  readonly statedAtMs: number;
  /** Since when it is here without a break, on whatever node. */
  readonly connectedAtMs: number;
  /** As of the last write. */
  readonly lastActivityAtMs: number;
  /** At most 100. */
  readonly subscriptions: readonly string[];
}

/** What the other nodes' records say of who is present on them. */
export class RemotePresence {
  readonly #isLive: (instance: string) => boolean;
  readonly #byAgent = new Map<string, Map<string, PresenceRecord>>();
  readonly #byInstance = new Map<string, Set<string>>();

  /** `isLive`: whether what an instance wrote counts. */
  constructor(isLive: (instance: string) => boolean) {
    this.#isLive = isLive;
  }

  apply({ key: { parent: agentId, id: instance }, after }: RecordChange): void {
    const present = this.#byAgent.get(agentId) ?? new Map<string, PresenceRecord>();
    const agents = this.#byInstance.get(instance) ?? new Set<string>();
    if (after === undefined) {
      present.delete(instance);
      agents.delete(agentId);
    } else {
      present.set(instance, after.value as PresenceRecord);
      agents.add(agentId);
    }
    if (present.size === 0) this.#byAgent.delete(agentId);
    else this.#byAgent.set(agentId, present);
    if (agents.size === 0) this.#byInstance.delete(instance);
    else this.#byInstance.set(instance, agents);
  }

  /** Of the nodes that live. */
  of(agentId: string): readonly PresenceRecord[] {
    const found: PresenceRecord[] = [];
    for (const [instance, record] of this.#byAgent.get(agentId) ?? []) if (this.#isLive(instance)) found.push(record);
    return found;
  }

  /** Instances that left records, whether they live or not. */
  get instances(): Iterable<string> {
    return this.#byInstance.keys();
  }

  /** Where the agent is said to be, by instances that live or not. */
  instancesOf(agentId: string): Iterable<string> {
    return this.#byAgent.get(agentId)?.keys() ?? [];
  }

  agentsOf(instance: string): Iterable<string> {
    return this.#byInstance.get(instance) ?? [];
  }
}
