import { randomBytes } from "node:crypto";
import type { Redis } from "ioredis";
import type { StorageAdapter, StorageCapabilities, StorageEnvironment, StorageFactory } from "../storage-adapter.ts";
import { RedisKeys } from "./keys.ts";
import { prepareLayout } from "./layout.ts";
import { Publisher } from "./publisher.ts";
import { describeAddress, parseRedisAddress, type RedisAddress } from "./redis-address.ts";
import { RedisConnection } from "./redis-connection.ts";
import { RedisDirectory } from "./redis-directory.ts";
import { RedisDoorbell } from "./redis-doorbell.ts";
import { RedisMessageLog } from "./redis-message-log.ts";
import { type RedisStorageOptions, type ResolvedRedisOptions, resolveRedisOptions } from "./redis-options.ts";
import { RedisRelay } from "./redis-relay.ts";
import { SideConnection } from "./side-connection.ts";

/**
 * Opens the storage on a Redis server, a Redis Cluster, or the master that sentinels name. Throws BusError
 * STORAGE_UNAVAILABLE when it cannot be reached, and an Error that says what to do when URL, options or the server's
 * settings are wrong.
 */
export async function createRedisStorage(
  url: string,
  options: RedisStorageOptions,
  environment: StorageEnvironment,
): Promise<RedisStorage> {
  const storage = new RedisStorage(parseRedisAddress(url), resolveRedisOptions(options), environment);
  try {
    await storage.open();
    return storage;
  } catch (error) {
    await storage.close();
    throw error;
  }
}

/** `redis://host:6379/0`, `rediss://…`, `redis+cluster://host,host` or `redis+sentinel://host,host/master/0`. */
export const redisStorage: StorageFactory = (url, options, environment) =>
  createRedisStorage(url, options, environment);

/** Three connections: commands, publishing, listening. Nothing else is held but what is in flight. */
export class RedisStorage implements StorageAdapter {
  readonly kind = "redis";
  readonly log: RedisMessageLog;
  readonly directory: RedisDirectory;
  readonly doorbell: RedisDoorbell;
  readonly relay: RedisRelay;
  readonly #address: RedisAddress;
  readonly #keys: RedisKeys;
  readonly #environment: StorageEnvironment;
  readonly #connection: RedisConnection;
  readonly #publishing: SideConnection;
  readonly #listening: SideConnection;
  #closed: Promise<void> | undefined;

  constructor(address: RedisAddress, options: ResolvedRedisOptions, environment: StorageEnvironment) {
    const { log } = environment;
    const main = new RedisConnection(address, options, environment);
    const side = { main, options, environment };
    const onBack = () => this.doorbell.publisherIsBack();
    const publishing = new SideConnection({ ...side, onBack });
    const publisher = new Publisher(publishing, options.maxRelayBytes, onBack);
    this.#address = address;
    this.#environment = environment;
    this.#keys = new RedisKeys(options.prefix);
    this.#connection = main;
    this.#publishing = publishing;
    this.#listening = new SideConnection({
      ...side,
      prepare: (redis) => this.#listen(redis),
      onBack: () => {
        this.doorbell.missed();
        this.relay.missed();
      },
    });
    const node = randomBytes(6).toString("base64url");
    this.doorbell = new RedisDoorbell(publisher, this.#keys.rings, node, log);
    this.log = new RedisMessageLog(main, this.#keys, options, environment, { node, doorbell: this.doorbell });
    this.directory = new RedisDirectory(main, this.#keys);
    this.relay = new RedisRelay(publisher, this.#keys.packets, log);
  }

  async open(): Promise<void> {
    const facts = await this.#connection.open();
    const applied = await prepareLayout(this.#connection, this.#keys, describeAddress(this.#address));
    if (applied.length > 0) this.#environment.log.info({ applied }, "the layout in Redis was brought up to date");
    await Promise.all([this.#publishing.open(), this.#listening.open()]);
    if (facts.isPersistent === false) {
      this.#environment.log.warn(
        {},
        "the Redis server keeps nothing over its own restart: turn on appendonly, or messages are lost with it",
      );
    }
  }

  /** Durability is the server's setting, as it was when last looked at: at each connection and every few seconds. */
  get capabilities(): StorageCapabilities {
    const durability = this.#connection.facts?.durability ?? "STORED";
    return { durable: true, shared: true, durability, notifies: true };
  }

  now(): number {
    return this.#connection.now();
  }

  problem(): string | undefined {
    const problem = this.#connection.problem();
    if (problem !== undefined) return problem;
    if (this.#listening.redis !== undefined) return undefined;
    return `${describeAddress(this.#address)} cannot be listened to; connecting again`;
  }

  async sweep(): Promise<void> {
    await this.directory.sweep();
  }

  close(): Promise<void> {
    this.#closed ??= this.#close();
    return this.#closed;
  }

  async #close(): Promise<void> {
    await this.log.close();
    await Promise.all([this.#publishing.close(), this.#listening.close()]);
    this.#connection.close();
  }

  async #listen(redis: Redis): Promise<void> {
    const { rings, packets } = this.#keys;
    redis.on("messageBuffer", (channel: Buffer, message: Buffer) => {
      const name = channel.toString();
      if (name === rings) this.doorbell.heard(message);
      else if (name === packets) this.relay.heard(message);
    });
    await redis.subscribe(rings, packets);
  }
}
