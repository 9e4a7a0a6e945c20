import type { EpochLink } from "../../core/epoch-chain.ts";
import type { LogState } from "../message-log.ts";
import { Refusal } from "../refusal.ts";
import type { LogDefinition, LogHead } from "./thread-protocol.ts";

/** What a log is after one step. Never changed, only replaced. */
export interface LogFigures {
  readonly version: number;
  /** The last sequence that was stored under an older version. */
  readonly fencedAt: number;
  readonly links: readonly EpochLink[];
  readonly head: number;
  readonly lastAcceptedAtMs: number;
}

/** One log, as the main thread knows it: what is on disk, and what it will be when all that is queued is. */
export class FileLog {
  readonly id: number;
  /** "room:channel" */
  readonly key: string;
  readonly incarnation: string;
  readonly refusal = new Refusal();
  /** On disk; undefined: its creation is not. */
  committed: LogFigures | undefined;
  /** With everything queued. */
  next: LogFigures;
  /** On disk. Moved by trims alone. */
  floor = 1;
  /** On disk: bytes of the retained bodies. */
  sizeBytes = 0;
  /** From now on it does not exist for anybody, though it may still be on disk. */
  isDeleted = false;

  constructor(id: number, key: string, incarnation: string, next: LogFigures) {
    this.id = id;
    this.key = key;
    this.incarnation = incarnation;
    this.next = next;
  }

  static load(definition: LogDefinition, head: LogHead): FileLog {
    const { id, key, incarnation, version, fencedAt, links } = definition;
    const figures = { version, fencedAt, links, head: head.head, lastAcceptedAtMs: head.lastAcceptedAtMs };
    const log = new FileLog(id, key, incarnation, figures);
    log.committed = figures;
    log.floor = head.floor;
    log.sizeBytes = head.sizeBytes;
    return log;
  }

  /** As it is on disk; undefined: it is not there yet, or no longer. */
  get state(): LogState | undefined {
    return this.committed === undefined || this.isDeleted ? undefined : this.stateAt(this.committed);
  }

  stateAt(figures: LogFigures): LogState {
    return {
      incarnation: this.incarnation,
      version: figures.version,
      head: figures.head,
      floor: this.floor,
      links: figures.links,
      sizeBytes: this.sizeBytes,
    };
  }

  definition({ version, fencedAt, links }: LogFigures): LogDefinition {
    return { id: this.id, key: this.key, incarnation: this.incarnation, version, fencedAt, links };
  }
}
