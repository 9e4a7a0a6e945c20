import { once } from "node:events";
import { setTimeout as delay } from "node:timers/promises";
import { Cluster, type Redis } from "ioredis";
import { BusError } from "../../core/errors.ts";
import type { StorageEnvironment } from "../storage-adapter.ts";
import { backoffMs } from "./backoff.ts";
import { createClient, type RedisClient } from "./create-client.ts";
import { describeAddress, type RedisAddress } from "./redis-address.ts";
import { adviceFor, isNoScript, toBusError } from "./redis-errors.ts";
import type { ResolvedRedisOptions } from "./redis-options.ts";
import type { RedisScript } from "./scripts/script.ts";
import { combineFacts, inspectServer, type ServerFacts, unfitness } from "./server-facts.ts";

/** Heartbeats after which the server is asked again for everything it says of itself. */
const INSPECT_EVERY = 5;

/**
 * The connection for commands: to one server, to the master that the sentinels name, or to the nodes of a cluster. While
 * it is away every command fails at once; it connects again by itself.
 *
 *   opening --(open() resolves)--> connected <--(by itself)--> away
 *   any --(close)--> closed
 */
export class RedisConnection {
  readonly address: RedisAddress;
  readonly client: RedisClient;
  readonly #options: ResolvedRedisOptions;
  readonly #environment: StorageEnvironment;
  #facts: ServerFacts | undefined;
  #isOpen = false;
  #isClosed = false;
  /** Whether the loss of the connection was told. */
  #isAway = false;
  #lastError: Error | undefined;
  #fault: string | undefined;
  #clockOffsetMs = 0;
  #heartbeat: NodeJS.Timeout | undefined;
  #beats = 0;
  /** How often the driver gave up since it was last connected. */
  #ends = 0;

  constructor(address: RedisAddress, options: ResolvedRedisOptions, environment: StorageEnvironment) {
    this.address = address;
    this.#options = options;
    this.#environment = environment;
    this.client = createClient(address, options, (attempt) => (this.#isOpen ? backoffMs(attempt) : null));
    this.client.on("error", (error: Error) => this.#failed(error));
    this.client.on("node error", (error: Error) => this.#failed(error));
    // Without it a node that joins is connected by its first command, and refuses those that come meanwhile.
    this.client.on("+node", (node: Redis) => void untilReady(node, options.timeoutMs).catch(() => {}));
    this.client.on("close", () => this.#lost());
    this.client.on("ready", () => void this.#connected());
    // Sentinels that tell of a fail-over while the driver connects make it give up for good.
    this.client.on("end", () => void this.#connectAgain());
  }

  /** Connects and looks at the server. Throws STORAGE_UNAVAILABLE, or an Error that says what is wrong with the server. */
  async open(): Promise<ServerFacts> {
    const facts = await this.#firstLook();
    await this.#checkDatabase();
    const unfit = unfitness(facts);
    if (unfit !== undefined) throw new Error(`${describeAddress(this.address)} cannot be used: ${unfit}`);
    if (!facts.isMaster) throw new BusError("STORAGE_UNAVAILABLE", `${describeAddress(this.address)} is a replica`);
    this.#isOpen = true;
    this.#facts = facts;
    await this.#measureClock();
    this.#heartbeat = setInterval(() => void this.#beat(), this.#options.heartbeatMs);
    this.#heartbeat.unref();
    return facts;
  }

  /** As they were when they were last asked for. */
  get facts(): ServerFacts | undefined {
    return this.#facts;
  }

  now(): number {
    return this.#environment.storeClock?.() ?? Math.round(this.#environment.now() + this.#clockOffsetMs);
  }

  /** The clock for scripts: "" lets the server take its own. */
  get clock(): string {
    return String(this.#environment.storeClock?.() ?? "");
  }

  problem(): string | undefined {
    if (this.#isClosed) return "the storage is closed";
    if (this.client.status !== "ready") {
      return `${describeAddress(this.address)} cannot be reached: ${this.#lastError?.message ?? "the connection was lost"}`;
    }
    return this.#fault;
  }

  /** Runs a script, once. Throws BusError. */
  async run(
    script: RedisScript,
    keys: readonly string[],
    args: readonly (string | number | Buffer)[],
  ): Promise<unknown> {
    try {
      const rest = [keys.length, ...keys, ...args];
      try {
        return await this.client.callBuffer("evalsha", script.sha1, ...rest);
      } catch (error) {
        if (!isNoScript(error)) throw error;
        return await this.client.callBuffer("eval", script.source, ...rest); // it was not executed: a new server
      }
    } catch (error) {
      throw toBusError(error);
    }
  }

  /** Masters that are connected now; of a cluster all of them. */
  get masters(): readonly Redis[] {
    const { client } = this;
    return client instanceof Cluster ? client.nodes("master") : [client];
  }

  close(): void {
    this.#isClosed = true;
    this.#isOpen = false;
    clearInterval(this.#heartbeat);
    this.client.disconnect();
  }

  async #firstLook(): Promise<ServerFacts> {
    const { connectTimeoutMs } = this.#options;
    const { promise: expired, reject } = Promise.withResolvers<never>();
    const timer = setTimeout(() => reject(new Error(`no answer within ${connectTimeoutMs} ms`)), connectTimeoutMs);
    try {
      return await Promise.race([this.#connect(), expired]);
    } catch (error) {
      const cause = this.#lastError ?? (error as Error);
      const text = `${describeAddress(this.address)}: ${cause.message}`;
      const advice = adviceFor(cause);
      if (advice !== undefined) throw new Error(`${text}; ${advice}`);
      throw new BusError("STORAGE_UNAVAILABLE", text, { cause: new Error(cause.message) });
    } finally {
      clearTimeout(timer);
    }
  }

  /** Where the server has no such database the driver says nothing, and goes on in database 0: another bus's, perhaps. */
  async #checkDatabase(): Promise<void> {
    const { client, address } = this;
    if (address.db === 0 || client instanceof Cluster) return;
    try {
      await client.select(address.db);
    } catch (error) {
      const { name, message } = error as Error;
      if (name !== "ReplyError") throw toBusError(error);
      throw new Error(
        `${describeAddress(address)}: database ${address.db}: ${message}; give another number in the URL, ` +
          "or share one database under a prefix (?prefix=)",
      );
    }
  }

  async #connect(): Promise<ServerFacts> {
    await this.client.connect();
    return await this.#inspect();
  }

  async #inspect(): Promise<ServerFacts> {
    await Promise.all(this.masters.map((node) => untilReady(node, this.#options.timeoutMs)));
    return combineFacts(await Promise.all(this.masters.map(inspectServer)));
  }

  #failed(error: Error): void {
    // What the driver makes of every command of a connection that it lost; the cause was told before.
    if (error.name === "MaxRetriesPerRequestError") return;
    const isNew = this.#lastError?.message !== error.message;
    this.#lastError = error;
    if (isNew && this.#isOpen && !this.#isAway)
      this.#environment.log.warn({ reason: error.message }, "the connection to Redis failed");
  }

  /** Also after each attempt to connect again, of which an outage may have thousands. */
  #lost(): void {
    if (!this.#isOpen || this.#isAway) return;
    this.#isAway = true;
    const reason = this.#lastError?.message ?? "the connection was closed";
    this.#environment.log.warn({ reason }, "Redis is away; trying again until it is back");
  }

  async #connectAgain(): Promise<void> {
    if (!this.#isOpen) return;
    await delay(backoffMs(++this.#ends), undefined, { ref: false });
    if (!this.#isOpen || this.client.status !== "end") return;
    await this.client.connect().catch(() => {}); // it tries again by itself, or ends again
  }

  async #connected(): Promise<void> {
    this.#lastError = undefined;
    this.#ends = 0;
    if (!this.#isOpen) return;
    this.#isAway = false;
    this.#environment.log.info({}, "Redis is back");
    await this.#look();
  }

  async #beat(): Promise<void> {
    if (this.client.status !== "ready") return;
    this.#beats++;
    if (this.#fault !== undefined || this.#beats % INSPECT_EVERY === 0) await this.#look();
    else await this.#measureClock().catch((error: Error) => this.#failed(error));
  }

  /** Settings may have changed, above all when another server answers. */
  async #look(): Promise<void> {
    try {
      const facts = await this.#inspect();
      const unfit = facts.isMaster ? (unfitness(facts) ?? facts.fault) : "it is a replica";
      if (unfit !== undefined && this.#fault === undefined) {
        this.#environment.log.error({ reason: unfit }, "the Redis server is not fit for the bus");
      }
      this.#fault = unfit === undefined ? undefined : `${describeAddress(this.address)} is not fit: ${unfit}`;
      this.#facts = facts;
      await this.#measureClock();
    } catch (error) {
      this.#failed(error as Error);
      this.#fault = `${describeAddress(this.address)} does not answer: ${(error as Error).message}`;
    }
  }

  async #measureClock(): Promise<void> {
    const before = this.#environment.now();
    const [seconds, micros] = await this.client.time();
    const after = this.#environment.now();
    this.#clockOffsetMs = Number(seconds) * 1_000 + Number(micros) / 1_000 - (before + after) / 2;
  }
}

/** A cluster connects to a node when the first command is sent to it, and refuses those that come meanwhile. */
async function untilReady(node: Redis, timeoutMs: number): Promise<void> {
  if (node.status === "wait") await node.connect();
  if (node.status === "ready") return;
  try {
    await once(node, "ready", { signal: AbortSignal.timeout(timeoutMs) });
  } catch {
    throw new Error(`${node.options.host}:${node.options.port} cannot be reached`);
  }
}
