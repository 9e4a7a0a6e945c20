import type { Clock, Stop } from "../../core/clock.ts";
import type { Logger } from "../../core/logger.ts";
import type { DirectoryReplica } from "../directory/directory-replica.ts";
import { PendingWrites } from "../directory/pending-writes.ts";
import { presenceKey } from "../directory/record-keys.ts";
import { sameData } from "../directory/same-data.ts";
import type { NodeLease } from "../nodes/node-lease.ts";
import type { PresenceRecord } from "./remote-presence.ts";

/** Who comes names what it reads a moment later: both are one write. */
const STATE_DELAY_MS = 50;
/** What an agent reads is for people: an agent that opens streams all the time costs one write in this time. */
const DETAIL_DELAY_MS = 1_000;
/** Activity alone is written when what others know of it is older. */
const ACTIVITY_MS = 60_000;

export interface PresenceWriterOptions {
  readonly clock: Clock;
  readonly log: Logger;
  readonly replica: DirectoryReplica;
  readonly lease: NodeLease;
  /** What is true on this node now; undefined: the agent is not here. */
  readonly present: (agentId: string) => PresenceRecord | undefined;
}

/** Keeps this node's presence records as things are. Nobody waits for it; what the storage refuses is tried again. */
export class PresenceWriter {
  readonly #options: PresenceWriterOptions;
  readonly #pending: PendingWrites;
  readonly #states: Batch;
  readonly #details: Batch;

  constructor(options: PresenceWriterOptions) {
    const { clock, log } = options;
    this.#options = options;
    this.#pending = new PendingWrites({
      clock,
      log,
      what: "who is present on this node",
      write: (agentId) => this.write(agentId),
    });
    const add = (agentId: string) => this.#pending.add(agentId);
    this.#states = new Batch(clock, STATE_DELAY_MS, add);
    this.#details = new Batch(clock, DETAIL_DELAY_MS, add);
  }

  /** It came, went or changed its state. */
  state(agentId: string): void {
    this.#states.add(agentId);
  }

  /** What it reads has changed. */
  detail(agentId: string): void {
    this.#details.add(agentId);
  }

  /** Writes again what others know too little of: of at most `limit` agents. */
  activity(agents: Iterable<string>, limit: number): void {
    const { replica, lease, present } = this.#options;
    let left = limit;
    for (const agentId of agents) {
      const written = replica.get(presenceKey(agentId, lease.instance))?.value as PresenceRecord | undefined;
      const now = present(agentId);
      if (written === undefined || now === undefined || !isLater(now, written)) continue;
      this.#details.add(agentId);
      if (--left === 0) return;
    }
  }

  /** Makes the record of one agent what it should be, now. Throws STORAGE_UNAVAILABLE, CONCURRENT_UPDATE. */
  async write(agentId: string): Promise<void> {
    const { replica, lease, present } = this.#options;
    const key = presenceKey(agentId, lease.instance);
    if (present(agentId) === undefined) {
      await replica.remove(key);
      return;
    }
    await replica.write(key, (current) => {
      const now = present(agentId);
      const written = current?.value as PresenceRecord | undefined;
      if (now === undefined || written === undefined || isLater(now, written)) return now;
      return sameData({ ...now, lastActivityAtMs: 0 }, { ...written, lastActivityAtMs: 0 }) ? undefined : now;
    });
  }

  /** Tries what is not written yet once more, at once. Never fails. */
  async flush(): Promise<void> {
    this.#states.flush();
    this.#details.flush();
    await this.#pending.flush();
  }

  close(): void {
    this.#states.close();
    this.#details.close();
    this.#pending.close();
  }
}

function isLater(now: PresenceRecord, written: PresenceRecord): boolean {
  return now.lastActivityAtMs - written.lastActivityAtMs >= ACTIVITY_MS;
}

/** Agents that are handed on together, a moment after the first of them. */
class Batch {
  readonly #agents = new Set<string>();
  readonly #clock: Clock;
  readonly #delayMs: number;
  readonly #handOn: (agentId: string) => void;
  #stop: Stop | undefined;

  constructor(clock: Clock, delayMs: number, handOn: (agentId: string) => void) {
    this.#clock = clock;
    this.#delayMs = delayMs;
    this.#handOn = handOn;
  }

  add(agentId: string): void {
    this.#agents.add(agentId);
    this.#stop ??= this.#clock.after(this.#delayMs, () => this.flush());
  }

  flush(): void {
    const agents = [...this.#agents];
    this.close();
    for (const agentId of agents) this.#handOn(agentId);
  }

  close(): void {
    this.#agents.clear();
    this.#stop?.();
    this.#stop = undefined;
  }
}
