import { BusError } from "../../core/errors.ts";
import type { AppendRecord } from "../message-log.ts";
import type { RetentionBounds } from "../retention.ts";
import { CommitBuilder, type LogCommit } from "./commit-builder.ts";
import type { FileLog, LogFigures } from "./file-log.ts";
import { MaintenanceQueue } from "./maintenance-queue.ts";
import type { StorageThread } from "./storage-thread.ts";
import type { ChangeOutcome, DirectoryChange, WriterCalls } from "./thread-protocol.ts";

/** Bytes of bodies after which the rest waits for the next commit. */
const MAX_COMMIT_BYTES = 8_388_608;
/** Directory changes after which the rest waits. */
const MAX_COMMIT_CHANGES = 1_000;
/** Bytes of bodies that may wait: beyond, appends are refused until the disk has caught up. */
const MAX_QUEUED_BYTES = 268_435_456;

/** One step of a log: an append, or a change of what it is. */
export interface QueuedStep {
  readonly log: FileLog;
  /** Empty: nothing to store. */
  readonly records: readonly AppendRecord[];
  readonly bytes: number;
  readonly epoch: number;
  readonly acceptedAtMs: number;
  /** The log after this step. */
  readonly figures: LogFigures;
  /** End of the deduplication window after this step. */
  readonly dedupMark: number;
  /** Everything up to this step is on disk. */
  done(): void;
  failed(error: BusError): void;
}

interface QueuedChange {
  readonly change: DirectoryChange;
  done(outcome: ChangeOutcome): void;
  failed(error: BusError): void;
}

export interface CommitQueueOptions {
  readonly writer: Pick<StorageThread<WriterCalls>, "call">;
  readonly now: () => number;
  /** Deleted logs whose blocks are still to be removed. */
  readonly purge: readonly number[];
  /** End of the deduplication window as it was loaded. */
  readonly dedupMark: number;
  /** These logs are back at what is on disk; `dedupMark` is where the deduplication window ends there. */
  onRollback(logs: Iterable<FileLog>, dedupMark: number): void;
  /** What is on disk is no longer known: the queue is dead, the database must be opened again. */
  onLost(error: BusError): void;
}

/** One commit on its way. */
interface Flight {
  readonly steps: readonly QueuedStep[];
  readonly changes: readonly QueuedChange[];
  readonly logs: readonly LogCommit[];
  readonly committed: Promise<readonly ChangeOutcome[]>;
}

/**
 * Group commit. One transaction is in flight; all that comes meanwhile goes into the next one, over all logs.
 *
 *   queued --(turn of the event loop ends, nothing in flight)--> in flight --> done
 *   a full disk: what is in flight and queued fails, heads go back to what is on disk, the queue goes on
 *   any other failure: the same, and the queue is dead
 */
export class CommitQueue {
  readonly #options: CommitQueueOptions;
  readonly #builder = new CommitBuilder();
  readonly #maintenance: MaintenanceQueue;
  #steps: QueuedStep[] = [];
  #stepBytes = 0;
  #changes: QueuedChange[] = [];
  #dedupMark: number;
  #isScheduled = false;
  #isBusy = false;
  #wasMaintenance = false;
  #end: BusError | undefined;
  #idle: (() => void)[] = [];
  /** Why the last commit failed; undefined: it did not. */
  failure: BusError | undefined;

  constructor(options: CommitQueueOptions) {
    this.#options = options;
    this.#dedupMark = options.dedupMark;
    this.#maintenance = new MaintenanceQueue(options.writer, options.purge);
    if (this.#maintenance.isDue) this.#schedule();
  }

  /** Throws when so much waits already. */
  checkRoom(): void {
    if (this.#end !== undefined) throw this.#end;
    if (this.#stepBytes >= MAX_QUEUED_BYTES) {
      throw new BusError("OVERLOADED", `${this.#stepBytes} bytes wait for the disk already`, { retryDelayMs: 100 });
    }
  }

  push(step: QueuedStep): void {
    step.log.next = step.figures;
    this.#steps.push(step);
    this.#stepBytes += step.bytes;
    this.#schedule();
  }

  change(change: DirectoryChange): Promise<ChangeOutcome> {
    if (this.#end !== undefined) return Promise.reject(this.#end);
    return new Promise((done, failed) => {
      this.#changes.push({ change, done, failed });
      this.#schedule();
    });
  }

  trim(log: FileLog, bounds: RetentionBounds): Promise<void> {
    return this.#maintain(() => this.#maintenance.trim(log, bounds));
  }

  drop(log: FileLog): Promise<void> {
    return this.#maintain(() => this.#maintenance.drop(log));
  }

  /** When all that was handed over is settled. */
  async settled(): Promise<void> {
    while (this.#hasWork || this.#isBusy) await new Promise<void>((resolve) => this.#idle.push(resolve));
  }

  /** Fails everything, now and from now on. */
  kill(error: BusError): void {
    if (this.#end !== undefined) return;
    this.#end = error;
    this.failure = error;
    this.#maintenance.fail(error);
    this.#rollback([], error);
    this.#failChanges(this.#changes.splice(0), error);
    this.#wakeIdle();
  }

  get #hasWork(): boolean {
    return this.#steps.length > 0 || this.#changes.length > 0 || this.#maintenance.hasRequests;
  }

  #maintain(request: () => Promise<void>): Promise<void> {
    if (this.#end !== undefined) return Promise.reject(this.#end);
    const result = request();
    this.#schedule();
    return result;
  }

  /** At the end of this turn: what other sockets bring in the same turn goes along. */
  #schedule(): void {
    if (this.#isScheduled || this.#isBusy || this.#end !== undefined) return;
    this.#isScheduled = true;
    setImmediate(() => {
      this.#isScheduled = false;
      void this.#run();
    });
  }

  async #run(): Promise<void> {
    if (this.#isBusy || this.#end !== undefined) return;
    this.#isBusy = true;
    try {
      // A log that is deleted and created again has to go before it comes; other upkeep takes turns with commits.
      const waits = this.#wasMaintenance && this.#steps.length + this.#changes.length > 0;
      this.#wasMaintenance = this.#maintenance.hasDrops || (this.#maintenance.isDue && !waits);
      if (this.#wasMaintenance) await this.#maintenance.run();
      else await this.#commit();
    } catch (error) {
      this.#lose(error as BusError);
    }
    this.#isBusy = false;
    if (this.#hasWork || this.#maintenance.isDue) this.#schedule();
    if (!this.#hasWork) this.#wakeIdle();
  }

  /**
   * Commits until nothing waits or upkeep is due. The next commit is on its way before the last one is answered: the
   * disk works while answers are made.
   */
  async #commit(): Promise<void> {
    let current = this.#begin();
    while (current !== undefined) {
      const outcomes = await this.#outcomesOf(current);
      if (outcomes === undefined) return;
      // Unless little waits: then it gathers with what the answers bring, since a commit costs as much as it is small.
      const enough = this.#steps.length * 2 >= current.steps.length;
      const next = this.#maintenance.isDue || !enough ? undefined : this.#begin();
      for (const step of current.steps) step.done();
      for (let i = 0; i < current.changes.length; i++) current.changes[i]!.done(outcomes[i]!);
      current = next;
    }
  }

  /** Hands what waits to the writer. Undefined: nothing waits. */
  #begin(): Flight | undefined {
    const steps = this.#takeSteps();
    const changes = this.#changes.splice(0, MAX_COMMIT_CHANGES);
    if (steps.length + changes.length === 0) return undefined;
    const live = steps.filter((step) => !step.log.isDeleted);
    const { request, logs, isEmpty } = this.#builder.build(
      live,
      changes.map(({ change }) => change),
      this.#options.now(),
    );
    const committed = isEmpty ? Promise.resolve([]) : this.#options.writer.call("commit", request);
    return { steps, changes, logs, committed };
  }

  /** Waits for the disk, and knows then what is on it. Undefined: it failed, and everybody was told. */
  async #outcomesOf({ steps, changes, logs, committed }: Flight): Promise<readonly ChangeOutcome[] | undefined> {
    let outcomes: readonly ChangeOutcome[];
    try {
      outcomes = await committed;
    } catch (error) {
      const failure = error as BusError;
      this.failure = failure;
      this.#rollback(steps, failure);
      this.#failChanges(changes, failure);
      this.#failChanges(this.#changes.splice(0), failure);
      if (failure.reason === "STORAGE_FULL") return undefined;
      throw failure;
    }
    if (this.#end !== undefined) {
      this.#failTaken(steps, changes, this.#end);
      return undefined;
    }
    this.failure = undefined;
    for (const { log, figures, addedBytes } of logs) {
      log.committed = figures;
      log.sizeBytes += addedBytes;
    }
    if (steps.length > 0) this.#dedupMark = steps[steps.length - 1]!.dedupMark;
    return outcomes;
  }

  #takeSteps(): QueuedStep[] {
    let count = 0;
    let bytes = 0;
    while (count < this.#steps.length && (count === 0 || bytes + this.#steps[count]!.bytes <= MAX_COMMIT_BYTES)) {
      bytes += this.#steps[count++]!.bytes;
    }
    this.#stepBytes -= bytes;
    const taken = this.#steps;
    if (count === taken.length) this.#steps = [];
    else return this.#steps.splice(0, count);
    return taken;
  }

  /** Fails these steps and all that are queued; their logs go back to what is on disk. */
  #rollback(taken: readonly QueuedStep[], error: BusError): void {
    const steps = [...taken, ...this.#steps];
    this.#steps = [];
    this.#stepBytes = 0;
    const logs = new Set(steps.map((step) => step.log));
    for (const log of logs) {
      if (log.committed !== undefined) log.next = log.committed;
      log.refusal.raise(error);
    }
    this.#options.onRollback(logs, this.#dedupMark);
    for (const step of steps) step.failed(error);
  }

  #failTaken(steps: readonly QueuedStep[], changes: readonly QueuedChange[], error: BusError): void {
    this.#rollback(steps, error);
    this.#failChanges(changes, error);
  }

  #failChanges(changes: readonly QueuedChange[], error: BusError): void {
    for (const change of changes) change.failed(error);
  }

  #lose(error: BusError): void {
    this.kill(error);
    this.#options.onLost(error);
  }

  #wakeIdle(): void {
    for (const resolve of this.#idle.splice(0)) resolve();
  }
}
