import { epochAt } from "../../core/epoch-chain.ts";
import type { ChannelName } from "../../core/names.ts";
import { DedupWindow, MAX_DEDUP_WINDOW_MS } from "../dedup-window.ts";
import { newestEpoch } from "../epoch-links.ts";
import type { KnownKey, StoredRecord } from "../sql/decide-appends.ts";
import type { KeyedBatch, KeyFingerprint } from "../sql/keyed-batch.ts";
import { type BlockRange, decodeKeys } from "./block-codec.ts";
import { type Answer, rowsOf } from "./connection.ts";
import type { Session } from "./connection-pool.ts";
import type { LogRow } from "./log-row.ts";
import type { Tables } from "./schema.ts";
import { integer } from "./sql-text.ts";

/** Blocks whose keys are read in one round trip. */
const PAGE_BLOCKS = 500;
const MAX_LOGS = 10_000;

/** How far the keys of a log are known here. */
interface Known {
  readonly logId: number;
  readonly head: number;
  /** Under which `head` was issued, or later. */
  readonly epoch: number;
}

/**
 * The idempotency keys of the logs that this node appends to.
 *
 * Keys are stored in the blocks of their messages, in the order of sequences: an index over them would be written at
 * random places, which costs more than all the rest of an append. A node keeps in memory what it has stored itself, and
 * reads, while it holds the lock of the log's row, what other nodes have stored since: most often nothing, and in the same
 * round trip as the lock. The first append to a log reads the keys of the last ten minutes.
 */
export class KeyWindow {
  readonly #tables: Tables;
  readonly #maxKeys: number;
  readonly #keys: DedupWindow;
  readonly #logs = new Map<string, Known>();

  constructor(tables: Tables, maxKeys: number, random: () => number) {
    this.#tables = tables;
    this.#maxKeys = maxKeys;
    this.#keys = new DedupWindow(maxKeys, random);
  }

  /** Statements to send with the lock of the log's row, for catchUp(). */
  statements(name: ChannelName): readonly string[] {
    const known = this.#logs.get(name.key);
    return known === undefined ? [] : [this.#select(known.logId, known.head, Number.MAX_SAFE_INTEGER, "ASC")];
  }

  /**
   * Learns the keys that the log has and this node does not know yet. The session holds the lock of the log's row.
   *
   * @param answers to the statements, sent behind the lock.
   */
  async catchUp(
    session: Pick<Session, "send">,
    name: ChannelName,
    log: LogRow,
    answers: readonly Answer[],
  ): Promise<void> {
    let known = this.#logs.get(name.key);
    let page: Answer | undefined = answers[0];
    if (known === undefined || known.logId !== log.id) {
      await this.#readRecent(session, log);
    } else {
      const from = knownUpTo(known, log);
      if (from !== known.head) page = undefined;
      for (known = { ...known, head: from }; known.head < log.head; ) {
        page ??= (await session.send([this.#select(log.id, known.head, log.head, "ASC")]))[0];
        const blocks: readonly KeyColumns[] = rowsOf<KeyColumns>(page);
        for (const block of blocks) this.#learn(log.id, block);
        known = { ...known, head: blocks.length < PAGE_BLOCKS ? log.head : blocks.at(-1)![1] };
        page = undefined;
      }
    }
    this.#note(name, { logId: log.id, head: log.head, epoch: newestEpoch(log.links) });
  }

  /** Which of the batches' keys the log has already. */
  find(batches: readonly KeyedBatch[], log: LogRow): ReadonlyMap<KeyFingerprint, KnownKey> {
    const found = new Map<KeyFingerprint, KnownKey>();
    for (const { keys } of batches) {
      for (const key of keys) {
        const slot = key === "" ? -1 : this.#keys.lookup(log.id, "", key);
        if (slot < 0) continue;
        const sequence = this.#keys.sequenceAt(slot);
        const epoch = this.#keys.epochAt(slot);
        // A key whose message was lost with the log's end: the sequence is free, or another message's.
        if (sequence > log.head || epochAt(log.links, sequence) !== epoch) continue;
        const acceptedAtMs = this.#keys.acceptedAtMsAt(slot);
        found.set(key, { sequence, epoch, acceptedAtMs, contentDigest: this.#keys.contentDigestAt(slot) });
      }
    }
    return found;
  }

  /** What was stored and committed, behind what catchUp() knew. */
  remember(name: ChannelName, logId: number, stored: readonly StoredRecord[], epoch: number): void {
    for (const { key, sequence, acceptedAtMs, record } of stored) {
      if (key === "") continue;
      this.#keys.lookup(logId, "", key);
      this.#keys.remember(sequence, epoch, acceptedAtMs, record.contentDigest);
    }
    this.#note(name, { logId, head: stored.at(-1)!.sequence, epoch });
  }

  /** From the newest backward, until keys are too old to count or more than are kept. */
  async #readRecent(session: Pick<Session, "send">, log: LogRow): Promise<void> {
    const recent: KeyColumns[] = [];
    let count = 0;
    for (let below = log.head; below > 0 && count < this.#maxKeys; ) {
      const [page] = await session.send([this.#select(log.id, 0, below, "DESC")]);
      const blocks = rowsOf<KeyColumns>(page);
      for (const block of blocks) {
        if (log.nowMs - block[3] >= MAX_DEDUP_WINDOW_MS) break;
        recent.push(block);
        count += block[1] - block[0] + 1;
      }
      const oldest = blocks.at(-1);
      below = oldest === undefined || recent.at(-1) !== oldest || blocks.length < PAGE_BLOCKS ? 0 : oldest[0] - 1;
    }
    for (const block of recent.reverse()) this.#learn(log.id, block);
  }

  #select(logId: number, above: number, upTo: number, order: "ASC" | "DESC"): string {
    return `SELECT first_sequence, last_sequence, epoch, accepted_at, idempotency_keys FROM ${this.#tables.block}
      WHERE log_id = ${integer(logId)} AND last_sequence > ${integer(above)} AND last_sequence <= ${integer(upTo)}
      ORDER BY last_sequence ${order} LIMIT ${PAGE_BLOCKS}`;
  }

  #learn(logId: number, [first, , epoch, acceptedAtMs, keys]: KeyColumns): void {
    for (const { sequence, fingerprint, contentDigest } of decodeKeys(first, keys)) {
      this.#keys.lookup(logId, "", fingerprint);
      this.#keys.remember(sequence, epoch, acceptedAtMs, contentDigest);
    }
  }

  #note(name: ChannelName, known: Known): void {
    this.#logs.delete(name.key);
    this.#logs.set(name.key, known);
    if (this.#logs.size <= MAX_LOGS) return;
    for (const oldest of this.#logs.keys()) {
      this.#logs.delete(oldest);
      return;
    }
  }
}

type KeyColumns = readonly [
  first: BlockRange["first"],
  last: BlockRange["last"],
  epoch: BlockRange["epoch"],
  acceptedAtMs: BlockRange["acceptedAtMs"],
  keys: Buffer,
];

/** Where the log got a new epoch since, another node may have stored other messages under known sequences. */
function knownUpTo({ head, epoch }: Known, { links }: LogRow): number {
  const at = links.findIndex((link) => link.epoch === epoch);
  const next = links[at + 1];
  return next === undefined ? head : Math.min(head, next.first - 1);
}
