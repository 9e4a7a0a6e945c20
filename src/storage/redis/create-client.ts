import { Cluster, type ClusterOptions, Redis, type RedisOptions } from "ioredis";
import { backoffMs } from "./backoff.ts";
import type { RedisAddress, RedisHost } from "./redis-address.ts";
import type { ResolvedRedisOptions } from "./redis-options.ts";

export type RedisClient = Redis | Cluster;

/** The driver's types want it said that replies come in one shape, whatever the protocol. */
type PlainOptions = RedisOptions & { readonly replyMapping: "legacy" };
type PlainClusterOptions = ClusterOptions & { readonly redisOptions: { readonly replyMapping: "legacy" } };

/** What must hold for every connection, whatever the user's options say. */
function fixedOptions(address: RedisAddress, options: ResolvedRedisOptions): RedisOptions {
  return {
    ...(address.username !== "" && { username: address.username }),
    ...(address.password !== "" && { password: address.password }),
    db: address.db,
    replyMapping: "legacy",
    lazyConnect: true,
    // A command is sent once or not at all: executed twice, an append without a key would be stored twice.
    autoResendUnfulfilledCommands: false,
    // What was under way when the connection was lost fails then, and not at its timeout.
    maxRetriesPerRequest: 0,
    enableOfflineQueue: false,
    autoResubscribe: false,
    connectTimeout: options.connectTimeoutMs,
    commandTimeout: options.timeoutMs,
    // Finds a peer that vanished: commands wait, nothing comes, the connection is given up.
    socketTimeout: options.timeoutMs,
    keepAlive: 10_000,
    // A master that became a replica: ask again where the master is. The command is not sent again.
    reconnectOnError: (error) => error.message.startsWith("READONLY"),
  };
}

function userOptions(address: RedisAddress, options: ResolvedRedisOptions): RedisOptions {
  return { ...(address.tls && { tls: {} }), connectionName: "agentbus", ...options.ioredis };
}

/** The client for commands. `retry` answers how long to wait before it connects again; null: never. */
export function createClient(
  address: RedisAddress,
  options: ResolvedRedisOptions,
  retry: (attempt: number) => number | null,
): RedisClient {
  if (address.topology === "cluster") return createCluster(address, options, retry);
  return createRedis(address, options, retry);
}

/** One connection of its own, to the master or, of a cluster, to the node that is named. It does not connect again. */
export function createSingleConnection(address: RedisAddress, options: ResolvedRedisOptions, node?: RedisHost): Redis {
  if (node === undefined) return createRedis(address, options, () => null);
  const { redisOptions, ...rest } = userOptions(address, options) as ClusterOptions & RedisOptions;
  return new Redis({
    ...rest,
    ...redisOptions,
    ...fixedOptions(address, options),
    ...node,
    retryStrategy: () => null,
  } as PlainOptions);
}

function createRedis(
  address: RedisAddress,
  options: ResolvedRedisOptions,
  retry: (attempt: number) => number | null,
): Redis {
  const place: RedisOptions =
    address.topology === "sentinel"
      ? {
          sentinels: [...address.hosts],
          name: address.master,
          sentinelRetryStrategy: retry,
          failoverDetector: true,
          ...(address.tls && { enableTLSForSentinelMode: true, sentinelTLS: {} }),
        }
      : { ...address.hosts[0]! };
  const user = userOptions(address, options);
  return new Redis({ ...place, ...user, ...fixedOptions(address, options), retryStrategy: retry } as PlainOptions);
}

function createCluster(
  address: RedisAddress,
  options: ResolvedRedisOptions,
  retry: (attempt: number) => number | null,
): Cluster {
  const user = userOptions(address, options) as ClusterOptions & RedisOptions;
  const { tls, redisOptions, ...rest } = user;
  const { enableOfflineQueue, ...node } = fixedOptions(address, options);
  return new Cluster([...address.hosts], {
    ...rest,
    lazyConnect: true,
    enableOfflineQueue: false,
    // It would ask a node that is still connecting, and take the refusal for a cluster that is down.
    enableReadyCheck: false,
    clusterRetryStrategy: retry,
    // What was not executed (MOVED, ASK, TRYAGAIN, CLUSTERDOWN) may be sent again; what may have been, not.
    retryDelayOnFailover: 0,
    slotsRefreshTimeout: options.connectTimeoutMs,
    slotsRefreshInterval: 2_000,
    clusterNodeRetryStrategy: (attempt: number) => backoffMs(attempt),
    redisOptions: { ...(tls !== undefined && { tls }), ...redisOptions, ...node },
  } as PlainClusterOptions);
}
