/**
 * The bus as a library: a program starts a node inside itself, with storages and routing strategies of its own.
 * The clients are in the package "agentbus".
 */
export { builtInStorages } from "./built-in-storages.ts";
export { ConfigError, type ConfigFault } from "./config/config-error.ts";
export { type Config, type ConfigInputs, loadConfig } from "./config/load-config.ts";
export type { AgentKind, AgentProfile, Capability } from "./core/agent.ts";
export { BusError, type BusErrorDetails, type CodeName, REASONS, type Reason, type Retry } from "./core/errors.ts";
export type { Logger } from "./core/logger.ts";
export type { Audience, Draft, LogEntry, MessageType, Recipients, Selection } from "./core/message.ts";
export type { ChannelName } from "./core/names.ts";
export type { Durability, RoutingConfig, RoutingStrategyName } from "./core/room.ts";
export { type BusNode, type NodeOptions, startNode } from "./node.ts";
export { RoutingRegistry } from "./routing/routing-registry.ts";
export type { Candidates, RoutingContext, RoutingFactory, RoutingStrategy } from "./routing/routing-strategy.ts";
export type { Directory } from "./storage/directory.ts";
export type { Doorbell } from "./storage/doorbell.ts";
export { StorageRegistry } from "./storage/factory.ts";
export { createMemoryStorage, type MemoryStorageOptions, memoryStorage } from "./storage/memory/index.ts";
export type { MessageLog } from "./storage/message-log.ts";
export type {
  StorageAdapter,
  StorageCapabilities,
  StorageEnvironment,
  StorageFactory,
} from "./storage/storage-adapter.ts";
