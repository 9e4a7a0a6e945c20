import { BusError, isBusError } from "../core/errors.ts";
import type { ChannelName } from "../core/names.ts";
import type { AppendBatch, AppendOutcome } from "./message-log.ts";
import { Refusal } from "./refusal.ts";

export interface GroupCommitOptions {
  /** Messages after which the rest waits for the next commit; a batch is never divided. */
  readonly maxRecords: number;
  /** Bytes of bodies after which the rest waits for the next commit. */
  readonly maxBytes: number;
  /** Bytes of bodies of all logs that may wait or be on their way: beyond, appends are refused with OVERLOADED. */
  readonly maxPendingBytes: number;
  /**
   * One atomic step of the backend on one log. Answers an outcome for each batch, in order; all of them are stored (as far
   * as they were admitted), or it throws and none is, or nobody knows.
   */
  readonly commit: (name: ChannelName, batches: readonly AppendBatch[]) => Promise<readonly AppendOutcome[]>;
}

interface Waiting {
  readonly batch: AppendBatch;
  readonly bytes: number;
  readonly done: (outcome: AppendOutcome) => void;
  readonly failed: (error: BusError) => void;
}

interface Lane {
  readonly name: ChannelName;
  readonly refusal: Refusal;
  waiting: Waiting[];
  isBusy: boolean;
}

/**
 * Group commit for a backend beyond a network: one commit in flight for each log, all that comes meanwhile goes in the
 * next. A commit that fails fails what waits behind it, too: nobody's second message is stored while the first is not.
 *
 *   waiting --(turn of the event loop ends, nothing of this log in flight)--> in flight --> answered
 */
export class GroupCommit {
  readonly #options: GroupCommitOptions;
  readonly #lanes = new Map<string, Lane>();
  #pendingBytes = 0;
  #idle: (() => void)[] = [];

  constructor(options: GroupCommitOptions) {
    this.#options = options;
  }

  append(batch: AppendBatch): Promise<AppendOutcome> {
    const lane = this.#laneOf(batch.name);
    if (lane.refusal.error !== undefined) return Promise.reject(lane.refusal.error);
    if (this.#pendingBytes >= this.#options.maxPendingBytes) {
      const message = `${this.#pendingBytes} bytes wait for the storage already`;
      return Promise.reject(new BusError("OVERLOADED", message, { retryDelayMs: 100 }));
    }
    let bytes = 0;
    for (const { body } of batch.records) bytes += body.length;
    this.#pendingBytes += bytes;
    return new Promise((done, failed) => {
      lane.waiting.push({ batch, bytes, done, failed });
      // At the end of this turn: what other streams bring in the same turn goes along.
      if (!lane.isBusy && lane.waiting.length === 1) setImmediate(() => void this.#run(lane));
    });
  }

  /** When all that was handed over is settled. */
  async settled(): Promise<void> {
    while (this.#lanes.size > 0) await new Promise<void>((resolve) => this.#idle.push(resolve));
  }

  #laneOf(name: ChannelName): Lane {
    let lane = this.#lanes.get(name.key);
    if (lane === undefined) {
      lane = { name, refusal: new Refusal(), waiting: [], isBusy: false };
      this.#lanes.set(name.key, lane);
    }
    return lane;
  }

  async #run(lane: Lane): Promise<void> {
    if (lane.isBusy) return;
    lane.isBusy = true;
    while (lane.waiting.length > 0) {
      const taken = this.#take(lane);
      try {
        const outcomes = await this.#options.commit(
          lane.name,
          taken.map(({ batch }) => batch),
        );
        this.#settle(taken);
        for (let i = 0; i < taken.length; i++) taken[i]!.done(outcomes[i]!);
      } catch (error) {
        this.#fail(lane, taken, error);
      }
    }
    lane.isBusy = false;
    this.#release(lane);
  }

  /** A lane that refuses is kept until it does not: whoever asks in this turn must meet the refusal. */
  #release(lane: Lane): void {
    if (lane.isBusy || lane.waiting.length > 0 || this.#lanes.get(lane.name.key) !== lane) return;
    if (lane.refusal.error !== undefined) {
      setImmediate(() => this.#release(lane));
      return;
    }
    this.#lanes.delete(lane.name.key);
    if (this.#lanes.size === 0) for (const resolve of this.#idle.splice(0)) resolve();
  }

  #take(lane: Lane): readonly Waiting[] {
    const { maxRecords, maxBytes } = this.#options;
    let count = 0;
    let records = 0;
    let bytes = 0;
    for (const { batch, bytes: added } of lane.waiting) {
      records += batch.records.length;
      bytes += added;
      if (count > 0 && (records > maxRecords || bytes > maxBytes)) break;
      count++;
    }
    return lane.waiting.splice(0, count);
  }

  #fail(lane: Lane, taken: readonly Waiting[], error: unknown): void {
    const failure = isBusError(error) ? error : new BusError("INTERNAL", "appending failed", { cause: error });
    const all = [...taken, ...lane.waiting.splice(0)];
    lane.refusal.raise(failure);
    this.#settle(all);
    for (const { failed } of all) failed(failure);
  }

  #settle(taken: readonly Waiting[]): void {
    for (const { bytes } of taken) this.#pendingBytes -= bytes;
  }
}
