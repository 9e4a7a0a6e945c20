import { create } from "@bufbuild/protobuf";
import {
  type FetchRequest,
  type Filter as FilterMessage,
  GapCause,
  GapSchema,
  OnGap,
  type SubscribeRequest,
} from "../../../gen/agentbus/v1/bus_service_pb.ts";
import type { FetchInput, FetchStart } from "../../bus/reading/fetcher.ts";
import type { Start } from "../../bus/reading/reading-starts.ts";
import type { SubscribeInput } from "../../bus/reading/subscriptions.ts";
import type { Filter } from "../../core/filter.ts";
import { MESSAGE_TYPES } from "../../core/message.ts";
import type { ChannelGap } from "../../core/message-codec.ts";
import { millisOf } from "./wkt.ts";

const DEFAULT_FETCH = 100;

/** `agentId` is who acts, after it was checked. */
export function subscribeInput(request: SubscribeRequest, agentId: string): SubscribeInput {
  return {
    agentId,
    channels: request.channels,
    patterns: request.patterns,
    start: startOf(request.start),
    filter: request.filter && filterOf(request.filter),
    echo: request.echo,
    observe: request.observe,
    exclusive: request.exclusive,
    failOnGap: request.onGap === OnGap.FAIL,
    maxMessages: request.maxMessages,
    heartbeatMs: request.heartbeatInterval && millisOf(request.heartbeatInterval),
  };
}

function startOf(start: SubscribeRequest["start"]): Start {
  switch (start.case) {
    case "earliest":
      return start.value ? { kind: "earliest" } : { kind: "new" };
    case "last":
      return { kind: "last", count: start.value };
    case "since":
      return { kind: "since", timeMs: millisOf(start.value) };
    case "resume":
      return { kind: "resume", positions: start.value.positions };
    default:
      return { kind: "new" };
  }
}

export function fetchInput(request: FetchRequest, agentId: string): FetchInput {
  return {
    agentId,
    room: request.room,
    channel: request.channel,
    start: fetchStartOf(request.start),
    backward: request.backward,
    filter: request.filter && filterOf(request.filter),
    maxMessages: request.maxMessages || DEFAULT_FETCH,
    waitMs: request.waitDuration ? millisOf(request.waitDuration) : 0,
  };
}

function fetchStartOf(start: FetchRequest["start"]): FetchStart {
  switch (start.case) {
    case "position":
      return start.value === "" ? { kind: "end" } : { kind: "position", position: start.value };
    case "messageId":
      return { kind: "id", id: start.value };
    case "time":
      return { kind: "time", timeMs: millisOf(start.value) };
    default:
      return { kind: "end" };
  }
}

function filterOf(filter: FilterMessage): Filter {
  return {
    types: filter.types.map((type) => MESSAGE_TYPES[type - 1]!),
    names: filter.names,
    senders: filter.senders,
    sessionIds: filter.sessionIds,
    correlationIds: filter.correlationIds,
    metadata: filter.metadata,
    minPriority: filter.minPriority,
    directOnly: filter.directOnly,
  };
}

export function gapMessage({ name, first, last, cause }: ChannelGap) {
  return create(GapSchema, {
    room: name.room,
    channel: name.channel,
    firstSequence: BigInt(first),
    lastSequence: BigInt(last),
    cause: GapCause[cause],
  });
}
