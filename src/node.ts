import { readFileSync } from "node:fs";
import { type Bus, createBus } from "./bus/bus.ts";
import { DeclaredRooms } from "./bus/declared-rooms.ts";
import { Traffic } from "./bus/traffic.ts";
import { busOptions, storageOptions } from "./config/bus-settings.ts";
import { isLoopbackAddress } from "./config/check-together.ts";
import type { Config } from "./config/load-config.ts";
import { BusError } from "./core/errors.ts";
import type { Logger } from "./core/logger.ts";
import { quote } from "./core/names.ts";
import { createLogger } from "./observability/logger.ts";
import { createMeters } from "./observability/meters.ts";
import { RoutingRegistry } from "./routing/routing-registry.ts";
import { createRpc } from "./rpc/create-rpc.ts";
import { REFLECTED_FILES } from "./rpc/reflected-files.ts";
import { createApiKeyAuthenticator } from "./server/api-keys.ts";
import { createEndpoints } from "./server/endpoints.ts";
import { respondError } from "./server/error-response.ts";
import { registerHealth } from "./server/health.ts";
import { createHealthState } from "./server/health-state.ts";
import { registerReflection } from "./server/reflection.ts";
import { createServer, type ServerAddress } from "./server/server.ts";
import { createSystemRandom, systemClock } from "./server/system-clock.ts";
import { readTlsMaterial } from "./server/tls-material.ts";
import { StorageRegistry } from "./storage/factory.ts";
import { fileStorage } from "./storage/file/index.ts";
import { createMemoryStorage, memoryStorage } from "./storage/memory/index.ts";
import { createMessageCodec } from "./wire/message-codec.ts";

/** The envelope's version that this program speaks. */
export const PROTOCOL_VERSION = "1.0";
const SERVICES = ["BusService", "AgentService", "RoomService", "AdminService"].map((name) => `agentbus.v1.${name}`);

export interface NodeOptions {
  /** From `loadConfig`. */
  readonly config: Config;
  /** Custom routing strategies, by name. Unset: only the built-in ones. */
  readonly routing?: RoutingRegistry;
  /** Custom kinds of storage, by the scheme of their URL. Unset: `builtInStorages()`. */
  readonly storages?: StorageRegistry;
  /** Unset: lines on standard output, as `config.log` says. */
  readonly logger?: Logger;
}

/** One bus node: storage, use cases, one port. */
export interface BusNode {
  readonly bus: Bus;
  readonly address: ServerAddress;
  readonly version: string;
  /** The storage's kind, and whether what it holds outlives the process. */
  readonly storage: { readonly kind: string; readonly durable: boolean };
  /** Resolves once the node has left, for whatever cause. */
  readonly left: Promise<void>;
  /** Leaves in good order: streams may go on for `graceMs` (as configured when unset). Again joins the first. */
  drain(graceMs?: number): Promise<void>;
}

/** The kinds of storage that come with the bus. */
export function builtInStorages(): StorageRegistry {
  return new StorageRegistry().register("memory", memoryStorage).register("file", fileStorage);
}

/** Starts a node and resolves once it serves. Rejects when the storage cannot be opened or the port is taken. */
export async function startNode(options: NodeOptions): Promise<BusNode> {
  const { config } = options;
  const version = programVersion();
  const { tls: tlsFiles, ...listener } = config.server;
  // What may fail for a wrong configuration comes before anything is opened.
  const tls = tlsFiles && readTlsMaterial(tlsFiles);
  const logger = options.logger ?? createLogger({ ...config.log, fields: { node: config.node.id } });
  const random = createSystemRandom();
  const meters = createMeters(config.metrics);
  const environment = { now: systemClock.now, randomEpoch: random.epoch, log: logger };
  const storage = await (options.storages ?? builtInStorages()).open(
    config.storage.url,
    storageOptions(config),
    environment,
  );
  const { durable } = storage.capabilities;
  const volatileStorage = durable ? createMemoryStorage(config.storage.memory, environment) : storage;
  const settings = busOptions(config, durable);
  const bus = await createBus({
    options: settings,
    storage,
    volatileStorage,
    codec: createMessageCodec(settings.limits),
    routing: options.routing ?? new RoutingRegistry(),
    clock: systemClock,
    random,
    logger,
    meters,
  });
  const declared = new DeclaredRooms(bus.rooms, config.rooms, systemClock, logger);
  const health = createHealthState({
    services: ["", ...SERVICES],
    problems: () => [storage.problem(), declared.problem].filter((problem) => problem !== undefined),
    clock: systemClock,
  });
  const authenticator = createApiKeyAuthenticator(config.auth.apiKeys);
  const probeAccess = (open: boolean) =>
    open ? {} : { authorize: (authorization: string | undefined) => void authenticator.authenticate(authorization) };
  const published = new Traffic(systemClock, () => bus.publisher.publishedCount);
  const delivered = new Traffic(systemClock, () => bus.subscriptions.deliveredCount);

  const rpc = createRpc({
    bus,
    authenticator,
    meters,
    admin: {
      version,
      startedAtMs: systemClock.now(),
      activity: () => ({
        serving: health.ready(),
        problems: health.problems(),
        connections: server.connections,
        streams: server.calls,
        subscriptions: bus.subscriptions.count,
        published: bus.publisher.publishedCount,
        delivered: bus.subscriptions.deliveredCount,
        publishRate: published.rate,
        deliveryRate: delivered.rate,
      }),
      metricsJson: async () => JSON.stringify(await meters.json()),
      drain: (graceMs) => void drain(graceMs),
    },
    register(router) {
      registerHealth(router, health, probeAccess(config.auth.public.health));
      registerReflection(router, REFLECTED_FILES, probeAccess(config.auth.public.reflection));
    },
    fallback: (request, response) =>
      respondError(request, response, new BusError("METHOD_NOT_FOUND", `there is no method ${quote(request.url)}`)),
  });
  let graceMs = listener.drainMs;
  const server = createServer({
    ...listener,
    ...(tls === undefined ? {} : { tls }),
    // On loopback the name under which a page calls is all that keeps strangers out (DNS rebinding).
    checkHost: isLoopbackAddress(listener.host) || listener.allowedHosts.length > 0,
    endpoints: createEndpoints({
      node: config.node,
      version,
      protocolVersion: PROTOCOL_VERSION,
      health,
      meters,
      authenticator,
      public: config.auth.public,
    }),
    onHttp2Stream: (stream, headers) => rpc.fastPath.onHttp2Stream(stream, headers),
    onHttp1: (request, response) => rpc.fastPath.onHttp1(request, response),
    onRequest: (request, response) => rpc.onRequest(request, response),
    health,
    onDrain: () => rpc.beginDrain(graceMs),
    onAbort: (error) => rpc.endAll(error),
    meters,
    log: logger,
  });

  async function close(): Promise<void> {
    declared.close();
    published.close();
    delivered.close();
    await bus.close();
    if (volatileStorage !== storage) await volatileStorage.close();
    await storage.close();
    logger.info({}, "stopped");
  }
  async function leave(): Promise<void> {
    logger.info({ graceMs }, "draining");
    await server.drain(graceMs);
    await close();
  }
  const { promise: left, resolve: hasLeft } = Promise.withResolvers<void>();
  let leaving: Promise<void> | undefined;
  function drain(grace: number = listener.drainMs): Promise<void> {
    if (leaving === undefined) {
      graceMs = grace;
      leaving = leave().finally(hasLeft);
    }
    return leaving;
  }

  try {
    await declared.create(config.strictStartup);
    const address = await server.listen();
    health.serving();
    logger.info({ host: address.host, port: address.port, storage: storage.kind, version }, "listening");
    return { bus, address, version, storage: { kind: storage.kind, durable }, left, drain };
  } catch (error) {
    await server.close();
    await close();
    throw error;
  }
}

/** From package.json, which lies above the sources and above what was built from them. */
function programVersion(): string {
  const path = import.meta.url.endsWith(".ts") ? "../package.json" : "../../package.json";
  const text = readFileSync(new URL(path, import.meta.url), "utf8");
  return (JSON.parse(text) as { version: string }).version;
}
