import { create } from "@bufbuild/protobuf";
import { AgentKind } from "../../../gen/agentbus/v1/agent_pb.ts";
import {
  type Recipients as RecipientsMessage,
  RecipientsSchema,
  type Selection as SelectionMessage,
  SelectionSchema,
} from "../../../gen/agentbus/v1/message_pb.ts";
import { AGENT_KINDS } from "../../core/agent.ts";
import { BusError } from "../../core/errors.ts";
import type { Recipients, Selection } from "../../core/message.ts";

/** Recipients in a channel's configuration. A field this server does not know could narrow them: UNKNOWN_FIELD. */
export function recipientsOf(message: RecipientsMessage, path: string): Recipients {
  refuseUnknown(message, path);
  return {
    agents: message.agents,
    groups: message.groups,
    select: message.select && selectionOf(message.select, `${path}.select`),
  };
}

export function recipientsMessage({ agents, groups, select }: Recipients): RecipientsMessage {
  return create(RecipientsSchema, {
    agents: [...agents],
    groups: [...groups],
    ...(select !== undefined && {
      select: create(SelectionSchema, {
        kinds: select.kinds.map((kind) => AgentKind[kind]),
        labels: { ...select.labels },
        capabilities: [...select.capabilities],
        limit: select.limit,
      }),
    }),
  });
}

function selectionOf(message: SelectionMessage, path: string): Selection {
  refuseUnknown(message, path);
  return {
    kinds: message.kinds.map((kind) => AGENT_KINDS[kind - 1]!),
    labels: message.labels,
    capabilities: message.capabilities,
    limit: message.limit,
  };
}

function refuseUnknown(message: RecipientsMessage | SelectionMessage, path: string): void {
  const unknown = message.$unknown?.[0];
  if (unknown === undefined) return;
  throw new BusError("UNKNOWN_FIELD", `${path} has field ${unknown.no}, which this server does not know`);
}
