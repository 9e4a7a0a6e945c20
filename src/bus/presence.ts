import type { AgentState } from "../core/agent.ts";
import type { Clock, Stop } from "../core/clock.ts";
import type { Logger } from "../core/logger.ts";
import type { AgentStream } from "./registry.ts";

/** What of a stream's subscriptions is kept for people to read. */
const MAX_SUBSCRIPTIONS = 100;

export interface PresenceOptions {
  readonly clock: Clock;
  readonly log: Logger;
  readonly leaseMs: number;
  /** The agent came, went, or changed between ONLINE, AWAY and DRAINING; told after `state` answers so. */
  readonly onState: (agentId: string) => void;
}

/** Why an agent is no longer here, for the log. */
type Departure = "stream closed" | "lease expired" | "disconnected" | "deleted";

interface Stream {
  readonly end: () => void;
  subscriptions: readonly string[];
}

interface Entry {
  readonly streams: Set<Stream>;
  online: boolean;
  state: Exclude<AgentState, "OFFLINE">;
  /** On the monotonic clock; only the end of a lease that no stream holds up. */
  leaseUntil: number;
  stopTimer: Stop | undefined;
  connectedAtMs: number;
  lastActivityAtMs: number;
}

/**
 * Who is here, as far as this node sees.
 *
 *            first stream, heartbeat
 *   OFFLINE ------------------------> ONLINE <--heartbeat--> AWAY, DRAINING
 *      ^                                 |
 *      |  last stream closed gracefully, lease expired, disconnect, forget
 *      +---------------------------------+
 *
 * A lease runs from each heartbeat and from the moment when the last stream was cut. While a stream is open no lease
 * ends; a lease that a heartbeat began does not outlive a graceful close: the client said that it leaves.
 */
export class Presence {
  readonly #options: PresenceOptions;
  readonly #entries = new Map<string, Entry>();
  #online = 0;
  #streams = 0;

  constructor(options: PresenceOptions) {
    this.#options = options;
  }

  get online(): number {
    return this.#online;
  }

  get streams(): number {
    return this.#streams;
  }

  state(agentId: string): AgentState {
    const entry = this.#entries.get(agentId);
    return entry?.online ? entry.state : "OFFLINE";
  }

  isAvailable(agentId: string): boolean {
    const entry = this.#entries.get(agentId);
    return entry?.online === true && entry.state !== "DRAINING";
  }

  heartbeat(agentId: string, state: Exclude<AgentState, "OFFLINE"> | undefined): AgentState {
    const entry = this.#touch(agentId);
    this.#extendLease(agentId, entry);
    const next = state ?? (entry.online ? entry.state : "ONLINE");
    if (!entry.online) this.#arrive(agentId, entry, next, "heartbeat");
    else if (entry.state !== next) {
      entry.state = next;
      this.#options.onState(agentId);
    }
    return next;
  }

  openStream(agentId: string, end: () => void): AgentStream {
    const entry = this.#touch(agentId);
    const stream: Stream = { end, subscriptions: [] };
    entry.streams.add(stream);
    this.#streams++;
    if (!entry.online) this.#arrive(agentId, entry, "ONLINE", "stream opened");
    return {
      describe: (subscriptions) => {
        stream.subscriptions = subscriptions.slice(0, MAX_SUBSCRIPTIONS);
      },
      close: (graceful) => {
        if (!entry.streams.delete(stream)) return;
        this.#streams--;
        entry.lastActivityAtMs = this.#options.clock.now();
        if (entry.streams.size > 0 || !entry.online) return;
        if (graceful) this.#leave(agentId, entry, "stream closed");
        else this.#extendLease(agentId, entry);
      },
    };
  }

  disconnect(agentId: string): number {
    return this.#end(agentId, "disconnected");
  }

  /** The agent is deleted: nothing of it is kept. */
  forget(agentId: string): void {
    this.#end(agentId, "deleted");
    this.#entries.delete(agentId);
  }

  touch(agentId: string): void {
    this.#touch(agentId);
  }

  /** 0: never, as far as this node knows. */
  connectedAtMs(agentId: string): number {
    return this.#entries.get(agentId)?.connectedAtMs ?? 0;
  }

  /** 0: never, as far as this node knows. */
  lastActivityAtMs(agentId: string): number {
    return this.#entries.get(agentId)?.lastActivityAtMs ?? 0;
  }

  /** At most the first 100. */
  subscriptions(agentId: string): readonly string[] {
    const found = new Set<string>();
    for (const { subscriptions } of this.#entries.get(agentId)?.streams ?? []) {
      for (const subscription of subscriptions) {
        if (found.size === MAX_SUBSCRIPTIONS) return [...found];
        found.add(subscription);
      }
    }
    return [...found];
  }

  close(): void {
    for (const entry of this.#entries.values()) entry.stopTimer?.();
  }

  #touch(agentId: string): Entry {
    const now = this.#options.clock.now();
    const known = this.#entries.get(agentId);
    if (known !== undefined) {
      known.lastActivityAtMs = now;
      return known;
    }
    const entry: Entry = {
      streams: new Set(),
      online: false,
      state: "ONLINE",
      leaseUntil: 0,
      stopTimer: undefined,
      connectedAtMs: 0,
      lastActivityAtMs: now,
    };
    this.#entries.set(agentId, entry);
    return entry;
  }

  #end(agentId: string, cause: Departure): number {
    const entry = this.#entries.get(agentId);
    if (entry === undefined) return 0;
    const streams = [...entry.streams];
    entry.streams.clear();
    this.#streams -= streams.length;
    this.#leave(agentId, entry, cause);
    for (const stream of streams) {
      try {
        stream.end();
      } catch (error) {
        this.#options.log.error({ err: error, agentId }, "a stream could not be ended");
      }
    }
    return streams.length;
  }

  #arrive(agentId: string, entry: Entry, state: Entry["state"], cause: "heartbeat" | "stream opened"): void {
    entry.online = true;
    entry.state = state;
    entry.connectedAtMs = this.#options.clock.now();
    this.#online++;
    this.#options.log.info({ agentId, cause }, `Agent ${agentId} connected`);
    this.#options.onState(agentId);
  }

  #leave(agentId: string, entry: Entry, cause: Departure): void {
    entry.stopTimer?.();
    entry.stopTimer = undefined;
    entry.leaseUntil = 0;
    if (!entry.online) return;
    entry.online = false;
    this.#online--;
    this.#options.log.info({ agentId, cause }, `Agent ${agentId} disconnected`);
    this.#options.onState(agentId);
  }

  /** One timer for an agent, which looks again when it rings: a heartbeat only moves a number. */
  #extendLease(agentId: string, entry: Entry): void {
    const { clock, leaseMs } = this.#options;
    entry.leaseUntil = clock.monotonic() + leaseMs;
    if (entry.stopTimer === undefined) this.#watchLease(agentId, entry, leaseMs);
  }

  #watchLease(agentId: string, entry: Entry, ms: number): void {
    const { clock } = this.#options;
    entry.stopTimer = clock.after(ms, () => {
      entry.stopTimer = undefined;
      const left = entry.leaseUntil - clock.monotonic();
      if (left > 0) this.#watchLease(agentId, entry, left);
      else if (entry.streams.size === 0) this.#leave(agentId, entry, "lease expired");
    });
  }
}
