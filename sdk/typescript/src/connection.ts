import { type Client, createClient, type Interceptor, type Transport } from "@connectrpc/connect";
import { type Backoff, backoffDelayMs } from "./backoff.ts";
import { BusError, ClosedError } from "./errors.ts";
import { AdminService } from "./gen/agentbus/v1/admin_service_pb.ts";
import { AgentService } from "./gen/agentbus/v1/agent_service_pb.ts";
import { BusService } from "./gen/agentbus/v1/bus_service_pb.ts";
import { RoomService } from "./gen/agentbus/v1/room_service_pb.ts";
import type { Endpoint, Platform } from "./platform.ts";
import { delay, linkedController } from "./waiting.ts";

/** The generated clients. They do not retry, and they throw ConnectError: `BusError.from` decodes it. */
export interface Clients {
  readonly bus: Client<typeof BusService>;
  readonly agents: Client<typeof AgentService>;
  readonly rooms: Client<typeof RoomService>;
  readonly admin: Client<typeof AdminService>;
}

export interface ConnectionOptions {
  readonly urls: readonly string[];
  readonly apiKey: string | (() => string | Promise<string>) | undefined;
  readonly backoff: Backoff;
  readonly callTimeoutMs: number;
  readonly warn: (text: string) => void;
}

export interface CallOptions {
  /** Ends the call. */
  readonly signal?: AbortSignal;
  /** How long one attempt may take, in milliseconds. Default: the bus's `callTimeoutMs`. */
  readonly timeoutMs?: number;
}

// S4-7: a call is repeated at most so often. Streams and the outbox go on for longer, each with its own rule.
const MAX_RETRIES = 3;

/**
 * The way to the bus: one server of several at a time, the next one when it fails. Everything of one AgentBus that talks
 * to the bus shares it.
 */
export class Connection {
  readonly clients: Clients;
  readonly clientStreams: boolean;
  readonly backoff: Backoff;
  readonly callTimeoutMs: number;
  readonly warn: (text: string) => void;
  readonly #platform: Platform;
  readonly #urls: readonly string[];
  readonly #interceptors: Interceptor[];
  readonly #closing = new AbortController();
  readonly #endpoints = new Map<string, Endpoint>();
  #generation = 0;
  readonly #waiting = new Set<() => void>();

  constructor(platform: Platform, options: ConnectionOptions) {
    this.#platform = platform;
    this.#urls = options.urls;
    this.backoff = options.backoff;
    this.callTimeoutMs = options.callTimeoutMs;
    this.warn = options.warn;
    this.clientStreams = platform.clientStreams;
    this.#interceptors = options.apiKey === undefined ? [] : [bearer(options.apiKey)];
    const transport: Transport = {
      unary: (...call) => this.#open().transport.unary(...call),
      stream: (...call) => this.#open().transport.stream(...call),
    };
    this.clients = {
      bus: createClient(BusService, transport),
      agents: createClient(AgentService, transport),
      rooms: createClient(RoomService, transport),
      admin: createClient(AdminService, transport),
    };
  }

  /** Aborted, with a ClosedError, when the bus is closed. */
  get signal(): AbortSignal {
    return this.#closing.signal;
  }

  /** The server that calls go to now. */
  get url(): string {
    return this.#urls[this.#generation % this.#urls.length]!;
  }

  /** Names the server that calls go to now, for `failed`. */
  get generation(): number {
    return this.#generation;
  }

  /** Tells that the server of this generation failed or is leaving: calls go to the next address, if there is another. */
  failed(generation: number): void {
    // Several streams on one connection notice its end; only the first of them moves on.
    if (generation !== this.#generation || this.#urls.length === 1) return;
    // The connection to it stays: what still runs over it finishes, and it is there when its turn comes again.
    this.#generation++;
  }

  /** The bus answered something: who waits for it to come back need not wait longer. */
  reached(): void {
    for (const wake of this.#waiting) wake();
  }

  /** Resolves to true when the bus answered something within so many milliseconds, else to false after them. */
  async reachedWithin(ms: number, signal: AbortSignal): Promise<boolean> {
    const { controller, release } = linkedController(signal);
    let reached = false;
    const wake = () => {
      reached = true;
      controller.abort();
    };
    this.#waiting.add(wake);
    try {
      await delay(ms, controller.signal);
    } catch {
      signal.throwIfAborted();
    } finally {
      this.#waiting.delete(wake);
      release();
    }
    return reached;
  }

  /**
   * Makes one call, repeated when the failure says that this can help, by default up to three times. Only for calls that
   * may be carried out twice.
   */
  async call<T>(
    invoke: (options: { signal: AbortSignal; timeoutMs: number }) => Promise<T>,
    options: CallOptions = {},
    maxRetries = MAX_RETRIES,
  ): Promise<T> {
    const { controller, release } = linkedController(this.signal, options.signal);
    const signal = controller.signal;
    try {
      for (let failures = 0; ; failures++) {
        signal.throwIfAborted();
        const generation = this.#generation;
        try {
          const answer = await invoke({ signal, timeoutMs: options.timeoutMs ?? this.callTimeoutMs });
          this.reached();
          return answer;
        } catch (cause) {
          signal.throwIfAborted();
          const error = BusError.from(cause);
          if (error.retry === "NEVER" || failures >= maxRetries) throw error;
          if (error.retry === "RECONNECT") this.failed(generation);
          await delay(Math.max(backoffDelayMs(this.backoff, failures), error.retryDelayMs ?? 0), signal);
        }
      }
    } finally {
      release();
    }
  }

  /** Makes one call that must not be carried out twice. */
  async callOnce<T>(
    invoke: (options: { signal: AbortSignal; timeoutMs: number }) => Promise<T>,
    options: CallOptions = {},
  ): Promise<T> {
    const { controller, release } = linkedController(this.signal, options.signal);
    const generation = this.#generation;
    try {
      controller.signal.throwIfAborted();
      return await invoke({ signal: controller.signal, timeoutMs: options.timeoutMs ?? this.callTimeoutMs });
    } catch (cause) {
      controller.signal.throwIfAborted();
      const error = BusError.from(cause);
      if (error.retry === "RECONNECT") this.failed(generation);
      throw error;
    } finally {
      release();
    }
  }

  close(): void {
    if (this.signal.aborted) return;
    this.#closing.abort(new ClosedError("the bus was closed"));
    for (const endpoint of this.#endpoints.values()) endpoint.close();
  }

  #open(): Endpoint {
    this.signal.throwIfAborted();
    const { url } = this;
    const known = this.#endpoints.get(url);
    if (known !== undefined) return known;
    const endpoint = this.#platform.open(url, this.#interceptors);
    this.#endpoints.set(url, endpoint);
    return endpoint;
  }
}

function bearer(apiKey: string | (() => string | Promise<string>)): Interceptor {
  return (next) => async (request) => {
    request.header.set("authorization", `Bearer ${typeof apiKey === "string" ? apiKey : await apiKey()}`);
    return next(request);
  };
}
