import { setTimeout as delay } from "node:timers/promises";
import { Cluster, type Redis } from "ioredis";
import type { StorageEnvironment } from "../storage-adapter.ts";
import { backoffMs } from "./backoff.ts";
import { createSingleConnection } from "./create-client.ts";
import type { RedisConnection } from "./redis-connection.ts";
import { toBusError } from "./redis-errors.ts";
import type { ResolvedRedisOptions } from "./redis-options.ts";

export interface SideConnectionOptions {
  readonly main: RedisConnection;
  readonly options: ResolvedRedisOptions;
  readonly environment: StorageEnvironment;
  /** What is to be done on each new connection before it counts as up. */
  readonly prepare?: (redis: Redis) => Promise<void>;
  /** It is up again, after it was away. */
  readonly onBack: () => void;
}

/**
 * One connection beside that for commands, for pub/sub. Of a cluster it goes to any master: what is published on one node
 * is heard on all. When it is lost, or its heartbeat is, another one takes its place.
 */
export class SideConnection {
  readonly #options: SideConnectionOptions;
  readonly #closing = new AbortController();
  #redis: Redis | undefined;
  #keeping: Promise<void> | undefined;

  constructor(options: SideConnectionOptions) {
    this.#options = options;
  }

  /** Undefined while it is away. */
  get redis(): Redis | undefined {
    return this.#redis;
  }

  /** Resolves when it is up for the first time. Throws STORAGE_UNAVAILABLE, and does not try again. */
  async open(): Promise<void> {
    let first: Redis;
    try {
      first = await this.#connect();
    } catch (error) {
      throw toBusError(error);
    }
    this.#keeping = this.#keep(first);
  }

  async close(): Promise<void> {
    this.#closing.abort();
    this.#redis?.disconnect();
    await this.#keeping;
  }

  async #keep(first: Redis): Promise<void> {
    let redis: Redis | undefined = first;
    for (let attempt = 1; ; attempt++) {
      if (redis !== undefined) {
        attempt = 1;
        await this.#untilLost(redis);
        this.#redis = undefined;
      }
      if (this.#closing.signal.aborted) return;
      await delay(backoffMs(attempt), undefined, { signal: this.#closing.signal }).catch(() => {});
      redis = await this.#connect().catch(() => undefined); // the connection for commands tells why
      if (redis !== undefined) this.#options.onBack();
    }
  }

  async #connect(): Promise<Redis> {
    const { main, options, prepare } = this.#options;
    const { client } = main;
    this.#closing.signal.throwIfAborted();
    const redis = createSingleConnection(
      main.address,
      options,
      client instanceof Cluster ? anyMaster(client) : undefined,
    );
    redis.on("error", () => {}); // said by connect() and by the commands
    try {
      await redis.connect();
      await prepare?.(redis);
      this.#closing.signal.throwIfAborted();
      this.#redis = redis;
      return redis;
    } catch (error) {
      redis.disconnect();
      throw error;
    }
  }

  /** A peer that vanished says nothing; a ping that is not answered in time ends the connection. */
  async #untilLost(redis: Redis): Promise<void> {
    const { heartbeatMs } = this.#options.options;
    const beat = setInterval(() => {
      redis.ping().catch(() => redis.disconnect());
    }, heartbeatMs);
    beat.unref();
    await new Promise<void>((resolve) => {
      redis.once("end", resolve);
      if (redis.status === "end") resolve();
    });
    clearInterval(beat);
  }
}

function anyMaster(cluster: Cluster): { readonly host: string; readonly port: number } {
  const masters = cluster.nodes("master").filter(({ status }) => status === "ready");
  const { host, port } = masters[Math.floor(Math.random() * masters.length)]?.options ?? {};
  if (host === undefined || port === undefined) throw new Error("no node of the cluster is connected");
  return { host, port };
}
