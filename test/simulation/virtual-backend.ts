import { BusError } from "../../src/core/errors.ts";
import type { ChannelName } from "../../src/core/names.ts";
import type { Ring } from "../../src/storage/doorbell.ts";
import type { AppendBatch, AppendOutcome, LogEnd, LogState, MessageLog } from "../../src/storage/message-log.ts";
import { checkNewer, requireLog } from "../../src/storage/retention.ts";
import type { Dice } from "./dice.ts";
import { START_MS } from "./node-clock.ts";
import type { Scheduler } from "./scheduler.ts";
import { VirtualDirectory } from "./virtual-directory.ts";
import { type LogWorld, type LostRange, VirtualLog } from "./virtual-log.ts";

/** How far back a fail-over can lose what was acknowledged. */
const MAX_LOST_MS = 5_000;

/** Who wants to know what the backend does. */
export interface BackendListener {
  /** A log grew. */
  appended(name: ChannelName, log: VirtualLog): void;
  /** Issued sequences of a channel are no more; `isDeleted`: because its log was deleted. */
  lost(key: string, lost: LostRange, isDeleted: boolean): void;
}

/** What a fail-over loses the end of: of a cluster, one server may lose what the others keep. */
export type Part = "entries" | "records" | "everything";

interface Change {
  readonly at: number;
  readonly part: Part;
  readonly undo: () => void;
}

/**
 * The one shared storage: what is true, without any fault. Each method is one atomic step; `VirtualStorage` puts the
 * network between it and a node.
 */
export class VirtualBackend {
  readonly directory: VirtualDirectory;
  readonly #scheduler: Scheduler;
  readonly #dice: Dice;
  readonly #listener: BackendListener;
  readonly #logs = new Map<string, VirtualLog>();
  /** The newest changes, oldest first, so that they can be taken back. */
  #journal: Change[] = [];
  #life = 1;
  /** What is told as lost belongs to a log that is deleted. */
  #isDropping = false;

  constructor(scheduler: Scheduler, dice: Dice, listener: BackendListener) {
    this.#scheduler = scheduler;
    this.#dice = dice;
    this.#listener = listener;
    this.directory = new VirtualDirectory({
      now: () => this.now(),
      onChange: (undo) => this.#changed("records", undo),
    });
  }

  /** Which life this is: another one after each restart and each fail-over. */
  get life(): number {
    return this.#life;
  }

  now(): number {
    return START_MS + Math.floor(this.#scheduler.now);
  }

  log(key: string): VirtualLog | undefined {
    return this.#logs.get(key);
  }

  /** It goes down and comes back with everything it had. */
  restart(): void {
    this.#life++;
    this.#journal = [];
  }

  /** It fails over to a copy that lacks the changes of the last `lostMs`, all or of one part. */
  failOver(lostMs: number, part: Part): void {
    const until = this.#scheduler.now - Math.min(lostMs, MAX_LOST_MS);
    for (const change of this.#journal.toReversed()) {
      if (change.at <= until) break;
      if (part === "everything" || change.part === part) change.undo();
    }
    this.restart();
  }

  create(name: ChannelName, incarnation: string, version: number): LogState {
    const present = this.#logs.get(name.key);
    if (present?.incarnation === incarnation) return present.state;
    checkNewer(name, present?.incarnation, incarnation);
    const log = new VirtualLog(incarnation, version, this.#worldOf(name.key));
    this.#setLog(name.key, log);
    return log.state;
  }

  ends(names: readonly ChannelName[]): readonly (LogEnd | undefined)[] {
    return names.map(({ key }) => {
      const log = this.#logs.get(key);
      return log && { incarnation: log.incarnation, head: log.head, epoch: log.epoch };
    });
  }

  append(batch: AppendBatch): AppendOutcome {
    const log = this.#logs.get(batch.name.key);
    if (log === undefined || log.incarnation !== batch.incarnation) return { kind: "gone" };
    const before = log.head;
    const outcome = log.append(batch);
    if (log.head > before) this.#listener.appended(batch.name, log);
    return outcome;
  }

  fence(name: ChannelName, incarnation: string, version: number): number {
    return requireLog(name, this.#logs.get(name.key), incarnation).fence(version);
  }

  renewEpoch(name: ChannelName): LogState {
    return requireLog(name, this.#logs.get(name.key)).renewEpoch();
  }

  trim(name: ChannelName, retention: Parameters<MessageLog["trim"]>[1]): LogState {
    return requireLog(name, this.#logs.get(name.key)).trim(retention);
  }

  delete(name: ChannelName, incarnation: string): void {
    if (this.#logs.get(name.key)?.incarnation === incarnation) this.#setLog(name.key, undefined);
  }

  /** How a ring for this log looks now. */
  static ringOf(name: ChannelName, log: VirtualLog): Ring {
    return { topic: "log", key: name.key, head: log.head, epoch: log.epoch };
  }

  #setLog(key: string, log: VirtualLog | undefined): void {
    const before = this.#logs.get(key);
    this.#drop(before);
    if (log === undefined) this.#logs.delete(key);
    else this.#logs.set(key, log);
    this.#changed("everything", () => {
      // To its readers a log that was never made is one that was deleted.
      this.#drop(log);
      if (before === undefined) this.#logs.delete(key);
      else this.#logs.set(key, before);
    });
  }

  #drop(log: VirtualLog | undefined): void {
    this.#isDropping = true;
    log?.drop();
    this.#isDropping = false;
  }

  #worldOf(key: string): LogWorld {
    return {
      now: () => this.now(),
      epoch: () => this.#dice.uint32(),
      life: () => this.#life,
      onChange: (undo) => this.#changed("entries", undo),
      onLost: (lost) => this.#listener.lost(key, lost, this.#isDropping),
    };
  }

  #changed(part: Part, undo: () => void): void {
    this.#journal.push({ at: this.#scheduler.now, part, undo });
    if (this.#journal.length > 4_000)
      this.#journal = this.#journal.filter(({ at }) => at > this.#scheduler.now - MAX_LOST_MS);
  }
}

export function unavailable(why: string): BusError {
  return new BusError("STORAGE_UNAVAILABLE", `the simulated storage: ${why}`);
}
