import { readFileSync } from "node:fs";
import { builtInStorages } from "./built-in-storages.ts";
import type { Bus } from "./bus/bus.ts";
import { DeclaredRooms } from "./bus/rooms/declared-rooms.ts";
import { Traffic } from "./bus/traffic.ts";
import { isLoopbackAddress } from "./config/check-together.ts";
import { withoutPassword } from "./config/describe-config.ts";
import type { Config } from "./config/load-config.ts";
import { BusError } from "./core/errors.ts";
import type { Logger } from "./core/logger.ts";
import { quote } from "./core/names.ts";
import { createLogger } from "./observability/logger.ts";
import { createMeters } from "./observability/meters.ts";
import { type OpenBus, openBus } from "./open-bus.ts";
import { RoutingRegistry } from "./routing/routing-registry.ts";
import { createRpc, type Rpc } from "./rpc/create-rpc.ts";
import { REFLECTED_FILES } from "./rpc/handlers/reflected-files.ts";
import { createWaitingRpc } from "./rpc/waiting-rpc.ts";
import { createApiKeyAuthenticator } from "./server/api-keys.ts";
import { createEndpoints } from "./server/endpoints.ts";
import { respondError } from "./server/error-response.ts";
import { registerHealth } from "./server/health.ts";
import { createHealthState } from "./server/health-state.ts";
import { registerReflection } from "./server/reflection.ts";
import { createServer, type ServerAddress } from "./server/server.ts";
import { createSystemRandom, systemClock } from "./server/system-clock.ts";
import { readTlsMaterial } from "./server/tls-material.ts";
import type { StorageRegistry } from "./storage/factory.ts";
import { StorageWait } from "./storage-wait.ts";
import { untilReachable } from "./until-reachable.ts";

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
  /** Aborted while a remote storage is waited for: the start is given up, and rejects with its reason. */
  readonly signal?: AbortSignal;
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

/**
 * Starts a node and resolves once it serves. A remote storage that is away is waited for: the port is open meanwhile, health
 * says NOT_SERVING and why, calls are refused with STORAGE_UNAVAILABLE. Rejects when the port is taken, a local storage
 * cannot be opened, or a setting is wrong.
 */
export async function startNode(options: NodeOptions): Promise<BusNode> {
  const { config, routing = new RoutingRegistry(), storages = builtInStorages() } = options;
  const { signal = new AbortController().signal } = options;
  const version = programVersion();
  const { tls: tlsFiles, ...listener } = config.server;
  // What may fail for a wrong configuration comes before anything is opened.
  const tls = tlsFiles && readTlsMaterial(tlsFiles);
  const logger = options.logger ?? createLogger({ ...config.log, fields: { node: config.node.id } });
  const random = createSystemRandom();
  const meters = createMeters(config.metrics);
  const authenticator = createApiKeyAuthenticator(config.auth.apiKeys);
  const startedAtMs = systemClock.now();

  let opened: OpenBus | undefined;
  let declared: DeclaredRooms | undefined;
  let awaited = "the storage is being opened";
  const health = createHealthState({
    services: ["", ...SERVICES],
    problems: () =>
      [opened === undefined ? awaited : opened.storage.problem(), declared?.problem].filter(
        (problem) => problem !== undefined,
      ),
    clock: systemClock,
  });
  const probeAccess = (open: boolean) =>
    open ? {} : { authorize: (authorization: string | undefined) => void authenticator.authenticate(authorization) };
  const register: Parameters<typeof createWaitingRpc>[0]["register"] = (router) => {
    registerHealth(router, health, probeAccess(config.auth.public.health));
    registerReflection(router, REFLECTED_FILES, probeAccess(config.auth.public.reflection));
  };
  const waiting = createWaitingRpc({
    register,
    fallback: (request, response) =>
      respondError(request, response, new BusError("STORAGE_UNAVAILABLE", `this node cannot work yet: ${awaited}`)),
  });
  /** Undefined: the node waits for its storage. */
  let rpc: Rpc | undefined;

  const published = new Traffic(systemClock, () => opened?.bus.publisher.publishedCount ?? 0);
  const delivered = new Traffic(systemClock, () => opened?.bus.subscriptions.deliveredCount ?? 0);
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
    onHttp2Stream: (stream, headers) => rpc?.fastPath.onHttp2Stream(stream, headers) ?? false,
    onHttp1: (request, response) => rpc?.fastPath.onHttp1(request, response) ?? false,
    onRequest: (request, response) => (rpc ?? waiting).onRequest(request, response),
    health,
    onDrain: () => rpc?.beginDrain(graceMs),
    onAbort(error) {
      waiting.endAll(error);
      rpc?.endAll(error);
    },
    meters,
    log: logger,
  });

  async function open(): Promise<OpenBus> {
    return await openBus({ config, storages, routing, clock: systemClock, random, logger, meters, version });
  }
  function createServingRpc({ bus }: OpenBus): Rpc {
    return createRpc({
      bus,
      authenticator,
      meters,
      admin: {
        version,
        startedAtMs,
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
        drain: (grace) => void drain(grace),
      },
      register,
      fallback: (request, response) =>
        respondError(request, response, new BusError("METHOD_NOT_FOUND", `there is no method ${quote(request.url)}`)),
    });
  }
  async function close(): Promise<void> {
    declared?.close();
    published.close();
    delivered.close();
    await opened?.close();
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
    if (storages.isRemote(config.storage.url)) {
      const { host, port } = await server.listen();
      const url = withoutPassword(config.storage.url);
      logger.info({ host, port, storage: url, version }, "listening; opening the storage");
      const wait = new StorageWait({ log: logger, storage: url, monotonic: systemClock.monotonic });
      opened = await untilReachable(open, {
        signal,
        onAway(problem) {
          awaited = problem;
          wait.away(problem);
        },
        discard: (late) => void late.close(),
      });
      wait.over();
    } else {
      opened = await open();
    }
    const { bus, storage } = opened;
    rpc = createServingRpc(opened);
    declared = new DeclaredRooms(bus.rooms, config.rooms, systemClock, logger);
    await declared.create(config.strictStartup);
    const address = server.address ?? (await server.listen());
    health.serving();
    const { kind, capabilities } = storage;
    logger.info({ host: address.host, port: address.port, storage: kind, version }, "listening");
    return { bus, address, version, storage: { kind, durable: capabilities.durable }, left, drain };
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
