import { setTimeout as pause } from "node:timers/promises";
import { type AgentBus, BusError, type LinkOptions } from "agentbus/node";
import type { FaultKind } from "./fault-kinds.ts";
import type { FaultLog } from "./fault-log.ts";
import { OPERATIONS_ROOM } from "./stage-plan.ts";
import { outcomeOfReason } from "./wire-error.ts";

/** S3-SC-008: so fast an operation on a channel is to succeed, in 95 of 100 cases. */
const IN_TIME_MS = 1_000;
const PAUSE_MS = 100;
/** What a program would wait before it gives up; it tries as long as that, and not only three times. */
const CALL_MS = 1_000;
export const OPERATIONS_LINK: LinkOptions = { maxRetries: 1_000, backoff: { initialMs: 50, maxMs: 100 } };
/** Faults of one second are few; "several" keeps the table of a long run readable. */
const MAX_NAMED_FAULTS = 1;

/** How many operations there were, and how many of them succeeded in time. */
export interface Share {
  readonly operations: number;
  readonly inTime: number;
}

export interface OperationFigures extends Share {
  /** inTime of operations, 0 to 1. */
  readonly share: number;
  /** Only those in whose time no fault took away what there is one of: the storage, or the only node. */
  readonly answerable: Share;
  /** By the fault in whose time they fell: its kind, "several", or "none". */
  readonly byFault: Readonly<Record<string, Share>>;
  /** How those ended that did not succeed in time: the reason, or the code, or "late". */
  readonly misses: Readonly<Record<string, number>>;
}

/** Creates, reads, changes, joins and deletes channels without pause while the faults happen, and measures. */
export class ChannelOperations {
  readonly done: Promise<void>;
  readonly #bus: AgentBus;
  readonly #stop: AbortSignal;
  readonly #faults: FaultLog;
  readonly #all = new Tally();
  readonly #answerable = new Tally();
  readonly #byFault = new Map<string, Tally>();
  readonly #misses = new Map<string, number>();

  constructor(bus: AgentBus, faults: FaultLog, stop: AbortSignal) {
    this.#bus = bus;
    this.#faults = faults;
    this.#stop = stop;
    this.done = this.#run();
  }

  get figures(): OperationFigures {
    const { operations, inTime } = this.#all;
    const share = operations === 0 ? 1 : inTime / operations;
    const byFault = Object.fromEntries([...this.#byFault].map(([fault, tally]) => [fault, tally.share]));
    const misses = Object.fromEntries(this.#misses);
    return { operations, inTime, share, answerable: this.#answerable.share, byFault, misses };
  }

  async #run(): Promise<void> {
    const { channels } = this.#bus;
    const agent = this.#bus.agent("ivy");
    const call = { timeoutMs: CALL_MS };
    for (let round = 1; !this.#stop.aborted; round++) {
      const channel = `${OPERATIONS_ROOM}:channel-${round % 20}`;
      await this.#measure("create", () =>
        channels.create(channel, { createRoom: true, description: `round ${round}` }, call),
      );
      await this.#measure("join", () => agent.join(channel, call));
      await this.#measure("get", () => channels.get(channel, call));
      await this.#measure("update", () => channels.update(channel, { description: `changed in round ${round}` }, call));
      await this.#measure("leave", () => agent.leave(channel, call));
      await this.#measure("delete", () => channels.delete(channel, call));
    }
  }

  async #measure(name: string, operation: () => Promise<unknown>): Promise<void> {
    if (this.#stop.aborted) return;
    const sinceMs = Date.now();
    const since = performance.now();
    try {
      await operation();
      const inTime = performance.now() - since <= IN_TIME_MS;
      this.#count(sinceMs, inTime ? undefined : `${name}: late`);
    } catch (cause) {
      const error = explained(cause);
      // An answer that is right after a failure before it says nothing of this operation.
      if (!LEFT_OVER.has(error.reason)) this.#count(sinceMs, `${name}: ${error.reason || error.code}`);
    }
    await pause(PAUSE_MS);
  }

  #count(sinceMs: number, miss: string | undefined): void {
    const kinds = this.#faults.during(sinceMs, Math.min(Date.now(), sinceMs + IN_TIME_MS));
    const tallies = [this.#all, this.#tallyOf(kinds)];
    if (!this.#faults.leaveNobody(kinds)) tallies.push(this.#answerable);
    for (const tally of tallies) tally.count(miss === undefined);
    if (miss !== undefined) this.#misses.set(miss, (this.#misses.get(miss) ?? 0) + 1);
  }

  #tallyOf(kinds: readonly FaultKind[]): Tally {
    const name = kinds.length > MAX_NAMED_FAULTS ? "several" : (kinds[0] ?? "none");
    const tally = this.#byFault.get(name) ?? new Tally();
    this.#byFault.set(name, tally);
    return tally;
  }
}

class Tally {
  operations = 0;
  inTime = 0;

  get share(): Share {
    return { operations: this.operations, inTime: this.inTime };
  }

  count(isInTime: boolean): void {
    this.operations++;
    if (isInTime) this.inTime++;
  }
}

/** What an operation before it left undone, or did without saying so, because of a fault. */
const LEFT_OVER: ReadonlySet<string> = new Set(["CHANNEL_NOT_FOUND", "CHANNEL_EXISTS", "ROOM_NOT_FOUND"]);

/** Throws what no fault explains. */
function explained(error: unknown): BusError {
  if (!(error instanceof BusError)) throw error;
  const { reason } = error;
  if (!LEFT_OVER.has(reason) && reason !== "" && reason !== "CHANNEL_DELETED") outcomeOfReason(reason, error);
  return error;
}
