import type { CallOptions, Connection } from "./connection.ts";
import {
  type AgentChangeName,
  type AgentKindName,
  type AgentStateName,
  agentChanges,
  agentKinds,
  agentStates,
} from "./enums.ts";
import { present } from "./errors.ts";
import type { Agent as AgentRecord } from "./gen/agentbus/v1/agent_pb.ts";
import { pages } from "./paging.ts";
import { type WatchOptions, watch } from "./watch.ts";

export interface AgentFilter {
  readonly kinds?: readonly AgentKindName[];
  readonly states?: readonly AgentStateName[];
  readonly group?: string;
  /** All of them. */
  readonly capabilities?: readonly string[];
  /** All of them. */
  readonly labels?: Readonly<Record<string, string>>;
}

export interface AgentChange {
  /** "current": known when the watch opened, or when it was opened again after a cut. "state": it came, went or turned away. */
  readonly change: AgentChangeName | "unknown";
  /** As it is now; when it was deleted, as it was. */
  readonly agent: AgentRecord;
}

export interface WatchAgentsOptions extends WatchOptions {
  /** Only these. Default: all. */
  readonly agentIds?: readonly string[];
  /** True: nothing of those that are known already, until a cut. Default false. */
  readonly skipCurrent?: boolean;
}

/** Who is on the bus. */
export class Agents {
  readonly #connection: Connection;

  constructor(connection: Connection) {
    this.#connection = connection;
  }

  async get(agentId: string, options?: CallOptions): Promise<AgentRecord> {
    const { agent } = await this.#connection.call(
      (call) => this.#connection.clients.agents.getAgent({ agentId }, call),
      options,
    );
    return present(agent, "getAgent");
  }

  /** By id. Pages are fetched as they are needed. */
  list(filter: AgentFilter = {}, options?: CallOptions): AsyncGenerator<AgentRecord, undefined, undefined> {
    const request = {
      kinds: (filter.kinds ?? []).map(agentKinds.toProto),
      states: (filter.states ?? []).map(agentStates.toProto),
      group: filter.group ?? "",
      capabilities: [...(filter.capabilities ?? [])],
      labels: { ...filter.labels },
    };
    return pages(async (pageToken) => {
      const page = await this.#connection.call(
        (call) => this.#connection.clients.agents.listAgents({ ...request, pageToken }, call),
        options,
      );
      return { items: page.agents, nextPageToken: page.nextPageToken };
    });
  }

  /** Forgets an agent, with its memberships and its inbox. */
  async delete(agentId: string, options?: CallOptions): Promise<void> {
    await this.#connection.callOnce((call) => this.#connection.clients.agents.deleteAgent({ agentId }, call), options);
  }

  /** Tells of agents as they come, change and go, until the loop is left. */
  async *watch(options: WatchAgentsOptions = {}): AsyncGenerator<AgentChange, undefined, undefined> {
    const { agentIds = [], skipCurrent = false } = options;
    const open = (signal: AbortSignal, again: boolean) =>
      this.#connection.clients.agents.watchAgents(
        { agentIds: [...agentIds], skipCurrent: skipCurrent && !again },
        { signal, timeoutMs: 0 },
      );
    for await (const { changes } of watch(this.#connection, "the watch of agents", open, options)) {
      for (const { kind, agent } of changes) {
        yield { change: agentChanges.fromProto(kind), agent: present(agent, "watchAgents") };
      }
    }
  }
}
