import { type Client, createClient, type Interceptor, type Transport } from "@connectrpc/connect";
import { Addresses } from "./addresses.ts";
import { backoffDelayMs } from "./backoff.ts";
import { BusError, ClosedError } from "./errors.ts";
import { FailureRow } from "./failure-row.ts";
import { AdminService } from "./gen/agentbus/v1/admin_service_pb.ts";
import { AgentService } from "./gen/agentbus/v1/agent_service_pb.ts";
import { BusService } from "./gen/agentbus/v1/bus_service_pb.ts";
import { RoomService } from "./gen/agentbus/v1/room_service_pb.ts";
import type { ResolvedLinkOptions } from "./link-options.ts";
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
  readonly link: ResolvedLinkOptions;
  readonly warn: (text: string) => void;
}

export interface CallOptions {
  /** Ends the call. */
  readonly signal?: AbortSignal;
  /** How long the call may take with all its attempts, in milliseconds. Default: the bus's `callTimeoutMs`. */
  readonly timeoutMs?: number;
}

export interface CallPlan {
  /** How often it may be repeated. Default: the bus's `maxRetries`. */
  readonly retries?: number;
  /** How long the bus is asked to wait before it answers, in milliseconds: on top of every attempt. Default 0. */
  readonly waitMs?: number;
  /** What the call does, for people: "registering alice". Unset: it is soon over, and its caller is told by its error. */
  readonly what?: string;
}

type Invoke<T> = (options: { signal: AbortSignal; timeoutMs: number }) => Promise<T>;

/**
 * The way to the bus: one server of several at a time, the next one when it fails. Everything of one AgentBus that talks
 * to the bus shares it.
 */
export class Connection {
  readonly clients: Clients;
  readonly clientStreams: boolean;
  readonly callTimeoutMs: number;
  readonly warn: (text: string) => void;
  readonly #platform: Platform;
  readonly #link: ResolvedLinkOptions;
  readonly #addresses: Addresses;
  readonly #interceptors: Interceptor[];
  readonly #closing = new AbortController();
  readonly #endpoints = new Map<string, Endpoint>();
  readonly #waiting = new Set<() => void>();
  #toldOfTrouble = false;

  constructor(platform: Platform, options: ConnectionOptions) {
    this.#platform = platform;
    this.#addresses = new Addresses(options.urls);
    this.#link = options.link;
    this.callTimeoutMs = options.link.callTimeoutMs;
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
    return this.#addresses.url;
  }

  /** Names the server that calls go to now, for `failed` and `reached`. */
  get generation(): number {
    return this.#addresses.generation;
  }

  /**
   * An attempt on the server of this generation failed. Calls go to another address, if there is one and the failure is
   * of the server, or of its way to the storage, and not of the request. What still runs over the old one finishes.
   */
  failed(generation: number, error: BusError): void {
    if (isOfServer(error)) this.left(generation);
  }

  /** The server of this generation is leaving. */
  left(generation: number): void {
    this.#addresses.failed(generation);
  }

  /** Whether this failure is met by going to another address. */
  movesOn(error: BusError): boolean {
    return error.retry === "RECONNECT" || (this.#addresses.count > 1 && isOfServer(error));
  }

  /** The server of this generation answered something: who waits for the bus to come back need not wait longer. */
  reached(generation: number): void {
    this.#addresses.worked(generation);
    this.#toldOfTrouble = false;
    for (const wake of this.#waiting) wake();
  }

  /** What is tried without end keeps failing: a person hears of it, once until the bus answers something. */
  keepsFailing(what: string, { message }: BusError): void {
    if (this.#toldOfTrouble) return;
    this.#toldOfTrouble = true;
    this.warn(`${what} fails again and again (${message}); going on trying, now ${this.url}`);
  }

  /** How long to wait after so many failures in a row (from 0), in milliseconds: longer with each round of the addresses. */
  backoffDelayMs(failures: number): number {
    return backoffDelayMs(this.#link.backoff, Math.floor(failures / this.#addresses.count));
  }

  /** How long an answer to a publish may take after so many failures in a row, in milliseconds. */
  answerTimeoutMs(failures: number): number {
    const { attemptTimeoutMs, callTimeoutMs } = this.#link;
    if (this.#addresses.count === 1) return callTimeoutMs;
    // A bus that is slow for everyone must not be asked the same again and again, each time before it could answer.
    return Math.min(attemptTimeoutMs * 2 ** Math.min(failures, 16), Math.max(attemptTimeoutMs, callTimeoutMs));
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
   * Makes one call, repeated when the failure says that this can help, and at another address when one does not answer in
   * time, until its time is over. Only for calls that may be carried out twice.
   */
  async call<T>(invoke: Invoke<T>, options: CallOptions = {}, plan: CallPlan = {}): Promise<T> {
    const { retries = this.#link.maxRetries, waitMs = 0, what } = plan;
    const { controller, release } = linkedController(this.signal, options.signal);
    const { signal } = controller;
    const wholeMs = options.timeoutMs ?? this.callTimeoutMs;
    const beganMs = performance.now();
    const deadline = beganMs + wholeMs;
    const row = new FailureRow(beganMs);
    try {
      for (;;) {
        signal.throwIfAborted();
        const { generation } = this;
        try {
          const timeoutMs = this.#attemptMs(deadline - performance.now(), wholeMs, waitMs);
          const answer = await invoke({ signal, timeoutMs });
          this.reached(generation);
          return answer;
        } catch (cause) {
          signal.throwIfAborted();
          const error = BusError.from(cause);
          this.failed(generation, error);
          if (error.retry === "NEVER" || row.count >= retries) throw error;
          const delayMs = Math.max(this.backoffDelayMs(row.count), error.retryDelayMs ?? 0);
          if (performance.now() + delayMs >= deadline) throw error;
          if (row.add() && what !== undefined) this.keepsFailing(what, error);
          await delay(delayMs, signal);
        }
      }
    } finally {
      release();
    }
  }

  /**
   * Makes one call that must not be carried out twice: whoever made it is told when no answer came, and other calls go to
   * another address.
   */
  async callOnce<T>(invoke: Invoke<T>, options: CallOptions = {}): Promise<T> {
    const { controller, release } = linkedController(this.signal, options.signal);
    const { generation } = this;
    try {
      controller.signal.throwIfAborted();
      const answer = await invoke({ signal: controller.signal, timeoutMs: options.timeoutMs ?? this.callTimeoutMs });
      this.reached(generation);
      return answer;
    } catch (cause) {
      controller.signal.throwIfAborted();
      const error = BusError.from(cause);
      this.failed(generation, error);
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

  /**
   * How long an attempt may take of what is left of the whole time, Infinity: as long as it takes. In whole milliseconds,
   * and at least one: 0 would mean no limit.
   */
  #attemptMs(leftMs: number, wholeMs: number, waitMs: number): number {
    const { attemptTimeoutMs, callTimeoutMs } = this.#link;
    const mostMs = Number.isFinite(leftMs) ? leftMs : waitMs + callTimeoutMs;
    // Half of the whole, so that another address gets its turn even when the caller is in a hurry.
    const shareMs = waitMs + Math.min(attemptTimeoutMs, (wholeMs - waitMs) / 2);
    return Math.max(1, Math.ceil(this.#addresses.count === 1 ? mostMs : Math.min(mostMs, shareMs)));
  }

  #open(): Endpoint {
    this.signal.throwIfAborted();
    const { url } = this;
    const known = this.#endpoints.get(url);
    if (known !== undefined) return known;
    const endpoint = this.#platform.open(url, this.#interceptors, this.#link);
    this.#endpoints.set(url, endpoint);
    return endpoint;
  }
}

/** Whether another server may do better: this one is gone or leaving, does not answer in time, or lost its storage. */
function isOfServer({ retry, reason }: BusError): boolean {
  return retry === "RECONNECT" || (retry === "SAME" && (reason === "STORAGE_UNAVAILABLE" || reason === "DEADLINE"));
}

function bearer(apiKey: string | (() => string | Promise<string>)): Interceptor {
  return (next) => async (request) => {
    request.header.set("authorization", `Bearer ${typeof apiKey === "string" ? apiKey : await apiKey()}`);
    return next(request);
  };
}
