import { type IntegerOption, resolveIntegerOptions } from "../storage-options.ts";

export interface RedisStorageOptions {
  /** In front of every key, so that several buses share one server. 1 to 64 of A-Z a-z 0-9 . _ -. Default "agentbus". */
  readonly prefix?: string;
  /** How long opening may take, in milliseconds. 100 to 600,000. Default 5,000. */
  readonly connectTimeoutMs?: number;
  /** After so long without an answer an operation fails with STORAGE_UNAVAILABLE. 100 to 600,000 ms. Default 5,000. */
  readonly timeoutMs?: number;
  /** How often each connection is asked whether it lives, in milliseconds. 100 to 60,000. Default 1,000. */
  readonly heartbeatMs?: number;
  /** Bodies of appends that wait or are on their way; beyond, OVERLOADED. 1 MiB to 16 GiB. Default 64 MiB. */
  readonly maxPendingBytes?: number;
  /** Packets and rings on their way to other nodes; beyond, they are dropped. 1 MiB to 1 GiB. Default 32 MiB. */
  readonly maxRelayBytes?: number;
  /**
   * Idempotency keys of one channel after which older ones are forgotten before their window has passed: it keeps between
   * so many and twice as many. About 150 bytes each. 1 to 16,000,000. Default 1,000,000.
   */
  readonly dedupKeys?: number;
  /**
   * Options for ioredis as they are: `tls`, `natMap`, `sentinelPassword`, `family`, `dnsLookup`. Those on which the
   * promises of the storage rest cannot be changed. Default: none.
   */
  readonly ioredis?: Readonly<Record<string, unknown>>;
}

export type ResolvedRedisOptions = Required<RedisStorageOptions>;

const INTEGERS = {
  connectTimeoutMs: { default: 5_000, min: 100, max: 600_000 },
  timeoutMs: { default: 5_000, min: 100, max: 600_000 },
  heartbeatMs: { default: 1_000, min: 100, max: 60_000 },
  maxPendingBytes: { default: 64 * 2 ** 20, min: 2 ** 20, max: 16 * 2 ** 30 },
  maxRelayBytes: { default: 32 * 2 ** 20, min: 2 ** 20, max: 2 ** 30 },
  dedupKeys: { default: 1_000_000, min: 1, max: 16_000_000 },
} as const satisfies Partial<Record<keyof RedisStorageOptions, IntegerOption>>;

const PREFIX = /^[A-Za-z0-9._-]{1,64}$/;

/** What the storage decides, and why. */
const DECIDED: Readonly<Record<string, string>> = {
  keyPrefix: "use the option prefix",
  enableOfflineQueue: "while the server is away appends fail at once",
  autoResendUnfulfilledCommands: "a command whose answer was lost must not run twice",
  retryDelayOnFailover: "a command whose answer was lost must not run twice",
  maxRetriesPerRequest: "a command whose answer was lost must not run twice",
  scaleReads: "replicas lag behind",
  commandTimeout: "use the option timeoutMs",
  socketTimeout: "use the option timeoutMs",
  retryStrategy: "the storage connects again by itself",
  lazyConnect: "the storage connects by itself",
  replyMapping: "the storage reads replies in one shape",
  stringNumbers: "the storage reads replies in one shape",
};

/** Fills in defaults. Throws one Error that names every wrong option. */
export function resolveRedisOptions(options: RedisStorageOptions): ResolvedRedisOptions {
  const { prefix = "agentbus", ioredis = {}, ...integers } = options;
  const faults: string[] = [];
  if (typeof prefix !== "string" || !PREFIX.test(prefix)) {
    faults.push(`prefix must be 1 to 64 of A-Z a-z 0-9 . _ -, not ${JSON.stringify(prefix)}`);
  }
  if (typeof ioredis !== "object" || ioredis === null || Array.isArray(ioredis)) {
    faults.push("ioredis must be an object of ioredis' own options");
  } else {
    const nested = ioredis["redisOptions"];
    for (const name of Object.keys({ ...ioredis, ...(typeof nested === "object" ? nested : undefined) })) {
      if (Object.hasOwn(DECIDED, name)) faults.push(`ioredis.${name} cannot be set: ${DECIDED[name]}`);
    }
  }
  let resolved: Readonly<Record<keyof typeof INTEGERS, number>> | undefined;
  try {
    resolved = resolveIntegerOptions("redis", integers, INTEGERS);
  } catch (error) {
    faults.unshift((error as Error).message.replace("options of the redis storage: ", ""));
  }
  if (resolved === undefined || faults.length > 0) {
    throw new Error(`options of the redis storage: ${faults.join("; ")}`);
  }
  return { ...resolved, prefix, ioredis };
}
