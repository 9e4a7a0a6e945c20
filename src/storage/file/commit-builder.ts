import { align8, BlockEncoder } from "./block-encoder.ts";
import type { QueuedStep } from "./commit-queue.ts";
import type { FileLog, LogFigures } from "./file-log.ts";
import type { CommitRequest, DirectoryChange, LogDefinition, LogHead, StoredBlock } from "./thread-protocol.ts";

const FIRST_SLAB_BYTES = 1_048_576;
/** A larger slab, made for one large commit, is not kept. */
const KEPT_SLAB_BYTES = 16_777_216;

/** What one commit makes of a log. */
export interface LogCommit {
  readonly log: FileLog;
  figures: LogFigures;
  addedBytes: number;
}

export interface BuiltCommit {
  readonly request: CommitRequest;
  readonly logs: readonly LogCommit[];
  /** There is nothing to write. */
  readonly isEmpty: boolean;
}

/**
 * Makes blocks and rows of what is queued. Only one commit is in flight, so all are written to the same shared memory:
 * nothing is allocated for the messages of a commit, and nothing is copied between the threads.
 */
export class CommitBuilder {
  readonly #encoder = new BlockEncoder();
  #slab = new SharedArrayBuffer(FIRST_SLAB_BYTES);
  #bytes = Buffer.from(this.#slab);
  #used = 0;
  #blocks: StoredBlock[] = [];

  build(steps: readonly QueuedStep[], changes: readonly DirectoryChange[], nowMs: number): BuiltCommit {
    if (this.#slab.byteLength > KEPT_SLAB_BYTES) this.#replaceSlab(KEPT_SLAB_BYTES, false);
    this.#used = 0;
    this.#blocks = [];
    const logs: LogCommit[] = [];
    const definitions: LogDefinition[] = [];
    const heads: LogHead[] = [];
    for (const [log, own] of byLog(steps)) {
      const { figures } = own[own.length - 1]!;
      const { committed } = log;
      const addedBytes = this.#writeBlocks(log, own);
      logs.push({ log, figures, addedBytes });
      const isRedefined =
        committed === undefined ||
        committed.version !== figures.version ||
        committed.fencedAt !== figures.fencedAt ||
        committed.links !== figures.links;
      if (isRedefined) definitions.push(log.definition(figures));
      if (committed !== undefined && committed.head === figures.head) continue;
      const { head, lastAcceptedAtMs } = figures;
      heads.push({ id: log.id, head, floor: log.floor, sizeBytes: log.sizeBytes + addedBytes, lastAcceptedAtMs });
    }
    const request = { nowMs, definitions, heads, blocks: this.#blocks, slab: this.#slab, changes };
    return { request, logs, isEmpty: definitions.length + heads.length + changes.length === 0 };
  }

  /** Answers the bytes of the bodies. */
  #writeBlocks(log: FileLog, steps: readonly QueuedStep[]): number {
    const encoder = this.#encoder;
    let bytes = 0;
    let first = log.committed === undefined ? 1 : log.committed.head + 1;
    let epoch = 0;
    let firstAcceptedAtMs = 0;
    let lastAcceptedAtMs = 0;
    const close = () => {
      if (encoder.count === 0) return;
      const { count, bodyBytes } = encoder;
      this.#reserve(encoder.maxByteLength);
      const parts = encoder.write(this.#bytes, this.#used);
      this.#used = align8(parts.bodiesAt + parts.bodiesBytes);
      const last = first + count - 1;
      this.#blocks.push({
        logId: log.id,
        first,
        last,
        epoch,
        firstAcceptedAtMs,
        lastAcceptedAtMs,
        bodyBytes,
        ...parts,
      });
      first = last + 1;
      bytes += bodyBytes;
    };
    for (const step of steps) {
      if (step.epoch !== epoch) close();
      epoch = step.epoch;
      for (let i = 0; i < step.records.length; i++) {
        const record = step.records[i]!;
        if (!encoder.fits(record.body.byteLength)) close();
        if (encoder.count === 0) firstAcceptedAtMs = step.acceptedAtMs;
        lastAcceptedAtMs = step.acceptedAtMs;
        encoder.add(record, step.acceptedAtMs);
      }
    }
    close();
    return bytes;
  }

  #reserve(bytes: number): void {
    const needed = this.#used + bytes;
    if (needed > this.#slab.byteLength) this.#replaceSlab(2 ** Math.ceil(Math.log2(needed)), true);
  }

  #replaceSlab(bytes: number, keep: boolean): void {
    const old = this.#bytes;
    this.#slab = new SharedArrayBuffer(bytes);
    this.#bytes = Buffer.from(this.#slab);
    if (keep) this.#bytes.set(old.subarray(0, this.#used));
  }
}

function byLog(steps: readonly QueuedStep[]): Map<FileLog, QueuedStep[]> {
  const groups = new Map<FileLog, QueuedStep[]>();
  for (const step of steps) {
    const group = groups.get(step.log);
    if (group === undefined) groups.set(step.log, [step]);
    else group.push(step);
  }
  return groups;
}
