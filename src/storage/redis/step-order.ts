import { BusError } from "../../core/errors.ts";
import type { ChannelName } from "../../core/names.ts";
import type { GroupCommit } from "../group-commit.ts";
import type { AppendBatch, AppendOutcome } from "../message-log.ts";

interface Lane {
  /** Appends and steps that are not settled. */
  pending: number;
  /** Settles with the newest append that was handed over. */
  lastAppend: Promise<unknown>;
  /** Settles with the newest step; undefined: none is pending. */
  lastStep: Promise<unknown> | undefined;
}

/**
 * Keeps the order in which one node hands over appends and other changes of one log: a fence is behind the appends that
 * were handed over before it and in front of those after it. Appends alone, the usual case, go straight to their group.
 */
export class StepOrder {
  readonly #commits: GroupCommit;
  readonly #lanes = new Map<string, Lane>();
  #isClosed = false;

  constructor(commits: GroupCommit) {
    this.#commits = commits;
  }

  append(batch: AppendBatch): Promise<AppendOutcome> {
    if (this.#isClosed) return Promise.reject(closed());
    const lane = this.#enter(batch.name);
    const append = () => this.#commits.append(batch);
    const appended = lane.lastStep === undefined ? append() : lane.lastStep.then(append, append);
    lane.lastAppend = appended;
    const leave = () => this.#leave(batch.name, lane);
    appended.then(leave, leave);
    return appended;
  }

  /** Runs a step behind everything that was handed over before. */
  step<T>(name: ChannelName, run: () => Promise<T>): Promise<T> {
    if (this.#isClosed) return Promise.reject(closed());
    const lane = this.#enter(name);
    const before = Promise.allSettled([lane.lastAppend, lane.lastStep]);
    const done = before.then(run);
    lane.lastStep = done;
    const leave = () => {
      if (lane.lastStep === done) lane.lastStep = undefined;
      this.#leave(name, lane);
    };
    done.then(leave, leave);
    return done;
  }

  /** Takes nothing more; resolves when all that was handed over is settled. */
  async close(): Promise<void> {
    this.#isClosed = true;
    const pending = [...this.#lanes.values()].flatMap(({ lastAppend, lastStep }) => [lastAppend, lastStep]);
    await Promise.allSettled(pending);
    await this.#commits.settled();
  }

  #enter(name: ChannelName): Lane {
    let lane = this.#lanes.get(name.key);
    if (lane === undefined) {
      lane = { pending: 0, lastAppend: Promise.resolve(), lastStep: undefined };
      this.#lanes.set(name.key, lane);
    }
    lane.pending++;
    return lane;
  }

  #leave(name: ChannelName, lane: Lane): void {
    if (--lane.pending === 0) this.#lanes.delete(name.key);
  }
}

function closed(): BusError {
  return new BusError("STORAGE_UNAVAILABLE", "the storage is closed");
}
