import { setTimeout as pause } from "node:timers/promises";
import { type AgentBus, BusError } from "agentbus/node";
import { OPERATIONS_ROOM } from "./stage-plan.ts";
import { outcomeOfReason } from "./wire-error.ts";

/** S3-SC-008: so fast an operation on a channel is to succeed, in 95 of 100 cases. */
const IN_TIME_MS = 1_000;
const PAUSE_MS = 100;
/** What a program would wait before it gives up. */
const CALL_MS = 1_000;

export interface OperationFigures {
  readonly operations: number;
  readonly inTime: number;
  /** 0 to 1. */
  readonly share: number;
}

/** Creates, reads, changes, joins and deletes channels without pause while the faults happen, and measures. */
export class ChannelOperations {
  readonly done: Promise<void>;
  readonly #bus: AgentBus;
  readonly #stop: AbortSignal;
  #operations = 0;
  #inTime = 0;

  constructor(bus: AgentBus, stop: AbortSignal) {
    this.#bus = bus;
    this.#stop = stop;
    this.done = this.#run();
  }

  get figures(): OperationFigures {
    const share = this.#operations === 0 ? 1 : this.#inTime / this.#operations;
    return { operations: this.#operations, inTime: this.#inTime, share };
  }

  async #run(): Promise<void> {
    const { channels } = this.#bus;
    const agent = this.#bus.agent("ivy");
    const call = { timeoutMs: CALL_MS };
    for (let round = 1; !this.#stop.aborted; round++) {
      const channel = `${OPERATIONS_ROOM}:channel-${round % 20}`;
      await this.#measure(() => channels.create(channel, { createRoom: true, description: `round ${round}` }, call));
      await this.#measure(() => agent.join(channel, call));
      await this.#measure(() => channels.get(channel, call));
      await this.#measure(() => channels.update(channel, { description: `changed in round ${round}` }, call));
      await this.#measure(() => agent.leave(channel, call));
      await this.#measure(() => channels.delete(channel, call));
    }
  }

  async #measure(operation: () => Promise<unknown>): Promise<void> {
    if (this.#stop.aborted) return;
    const since = performance.now();
    try {
      await operation();
      if (performance.now() - since <= IN_TIME_MS) this.#inTime++;
      this.#operations++;
    } catch (error) {
      // An answer that is right after a failure before it says nothing of this operation.
      if (!isLeftOver(error)) this.#operations++;
    }
    await pause(PAUSE_MS);
  }
}

/** What an operation before it left undone, or did without saying so, because of a fault. */
const LEFT_OVER: ReadonlySet<string> = new Set(["CHANNEL_NOT_FOUND", "CHANNEL_EXISTS", "ROOM_NOT_FOUND"]);

/** Throws for a failure that no fault explains. */
function isLeftOver(error: unknown): boolean {
  if (!(error instanceof BusError)) throw error;
  if (LEFT_OVER.has(error.reason)) return true;
  if (error.reason !== "" && error.reason !== "CHANNEL_DELETED") outcomeOfReason(error.reason, error);
  return false;
}
