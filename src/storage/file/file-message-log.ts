import { BusError } from "../../core/errors.ts";
import type { LogEntry } from "../../core/message.ts";
import type { ChannelName } from "../../core/names.ts";
import type { RetentionConfig } from "../../core/room.ts";
import { admit } from "../admission.ts";
import { newestEpoch, withNewEpoch } from "../epoch-links.ts";
import type {
  AppendBatch,
  AppendOutcome,
  AppendRecord,
  LogEnd,
  LogState,
  MessageLog,
  ReadRequest,
  ReadResult,
} from "../message-log.ts";
import { checkNewer, requireLog, retainedFrom } from "../retention.ts";
import type { StorageEnvironment } from "../storage-adapter.ts";
import { BlockDecoder } from "./block-decoder.ts";
import type { FileLog, LogFigures } from "./file-log.ts";
import type { Reader } from "./reader.ts";
import type { ReadBlocksReply } from "./thread-protocol.ts";
import type { WriterSession } from "./writer-session.ts";

/** What one read returns at most, whatever it is asked for. */
const MAX_READ_ENTRIES = 10_000;
const MAX_READ_BYTES = 4_194_304;

const GONE: AppendOutcome = { kind: "gone" };

/**
 * The main thread's half: decides everything (incarnation, version, duplicates, sequences, times) in memory, and answers
 * when the writing thread has made it durable. Reads go to the reading thread.
 */
export class FileMessageLog implements MessageLog {
  readonly #session: () => WriterSession;
  readonly #reader: Reader;
  readonly #environment: StorageEnvironment;

  /** `session` throws while there is none. */
  constructor(session: () => WriterSession, reader: Reader, environment: StorageEnvironment) {
    this.#session = session;
    this.#reader = reader;
    this.#environment = environment;
  }

  async create(name: ChannelName, incarnation: string, version: number): Promise<LogState> {
    const session = this.#session();
    const present = session.logs.get(name.key);
    checkNewer(name, present?.incarnation, incarnation);
    if (present !== undefined && present.incarnation !== incarnation) void this.#drop(session, present).catch(() => {});
    const isThere = present?.incarnation === incarnation;
    const log = isThere ? present : session.addLog(name.key, incarnation, version);
    await this.#step(session, log, log.next);
    return log.stateAt(log.committed ?? log.next);
  }

  async state(name: ChannelName): Promise<LogState | undefined> {
    return this.#session().logs.get(name.key)?.state;
  }

  async ends(names: readonly ChannelName[]): Promise<readonly (LogEnd | undefined)[]> {
    const { logs } = this.#session();
    return names.map(({ key }) => {
      const state = logs.get(key)?.state;
      return state && { incarnation: state.incarnation, head: state.head, epoch: newestEpoch(state.links) };
    });
  }

  append(batch: AppendBatch): Promise<AppendOutcome> {
    try {
      return this.#append(batch);
    } catch (error) {
      return Promise.reject(error);
    }
  }

  #append(batch: AppendBatch): Promise<AppendOutcome> {
    const session = this.#session();
    const log = session.logs.get(batch.name.key);
    if (log === undefined || log.incarnation !== batch.incarnation) return Promise.resolve(GONE);
    if (log.refusal.error !== undefined) throw log.refusal.error;
    this.#checkRoom(session, log);
    const { next } = log;
    if (batch.version < next.version) return this.#step(session, log, next, { kind: "stale", version: next.version });

    const acceptedAtMs = Math.max(this.#environment.now(), next.lastAcceptedAtMs);
    const target = { scope: log.id, head: next.head, epoch: newestEpoch(next.links) };
    const admission = admit(batch, target, acceptedAtMs, session.dedup);
    if (admission.kind === "conflict") return this.#step(session, log, next, admission);

    const { stored, entries } = admission;
    const isNewer = batch.version > next.version;
    const figures: LogFigures = {
      version: isNewer ? batch.version : next.version,
      fencedAt: isNewer ? next.head : next.fencedAt,
      links: next.links,
      head: next.head + stored.length,
      lastAcceptedAtMs: stored.length > 0 ? acceptedAtMs : next.lastAcceptedAtMs,
    };
    return this.#step(session, log, figures, { kind: "appended", entries }, stored);
  }

  async read(request: ReadRequest): Promise<ReadResult> {
    const state = await this.state(request.name);
    const log = this.#session().logs.get(request.name.key);
    if (state === undefined || log === undefined) return { entries: [], state: undefined, damaged: [] };
    const { from, backward } = request;
    const isPastEnd = backward ? from <= state.floor : from >= state.head;
    if (isPastEnd || state.floor > state.head) return { entries: [], state, damaged: [] };
    const reply = await this.#reader.call("readBlocks", {
      logId: log.id,
      from,
      backward,
      maxEntries: Math.min(Math.max(request.maxEntries, 1), MAX_READ_ENTRIES),
      maxBytes: Math.min(Math.max(request.maxBytes, 1), MAX_READ_BYTES),
      head: state.head,
    });
    return toReadResult(reply, backward);
  }

  async findId(name: ChannelName, id: string, after: number): Promise<readonly number[]> {
    const log = this.#session().logs.get(name.key);
    const state = log?.state;
    if (log === undefined || state === undefined) return [];
    const { head } = state;
    const first = Math.max(state.floor, after + 1);
    let isDamaged = false;
    for (let from = first; from > 0; ) {
      const reply = await this.#reader.call("findId", { logId: log.id, id, from, first, head });
      if (reply.sequences.length > 0) return reply.sequences;
      isDamaged ||= reply.damaged;
      from = reply.next;
    }
    if (isDamaged) throw new BusError("DATA_DAMAGED", `${name.key}: a part that may hold the message is damaged`);
    return [];
  }

  async findTime(name: ChannelName, timeMs: number): Promise<number> {
    const log = this.#session().logs.get(name.key);
    const state = log?.state;
    if (log === undefined || state === undefined) return 1;
    const found = await this.#reader.call("findTime", { logId: log.id, timeMs });
    return Math.min(found, state.head + 1);
  }

  async fence(name: ChannelName, incarnation: string, version: number): Promise<number> {
    const session = this.#session();
    const log = requireLog(name, session.logs.get(name.key), incarnation);
    const { next } = log;
    const figures = version > next.version ? { ...next, version, fencedAt: next.head } : next;
    await this.#step(session, log, figures);
    return figures.fencedAt;
  }

  async renewEpoch(name: ChannelName): Promise<LogState> {
    const session = this.#session();
    const log = requireLog(name, session.logs.get(name.key));
    const links = withNewEpoch(log.next.links, log.next.head + 1, this.#environment.randomEpoch);
    const figures = { ...log.next, links };
    await this.#step(session, log, figures);
    return log.stateAt(figures);
  }

  async trim(name: ChannelName, retention: RetentionConfig): Promise<LogState> {
    const session = this.#session();
    const log = requireLog(name, session.logs.get(name.key));
    // What is queued is not on disk yet; it comes too late to be trimmed.
    const { head } = log.committed ?? log.next;
    await session.queue.trim(log, retainedFrom(retention, head, this.#environment.now()));
    return log.stateAt(log.committed ?? log.next);
  }

  async delete(name: ChannelName, incarnation: string): Promise<void> {
    const session = this.#session();
    const log = session.logs.get(name.key);
    if (log?.incarnation === incarnation) await this.#drop(session, log);
  }

  /** Nobody finds it from now on; whoever waits to append learns that it is gone. */
  #drop(session: WriterSession, log: FileLog): Promise<void> {
    log.isDeleted = true;
    session.logs.delete(log.key);
    return session.queue.drop(log);
  }

  #checkRoom(session: WriterSession, log: FileLog): void {
    try {
      session.queue.checkRoom();
    } catch (error) {
      throw log.refusal.raise(error as BusError);
    }
  }

  /**
   * Queues a step. Resolves when everything up to it is on disk, also when it stores nothing itself: an outcome that rests
   * on an append still in flight must not be told before that one is certain.
   */
  #step(session: WriterSession, log: FileLog, figures: LogFigures): Promise<undefined>;
  #step(
    session: WriterSession,
    log: FileLog,
    figures: LogFigures,
    outcome: AppendOutcome,
    records?: readonly AppendRecord[],
  ): Promise<AppendOutcome>;
  #step(
    session: WriterSession,
    log: FileLog,
    figures: LogFigures,
    outcome?: AppendOutcome,
    records: readonly AppendRecord[] = [],
  ): Promise<AppendOutcome | undefined> {
    let bytes = 0;
    for (let i = 0; i < records.length; i++) bytes += records[i]!.body.byteLength;
    return new Promise((resolve, failed) => {
      session.queue.push({
        log,
        records,
        bytes,
        epoch: newestEpoch(figures.links),
        acceptedAtMs: figures.lastAcceptedAtMs,
        figures,
        dedupMark: session.dedup.mark(),
        done: () => resolve(outcome !== undefined && log.isDeleted ? GONE : outcome),
        failed,
      });
    });
  }
}

function toReadResult(reply: ReadBlocksReply, backward: boolean): ReadResult {
  if (reply.log === undefined) return { entries: [], state: undefined, damaged: [] };
  const entries: LogEntry[] = [];
  for (const part of reply.slices) {
    const decoder = new BlockDecoder(part.first, part.epoch, part.entries, part.bodies);
    if (backward) for (let i = part.to - 1; i >= part.from; i--) entries.push(decoder.entry(i));
    else for (let i = part.from; i < part.to; i++) entries.push(decoder.entry(i));
  }
  const { incarnation, version, head, floor, links, sizeBytes } = reply.log;
  return { entries, state: { incarnation, version, head, floor, links, sizeBytes }, damaged: reply.damaged };
}
