import { create } from "@bufbuild/protobuf";
import type { ServiceImpl } from "@connectrpc/connect";
import { type Agent, AgentSchema } from "../../../gen/agentbus/v1/agent_pb.ts";
import {
  type AgentChange,
  AgentChangeKind,
  AgentChangeSchema,
  type AgentService,
} from "../../../gen/agentbus/v1/agent_service_pb.ts";
import type { AgentEvent, Agents, AgentView } from "../../bus/directory/registry.ts";
import { WatchQueue } from "../../bus/watch-queue.ts";
import type { Limits } from "../../core/bus-options.ts";
import { BusError } from "../../core/errors.ts";
import { isAgentId, quote } from "../../core/names.ts";
import {
  AGENT_PATHS,
  agentMessage,
  kindOf,
  profileOf,
  profilePatch,
  stateMessage,
  stateOf,
} from "../translation/agent-translation.ts";
import { checkMetadata, invalidField, refuseServerFields, updatePaths } from "../translation/request-fields.ts";
import { durationOf } from "../translation/wkt.ts";
import type { Access } from "./access.ts";
import { chunksOf, pageOf, pageRequest } from "./paging.ts";

/** Agents read, and changes told, at once by WatchAgents. */
const CHANGES_A_BATCH = 100;

const EVERYONE = { kinds: [], states: [], group: "", capabilities: [], labels: {} } as const;

export interface AgentHandlersOptions {
  readonly agents: Agents;
  readonly access: Access;
  readonly limits: Limits;
  readonly agentLeaseMs: number;
}

/** Translates between wire and domain. Interceptors validate before it and map errors after it. */
export function createAgentHandlers(options: AgentHandlersOptions): ServiceImpl<typeof AgentService> {
  const { agents, access, limits, agentLeaseMs } = options;

  async function known(agentId: string): Promise<AgentView> {
    const agent = await agents.find(agentId);
    if (agent === undefined) throw new BusError("AGENT_NOT_FOUND", `there is no agent ${quote(agentId)}`);
    return agent;
  }

  function changeOf(kind: AgentEvent["kind"] | "CURRENT", agent: AgentView): AgentChange {
    return create(AgentChangeSchema, { kind: AgentChangeKind[kind], agent: agentMessage(agent, agents) });
  }

  return {
    async registerAgent(request, context) {
      const message = request.agent!;
      const agentId = access.actor(context, message.agentId);
      refuseServerFields(AgentSchema, message, "agent");
      checkMetadata("agent.metadata", message.metadata, limits);
      const { agent, created } = await agents.register(agentId, profileOf(message));
      agents.touch(agentId);
      return { agent: agentMessage(agent, agents), created };
    },

    async updateAgent(request, context) {
      const message = request.agent!;
      const agentId = access.actor(context, message.agentId);
      refuseServerFields(AgentSchema, message, "agent");
      const paths = updatePaths(request.updateMask, AGENT_PATHS);
      if (paths.has("metadata")) checkMetadata("agent.metadata", message.metadata, limits);
      const agent = await agents.update(agentId, profilePatch(message, paths));
      agents.touch(agentId);
      return { agent: agentMessage(agent, agents) };
    },

    async heartbeat(request, context) {
      const agentId = access.actor(context, request.agentId);
      await agents.find(agentId);
      const state = stateOf(request.state);
      if (state === "OFFLINE") throw invalidField("state", "must be ONLINE, AWAY or DRAINING; to leave, disconnect");
      return { state: stateMessage(agents.heartbeat(agentId, state)), leaseDuration: durationOf(agentLeaseMs) };
    },

    async disconnectAgent(request, context) {
      const agentId = access.actor(context, request.agentId);
      await known(agentId);
      return { endedStreams: await agents.disconnect(agentId) };
    },

    async deleteAgent(request, context) {
      await agents.delete(access.actor(context, request.agentId));
      return {};
    },

    async getAgent(request) {
      return { agent: agentMessage(await known(request.agentId), agents) };
    },

    listAgents(request) {
      const page = pageRequest(request, isAgentId);
      const found = agents.list({
        kinds: request.kinds.flatMap((kind) => kindOf(kind) ?? []),
        states: request.states.flatMap((state) => stateOf(state) ?? []),
        group: request.group,
        capabilities: request.capabilities,
        labels: request.labels,
        after: page.after,
        limit: page.limit,
      });
      const { messages, nextPageToken } = pageOf<typeof AgentSchema>(
        AgentSchema,
        found.map((agent) => agentMessage(agent, agents)),
        (agent: Agent) => agent.agentId,
        page,
        limits.responseBytes,
      );
      return { agents: messages, nextPageToken };
    },

    async *watchAgents(request, { signal }) {
      const only = new Set(request.agentIds);
      const wanted = (agent: AgentView) => only.size === 0 || only.has(agent.record.agentId);
      const queue = new WatchQueue<AgentChange>(limits.watchBacklog, CHANGES_A_BATCH);
      // Translated when it happens: a state that was there for a moment is told as it was.
      const stop = agents.onChange(({ kind, agent }) => {
        if (wanted(agent)) queue.push(changeOf(kind, agent));
      });
      try {
        if (!request.skipCurrent) {
          for (const current of currentAgents(agents, wanted)) {
            const changes = current.map((agent) => changeOf("CURRENT", agent));
            for (const chunk of chunksOf(AgentChangeSchema, changes, limits.responseBytes)) {
              yield { changes: chunk };
              if (signal.aborted) return;
            }
          }
        }
        yield { caughtUp: true };
        for await (const changes of queue.batches(signal)) {
          for (const chunk of chunksOf(AgentChangeSchema, changes, limits.responseBytes)) yield { changes: chunk };
        }
      } finally {
        stop();
      }
    },
  };
}

/** Read page by page as the watcher reads: what changes meanwhile waits in its queue. */
function* currentAgents(agents: Agents, wanted: (agent: AgentView) => boolean): Generator<readonly AgentView[]> {
  for (let after = ""; ; ) {
    const page = agents.list({ ...EVERYONE, after, limit: CHANGES_A_BATCH });
    const last = page.at(-1);
    if (last === undefined) return;
    const found = page.filter(wanted);
    if (found.length > 0) yield found;
    after = last.record.agentId;
  }
}
