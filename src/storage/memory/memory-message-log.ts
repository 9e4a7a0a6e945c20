import { BusError } from "../../core/errors.ts";
import type { LogEntry } from "../../core/message.ts";
import type { ChannelName } from "../../core/names.ts";
import type { RetentionConfig } from "../../core/room.ts";
import { admit } from "../admission.ts";
import type { DedupWindow } from "../dedup-window.ts";
import { newestEpoch, withNewEpoch } from "../epoch-links.ts";
import type {
  AppendBatch,
  AppendOutcome,
  LogEnd,
  LogState,
  MessageLog,
  ReadRequest,
  ReadResult,
} from "../message-log.ts";
import { checkNewer, requireLog, retainedFrom } from "../retention.ts";
import type { StorageEnvironment } from "../storage-adapter.ts";
import { ENTRY_OVERHEAD_BYTES, LogRing } from "./log-ring.ts";

export interface MemoryLogLimits {
  readonly ringSize: number;
  readonly maxBytes: number;
}

/** Every method does its work before it returns: the promises only fit the port. */
export class MemoryMessageLog implements MessageLog {
  readonly #limits: MemoryLogLimits;
  readonly #environment: StorageEnvironment;
  readonly #dedup: DedupWindow;
  readonly #logs = new Map<string, LogRing>();
  #heldBytes = 0;
  #scopes = 0;

  constructor(limits: MemoryLogLimits, environment: StorageEnvironment, dedup: DedupWindow) {
    this.#limits = limits;
    this.#environment = environment;
    this.#dedup = dedup;
  }

  async create(name: ChannelName, incarnation: string, version: number): Promise<LogState> {
    const present = this.#logs.get(name.key);
    if (present?.incarnation === incarnation) return present.state;
    checkNewer(name, present?.incarnation, incarnation);
    if (present !== undefined) this.#heldBytes -= present.heldBytes;
    const log = new LogRing({
      incarnation,
      scope: ++this.#scopes,
      version,
      links: withNewEpoch([], 1, this.#environment.randomEpoch),
      ringSize: this.#limits.ringSize,
    });
    this.#logs.set(name.key, log);
    return log.state;
  }

  async state(name: ChannelName): Promise<LogState | undefined> {
    return this.#logs.get(name.key)?.state;
  }

  async ends(names: readonly ChannelName[]): Promise<readonly (LogEnd | undefined)[]> {
    return names.map(({ key }) => {
      const log = this.#logs.get(key);
      return log && { incarnation: log.incarnation, head: log.head, epoch: newestEpoch(log.links) };
    });
  }

  append(batch: AppendBatch): AppendOutcome {
    const log = this.#logs.get(batch.name.key);
    if (log === undefined || log.incarnation !== batch.incarnation) return { kind: "gone" };
    if (log.refusal.error !== undefined) throw log.refusal.error;
    if (batch.version < log.version) return { kind: "stale", version: log.version };

    const mark = this.#dedup.mark();
    const acceptedAtMs = Math.max(this.#environment.now(), log.lastAcceptedAtMs);
    const target = { scope: log.scope, head: log.head, epoch: newestEpoch(log.links) };
    const admission = admit(batch, target, acceptedAtMs, this.#dedup);
    if (admission.kind === "conflict") return admission;

    const { stored } = admission;
    let bodyBytes = 0;
    for (let i = 0; i < stored.length; i++) bodyBytes += stored[i]!.body.byteLength;
    if (!this.#makeRoom(log, bodyBytes + stored.length * ENTRY_OVERHEAD_BYTES)) {
      this.#dedup.rollback(mark);
      throw log.refusal.raise(this.#full(batch.name));
    }
    if (batch.version > log.version) {
      log.fencedAt = log.head;
      log.version = batch.version;
    }
    const held = log.heldBytes;
    if (stored.length > 0) log.push(stored, bodyBytes, acceptedAtMs);
    this.#heldBytes += log.heldBytes - held;
    return { kind: "appended", entries: admission.entries };
  }

  async read(request: ReadRequest): Promise<ReadResult> {
    const log = this.#logs.get(request.name.key);
    if (log === undefined) return { entries: [], state: undefined, damaged: [] };
    const entries: LogEntry[] = [];
    const lost: { first: number; last: number }[] = [];
    const step = request.backward ? -1 : 1;
    let sequence = request.backward ? Math.min(request.from - 1, log.head) : Math.max(request.from + 1, log.floor);
    let bytes = 0;
    for (; sequence >= log.floor && sequence <= log.head; sequence += step) {
      if (log.isLost(sequence)) {
        lost.push({ first: sequence, last: sequence });
        continue;
      }
      bytes += log.bodyBytesAt(sequence);
      if (entries.length > 0 && (entries.length >= request.maxEntries || bytes > request.maxBytes)) break;
      entries.push(log.at(sequence));
    }
    const result = { entries, state: log.state, damaged: [] };
    if (lost.length === 0) return result;
    return { ...result, lost: request.backward ? lost.reverse() : lost };
  }

  async findId(name: ChannelName, id: string, after: number): Promise<readonly number[]> {
    const log = this.#logs.get(name.key);
    if (log === undefined) return [];
    for (let sequence = Math.max(log.floor, after + 1); sequence <= log.head; sequence++) {
      if (log.idAt(sequence) === id && !log.isLost(sequence)) return [sequence];
    }
    return [];
  }

  async findTime(name: ChannelName, timeMs: number): Promise<number> {
    return this.#logs.get(name.key)?.findTime(timeMs) ?? 1;
  }

  async fence(name: ChannelName, incarnation: string, version: number): Promise<number> {
    const log = requireLog(name, this.#logs.get(name.key), incarnation);
    if (version > log.version) {
      log.version = version;
      log.fencedAt = log.head;
    }
    return log.fencedAt;
  }

  async renewEpoch(name: ChannelName): Promise<LogState> {
    const log = requireLog(name, this.#logs.get(name.key));
    log.links = withNewEpoch(log.links, log.head + 1, this.#environment.randomEpoch);
    return log.state;
  }

  async trim(name: ChannelName, retention: RetentionConfig): Promise<LogState> {
    const log = requireLog(name, this.#logs.get(name.key));
    const { byAge, byCount, maxBytes } = retainedFrom(retention, log.head, this.#environment.now());
    const held = log.heldBytes;
    while (log.size > 0 && log.acceptedAtMsAt(log.floor) < byAge) log.dropOldest();
    while (log.size > 1 && (log.floor < byCount || log.bodyBytes > maxBytes)) log.dropOldest();
    this.#heldBytes += log.heldBytes - held;
    return log.state;
  }

  lose(name: ChannelName, incarnation: string): LogEnd | undefined {
    const log = this.#logs.get(name.key);
    if (log?.incarnation !== incarnation) return undefined;
    const held = log.heldBytes;
    log.pushLost(Math.max(this.#environment.now(), log.lastAcceptedAtMs));
    this.#heldBytes += log.heldBytes - held;
    return { incarnation, head: log.head, epoch: newestEpoch(log.links) };
  }

  async delete(name: ChannelName, incarnation: string): Promise<void> {
    const log = this.#logs.get(name.key);
    if (log?.incarnation !== incarnation) return;
    this.#heldBytes -= log.heldBytes;
    this.#logs.delete(name.key);
  }

  /** Drops this log's oldest entries until so many bytes fit. False, and nothing dropped: they never will. */
  #makeRoom(log: LogRing, bytes: number): boolean {
    if (this.#heldBytes - log.heldBytes + bytes > this.#limits.maxBytes) return false;
    while (this.#heldBytes + bytes > this.#limits.maxBytes && log.size > 0) {
      const held = log.heldBytes;
      log.dropOldest();
      this.#heldBytes += log.heldBytes - held;
    }
    return true;
  }

  #full(name: ChannelName): BusError {
    return new BusError(
      "STORAGE_FULL",
      `${name.key}: the memory storage holds its ${this.#limits.maxBytes} bytes in other channels; delete some or raise maxBytes`,
    );
  }
}
