/// <reference lib="esnext.disposable" preserve="true" />
import { Agent } from "./agent.ts";
import { Agents } from "./agents.ts";
import { Channels } from "./channels.ts";
import { type CallOptions, type Clients, Connection } from "./connection.ts";
import type { GetServerInfoResponse, GetStatusResponse, PingResponse } from "./gen/agentbus/v1/admin_service_pb.ts";
import { type LinkOptions, resolveLinkOptions } from "./link-options.ts";
import type { Platform } from "./platform.ts";
import { MemoryPositionStore, type PositionStore } from "./position-store.ts";
import type { AgentProfile } from "./profile.ts";
import { Rooms } from "./rooms.ts";

export interface AgentBusOptions extends LinkOptions {
  /** Where the bus is. Default "http://127.0.0.1:7400". */
  readonly url?: string;
  /**
   * Several nodes of the bus: one is used at a time, the next one when it fails. One that failed is the last choice for 5 s,
   * doubled up to a minute while it goes on failing. Instead of `url`.
   */
  readonly urls?: readonly string[];
  /** Sent with every call; a function is asked each time, so that keys can change. Default: none. */
  readonly apiKey?: string | (() => string | Promise<string>);
  /** How long a message is sent again until it is given up, in milliseconds. Default 60,000; keep it below the channels' dedup window (2 min). */
  readonly sendTimeoutMs?: number;
  /** How long `close` waits for what is on its way, in milliseconds. Default 10,000. */
  readonly closeTimeoutMs?: number;
  /** Where named subscriptions keep how far they have read. Default: memory. */
  readonly positions?: PositionStore;
  /**
   * Told what a person should know and no code asked for: a gap nobody handles; what is tried again and again, once until
   * the bus answers, after four failures in a row or one that took a second. Must not throw. Default: console.warn;
   * `() => {}` for silence. Nothing else is written anywhere.
   */
  readonly onWarning?: (text: string) => void;
}

const DEFAULT_URL = "http://127.0.0.1:7400";

/** The base of AgentBus in a browser and in Node: everything but the transport. */
export class Bus implements AsyncDisposable {
  /** Who is on the bus. */
  readonly agents: Agents;
  readonly rooms: Rooms;
  readonly channels: Channels;
  readonly #connection: Connection;
  readonly #agents = new Map<string, Agent>();
  readonly #defaults: { positions: PositionStore; sendTimeoutMs: number; closeTimeoutMs: number };

  constructor(platform: Platform, options: AgentBusOptions) {
    this.#connection = new Connection(platform, {
      urls: resolveUrls(options),
      apiKey: options.apiKey,
      link: resolveLinkOptions(options),
      warn: options.onWarning ?? warnOnConsole,
    });
    this.#defaults = {
      positions: options.positions ?? new MemoryPositionStore(),
      sendTimeoutMs: positive("sendTimeoutMs", options.sendTimeoutMs ?? 60_000),
      closeTimeoutMs: positive("closeTimeoutMs", options.closeTimeoutMs ?? 10_000),
    };
    this.agents = new Agents(this.#connection);
    this.rooms = new Rooms(this.#connection);
    this.channels = new Channels(this.#connection);
  }

  /** The generated clients, for what this SDK has no words for. They do not retry and throw ConnectError. */
  get clients(): Clients {
    return this.#connection.clients;
  }

  /** The server that calls go to now. */
  get url(): string {
    return this.#connection.url;
  }

  /**
   * Speaks as this agent; the same id gives the same Agent until that is closed. A profile is registered before the agent
   * does anything; give it the first time, later use `agent.register`.
   */
  agent(id: string, profile?: AgentProfile): Agent {
    this.#connection.signal.throwIfAborted();
    const known = this.#agents.get(id);
    if (known === undefined) {
      const agent = new Agent(id, this.#connection, {
        ...this.#defaults,
        profile,
        onClose: () => this.#agents.delete(id),
      });
      this.#agents.set(id, agent);
      return agent;
    }
    if (profile !== undefined) throw new TypeError(`agent ${id} is in use: change its profile with register or update`);
    return known;
  }

  /** Resolves when the bus answers, to the server's clock and node. */
  ping(options?: CallOptions): Promise<PingResponse> {
    return this.#connection.call((call) => this.clients.admin.ping({}, call), options);
  }

  /** What the server is, can do and allows. */
  info(options?: CallOptions): Promise<GetServerInfoResponse> {
    return this.#connection.call((call) => this.clients.admin.getServerInfo({}, call), options);
  }

  /** How it is: agents, rooms, channels, load. `maxChannels`: so many of the busiest; default 20. */
  status({
    maxChannels = 0,
    ...options
  }: CallOptions & { readonly maxChannels?: number } = {}): Promise<GetStatusResponse> {
    return this.#connection.call((call) => this.clients.admin.getStatus({ maxChannels }, call), options);
  }

  /** Closes all agents: subscriptions end, what was sent is waited for (at most `closeTimeoutMs`). Then every stream and connection. */
  async close(): Promise<void> {
    try {
      await Promise.all([...this.#agents.values()].map((agent) => agent.close()));
    } finally {
      this.#connection.close();
    }
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}

function resolveUrls({ url, urls }: AgentBusOptions): readonly string[] {
  if (url !== undefined && urls !== undefined) throw new TypeError("give url or urls, not both");
  const given = urls ?? [url ?? DEFAULT_URL];
  if (given.length === 0) throw new TypeError("urls is empty");
  for (const each of given) {
    if (!/^https?:\/\/[^/]/.test(each))
      throw new TypeError(`url ${JSON.stringify(each)} must start with http:// or https://`);
  }
  return given.map((each) => each.replace(/\/+$/, ""));
}

function positive(name: string, ms: number): number {
  if (ms > 0) return ms;
  throw new RangeError(`${name} ${ms} is not above 0`);
}

function warnOnConsole(text: string): void {
  // biome-ignore lint/suspicious/noConsole: a program that asked for no warnings must still hear of lost messages.
  console.warn(`agentbus: ${text}`);
}
