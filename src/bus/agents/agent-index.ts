import type { AgentProfile, AgentRecord } from "../../core/agent.ts";
import type { Selection } from "../../core/message.ts";
import type { DirectoryRecord } from "../../storage/directory.ts";
import type { RecordChange } from "../directory/directory-replica.ts";
import type { AgentEvent, AgentView } from "../directory/registry.ts";
import { sameData } from "../directory/same-data.ts";
import { SortedIds } from "../sorted-ids.ts";

/** An agent's record as it is stored. */
export interface StoredAgent extends AgentRecord {
  /** Counts changes of the profile; the record's own version also counts what is noted of presence. */
  readonly revision: number;
}

export type ProfileChange = AgentEvent & { readonly kind: "CREATED" | "UPDATED" | "DELETED" };

/** All agents by id, group and capability. Lists are sorted and live: read them at once, do not keep them. */
export class AgentIndex {
  readonly #views = new Map<string, AgentView>();
  readonly #ids = new SortedIds();
  readonly #groups = new Map<string, SortedIds>();
  readonly #capabilities = new Map<string, SortedIds>();
  readonly #implicit = new Set<string>();

  get size(): number {
    return this.#views.size;
  }

  /** Agents that were never registered, only used. */
  get implicit(): ReadonlySet<string> {
    return this.#implicit;
  }

  get(agentId: string): AgentView | undefined {
    return this.#views.get(agentId);
  }

  /** Behind `after`, by id. */
  from(after: string): Iterable<string> {
    return this.#ids.from(after);
  }

  inGroup(group: string): readonly string[] {
    return this.#groups.get(group)?.all ?? [];
  }

  fitting({ kinds, labels, capabilities }: Selection): readonly string[] {
    const wantedLabels = Object.entries(labels);
    return this.#narrowest(capabilities).filter((agentId) => {
      const { record } = this.#views.get(agentId)!;
      return (
        (kinds.length === 0 || kinds.includes(record.kind)) &&
        wantedLabels.every(([key, value]) => hasLabel(record, key, value)) &&
        capabilities.every((name) => this.#capabilities.get(name)?.has(agentId))
      );
    });
  }

  /** Answers what changed for those who watch; undefined: only what is noted of presence. */
  apply({ key: { id: agentId }, after }: RecordChange): ProfileChange | undefined {
    const before = this.#views.get(agentId);
    if (before !== undefined) this.#unlist(before.record);
    if (after === undefined) {
      this.#views.delete(agentId);
      return before && { kind: "DELETED", agent: before };
    }
    const agent = viewOf(after);
    this.#views.set(agentId, agent);
    this.#list(agent.record);
    if (before === undefined) return { kind: "CREATED", agent };
    return before.version === agent.version && before.record.createdAtMs === agent.record.createdAtMs
      ? undefined
      : { kind: "UPDATED", agent };
  }

  /** Whoever fits is in the shortest of these lists. */
  #narrowest(capabilities: readonly string[]): readonly string[] {
    const lists = capabilities.map((name) => this.#capabilities.get(name)?.all ?? []);
    return lists.reduce((shortest, list) => (list.length < shortest.length ? list : shortest), this.#ids.all);
  }

  #list(record: AgentRecord): void {
    this.#ids.add(record.agentId);
    for (const group of record.groups) addTo(this.#groups, group, record.agentId);
    for (const { name } of record.capabilities) addTo(this.#capabilities, name, record.agentId);
    if (record.implicit) this.#implicit.add(record.agentId);
  }

  #unlist(record: AgentRecord): void {
    this.#ids.delete(record.agentId);
    for (const group of record.groups) deleteFrom(this.#groups, group, record.agentId);
    for (const { name } of record.capabilities) deleteFrom(this.#capabilities, name, record.agentId);
    this.#implicit.delete(record.agentId);
  }
}

export function hasLabel(profile: AgentProfile, key: string, value: string): boolean {
  return Object.hasOwn(profile.labels, key) && profile.labels[key] === value;
}

/** Whether a profile says the same as a record. */
export function sameProfile(record: AgentRecord, profile: AgentProfile): boolean {
  return (Object.keys(profile) as (keyof AgentProfile)[]).every((part) => sameData(record[part], profile[part]));
}

function viewOf(record: DirectoryRecord): AgentView {
  const { revision, ...agent } = record.value as StoredAgent;
  return { record: agent, version: revision };
}

function addTo(index: Map<string, SortedIds>, key: string, agentId: string): void {
  const ids = index.get(key) ?? new SortedIds();
  ids.add(agentId);
  index.set(key, ids);
}

function deleteFrom(index: Map<string, SortedIds>, key: string, agentId: string): void {
  const ids = index.get(key);
  ids?.delete(agentId);
  if (ids?.size === 0) index.delete(key);
}
