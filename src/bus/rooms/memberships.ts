import type { RecordChange } from "../directory/directory-replica.ts";
import { SortedIds } from "../sorted-ids.ts";

/** Who joined which channel, both ways round. */
export class Memberships {
  readonly #byChannel = new Map<string, Set<string>>();
  readonly #byAgent = new Map<string, SortedIds>();

  /** The members of a channel; the same set for as long as the channel is known. Live. */
  of(channel: string): ReadonlySet<string> {
    return this.#set(channel);
  }

  /** "room:channel" of every channel the agent joined, sorted. */
  joinedBy(agentId: string): readonly string[] {
    return this.#byAgent.get(agentId)?.all ?? [];
  }

  /** Agents with a membership. */
  get agents(): Iterable<string> {
    return this.#byAgent.keys();
  }

  apply({ key: { parent: channel, id: agentId }, after }: RecordChange): void {
    if (after === undefined) {
      this.#byChannel.get(channel)?.delete(agentId);
      const joined = this.#byAgent.get(agentId);
      joined?.delete(channel);
      if (joined?.size === 0) this.#byAgent.delete(agentId);
      return;
    }
    this.#set(channel).add(agentId);
    const joined = this.#byAgent.get(agentId) ?? new SortedIds();
    joined.add(channel);
    this.#byAgent.set(agentId, joined);
  }

  /** The channel is gone and has no members left. */
  forget(channel: string): void {
    if (this.#byChannel.get(channel)?.size === 0) this.#byChannel.delete(channel);
  }

  #set(channel: string): Set<string> {
    const members = this.#byChannel.get(channel) ?? new Set();
    this.#byChannel.set(channel, members);
    return members;
  }
}
