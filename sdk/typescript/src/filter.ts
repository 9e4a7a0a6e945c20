import { create } from "@bufbuild/protobuf";
import { type MessageTypeName, messageTypes } from "./enums.ts";
import { type Filter as FilterProto, FilterSchema } from "./gen/agentbus/v1/bus_service_pb.ts";

/** Chooses messages: each part that is given must hold; of a list, any. */
export interface Filter {
  readonly types?: readonly MessageTypeName[];
  readonly names?: readonly string[];
  readonly senders?: readonly string[];
  readonly sessionIds?: readonly string[];
  readonly correlationIds?: readonly string[];
  /** All of these keys with these values. */
  readonly metadata?: Readonly<Record<string, string>>;
  /** 0 to 9. */
  readonly minPriority?: number;
  /** Only messages for chosen readers. */
  readonly directOnly?: boolean;
}

export function filterToProto(filter: Filter): FilterProto {
  return create(FilterSchema, {
    types: (filter.types ?? []).map(messageTypes.toProto),
    names: [...(filter.names ?? [])],
    senders: [...(filter.senders ?? [])],
    sessionIds: [...(filter.sessionIds ?? [])],
    correlationIds: [...(filter.correlationIds ?? [])],
    metadata: { ...filter.metadata },
    minPriority: filter.minPriority ?? 0,
    directOnly: filter.directOnly ?? false,
  });
}
