export type { Agent } from "./agent.ts";
export type { AgentChange, AgentFilter, Agents, WatchAgentsOptions } from "./agents.ts";
export type { BackoffOptions } from "./backoff.ts";
export type { AgentBusOptions } from "./bus.ts";
export type { ChannelSettings, Retention, Routing } from "./channel-settings.ts";
export type { ChannelInit, Channels } from "./channels.ts";
export type { CallOptions, Clients } from "./connection.ts";
export type { Content } from "./content.ts";
export type {
  AgentChangeName,
  AgentKindName,
  AgentStateName,
  DurabilityName,
  GapCauseName,
  MessageTypeName,
  RoomChangeName,
  RoutingStrategyName,
} from "./enums.ts";
export { BusError, ClosedError, type EndReason, type FieldViolation, isBusError, SubscriptionEnded } from "./errors.ts";
export type { Filter } from "./filter.ts";
export type { Agent as AgentRecord } from "./gen/agentbus/v1/agent_pb.ts";
export type { Channel, Member, Room } from "./gen/agentbus/v1/room_pb.ts";
export type { FetchOptions, MessageReference, Page } from "./history.ts";
export type { LinkOptions } from "./link-options.ts";
export { Message } from "./message.ts";
export type { Recipients, SendOptions } from "./outgoing.ts";
export { MemoryPositionStore, type PositionStore } from "./position-store.ts";
export type { AgentProfile } from "./profile.ts";
export type { AskOptions } from "./questions.ts";
export { type CodeName, REASONS, type Reason, type Retry } from "./reasons.ts";
export type { Audience, Receipt } from "./receipt.ts";
export type { RoomChange, RoomSettings, Rooms } from "./rooms.ts";
export type { Start, SubscribeOptions } from "./subscribe-options.ts";
export type { Subscription } from "./subscription.ts";
export type { Gap, SubscriptionEvent } from "./subscription-event.ts";
export type { WatchOptions } from "./watch.ts";
