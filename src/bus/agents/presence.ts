import type { PresentState } from "../../core/agent.ts";
import type { Clock, Stop } from "../../core/clock.ts";
import type { Logger } from "../../core/logger.ts";
import type { AgentStream, StreamCounts } from "../directory/registry.ts";
import type { PresenceRecord } from "./remote-presence.ts";

/** What of a stream's subscriptions is kept for people to read. */
export const MAX_SUBSCRIPTIONS = 100;

export interface PresenceOptions {
  readonly clock: Clock;
  readonly log: Logger;
  readonly leaseMs: number;
  /** The store's clock, by which the states that an agent tells several nodes are put in order. */
  readonly storeNow: () => number;
  /** What is known of the agent on other nodes at this moment: who arrives here goes on with it. */
  readonly elsewhere: (agentId: string) => PresenceRecord | undefined;
  /** The agent came, went, or changed between ONLINE, AWAY and DRAINING; told after `of` answers so. */
  readonly onState: (agentId: string, departure: Departure | undefined) => void;
  /** What it reads has changed. */
  readonly onSubscriptions: (agentId: string) => void;
}

/** Why an agent is no longer here. */
export type Departure = "stream closed" | "lease expired" | "disconnected" | "deleted";

interface Stream {
  readonly end: () => void;
  subscriptions: readonly string[];
  open: boolean;
}

interface Entry {
  /** Also those that are still being opened: they are ended with the others. */
  readonly streams: Set<Stream>;
  /** How many of them are open. */
  openStreams: number;
  online: boolean;
  state: PresentState;
  statedAtMs: number;
  /** On the monotonic clock; only the end of a lease that no stream holds up. */
  leaseUntil: number;
  stopTimer: Stop | undefined;
  connectedAtMs: number;
  lastActivityAtMs: number;
}

/**
 * Who is on this node: by its open streams, or by the lease that a heartbeat or a cut stream began.
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

  /** Agents on this node. */
  get online(): number {
    return this.#online;
  }

  get streams(): number {
    return this.#streams;
  }

  /** Undefined: it is not on this node. */
  of(agentId: string): PresenceRecord | undefined {
    const entry = this.#entries.get(agentId);
    if (entry?.online !== true) return undefined;
    const { state, statedAtMs, connectedAtMs, lastActivityAtMs } = entry;
    return { state, statedAtMs, connectedAtMs, lastActivityAtMs, subscriptions: subscriptionsOf(entry) };
  }

  /** Agents on this node. */
  *agents(): Generator<string> {
    for (const [agentId, { online }] of this.#entries) if (online) yield agentId;
  }

  heartbeat(agentId: string, state: PresentState | undefined): void {
    const entry = this.#touch(agentId);
    this.#extendLease(agentId, entry);
    if (!entry.online) this.#arrive(agentId, entry, state, "heartbeat");
    else if (state !== undefined) this.#say(agentId, entry, state, this.#timeOfWord(agentId, entry));
  }

  /** The agent told another node its state, later than it told this one. Not here: nothing happens. */
  hear(agentId: string, { state, statedAtMs }: PresenceRecord): void {
    const entry = this.#entries.get(agentId);
    if (entry?.online === true && statedAtMs > entry.statedAtMs) this.#say(agentId, entry, state, statedAtMs);
  }

  openStream(agentId: string, end: () => void, counts: StreamCounts = "at once"): AgentStream {
    const entry = this.#touch(agentId);
    const stream: Stream = { end, subscriptions: [], open: false };
    entry.streams.add(stream);
    const open = () => {
      if (stream.open) return;
      stream.open = true;
      entry.openStreams++;
      this.#streams++;
      if (!entry.online) this.#arrive(agentId, entry, undefined, "stream opened");
    };
    if (counts === "at once") open();
    return {
      describe: (subscriptions) => {
        if (!entry.streams.has(stream)) return;
        stream.subscriptions = subscriptions.slice(0, MAX_SUBSCRIPTIONS);
        open();
        if (entry.online) this.#options.onSubscriptions(agentId);
      },
      close: (graceful) => {
        if (!entry.streams.delete(stream) || !stream.open) return;
        entry.openStreams--;
        this.#streams--;
        entry.lastActivityAtMs = this.#options.clock.now();
        if (!entry.online) return;
        if (entry.openStreams > 0) return this.#options.onSubscriptions(agentId);
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

  /** When it came to this node the last time; 0: never. */
  connectedAtMs(agentId: string): number {
    return this.#entries.get(agentId)?.connectedAtMs ?? 0;
  }

  /** 0: never, as far as this node knows. */
  lastActivityAtMs(agentId: string): number {
    return this.#entries.get(agentId)?.lastActivityAtMs ?? 0;
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
      openStreams: 0,
      online: false,
      state: "ONLINE",
      statedAtMs: 0,
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
    this.#streams -= entry.openStreams;
    entry.openStreams = 0;
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

  #arrive(agentId: string, entry: Entry, state: PresentState | undefined, cause: "heartbeat" | "stream opened"): void {
    const { clock, log, elsewhere, onState } = this.#options;
    const before = elsewhere(agentId);
    entry.online = true;
    entry.statedAtMs = state === undefined ? (before?.statedAtMs ?? 0) : this.#timeOfWord(agentId, entry);
    entry.state = state ?? before?.state ?? "ONLINE";
    entry.connectedAtMs = before?.connectedAtMs ?? clock.now();
    this.#online++;
    log.info({ agentId, cause }, `Agent ${agentId} connected`);
    onState(agentId, undefined);
  }

  /** To say the same again is nothing new: what counts between nodes is when the agent changed its mind. */
  #say(agentId: string, entry: Entry, state: PresentState, statedAtMs: number): void {
    if (entry.state === state) return;
    entry.state = state;
    entry.statedAtMs = statedAtMs;
    this.#options.onState(agentId, undefined);
  }

  /** Behind everything that it told any node, as far as is known: clocks of nodes differ a little. */
  #timeOfWord(agentId: string, entry: Entry): number {
    const { storeNow, elsewhere } = this.#options;
    return Math.max(storeNow(), entry.statedAtMs + 1, (elsewhere(agentId)?.statedAtMs ?? 0) + 1);
  }

  #leave(agentId: string, entry: Entry, cause: Departure): void {
    entry.stopTimer?.();
    entry.stopTimer = undefined;
    entry.leaseUntil = 0;
    if (!entry.online) return;
    entry.online = false;
    this.#online--;
    this.#options.log.info({ agentId, cause }, `Agent ${agentId} disconnected`);
    this.#options.onState(agentId, cause);
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
      else if (entry.openStreams === 0) this.#leave(agentId, entry, "lease expired");
    });
  }
}

function subscriptionsOf({ streams }: Entry): readonly string[] {
  const found = new Set<string>();
  for (const { subscriptions } of streams) {
    for (const subscription of subscriptions) {
      if (found.size === MAX_SUBSCRIPTIONS) return [...found];
      found.add(subscription);
    }
  }
  return [...found];
}
