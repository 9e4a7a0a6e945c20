import type { EpochLink } from "../../core/epoch-chain.ts";
import type { ChannelName } from "../../core/names.ts";
import type { LogRing } from "../doorbell.ts";
import { newestEpoch, withNewEpoch } from "../epoch-links.ts";
import type { AppendBatch, AppendOutcome } from "../message-log.ts";
import type { SeenEnds } from "../seen-ends.ts";
import { type AppendDecision, decideAppends } from "../sql/decide-appends.ts";
import { type KeyedBatch, keyedBatch } from "../sql/keyed-batch.ts";
import { insertBlocks } from "./block-rows.ts";
import { rowsOf } from "./connection.ts";
import type { ConnectionPool } from "./connection-pool.ts";
import type { KeyWindow } from "./key-window.ts";
import { type LogRow, linksLiteral, selectLog, toLogRow } from "./log-row.ts";
import type { Tables } from "./schema.ts";
import { readLife, selectLife } from "./server-life.ts";
import { integer, text } from "./sql-text.ts";
import type { StoreClock } from "./store-clock.ts";
import { type Transaction, transact } from "./transaction.ts";

export interface AppenderParts {
  readonly pool: ConnectionPool;
  readonly tables: Tables;
  readonly clock: StoreClock;
  readonly keys: KeyWindow;
  readonly seen: SeenEnds;
  readonly randomEpoch: () => number;
  /** The statements that ring other nodes, as a part of the transaction; and this node's listeners, behind it. */
  readonly rings: { insert(ring: LogRing): readonly string[]; stored(ring: LogRing): void };
}

/**
 * Appends groups of batches, in two round trips: lock the log's row, then store and commit. The row's lock is what orders
 * the nodes; sequences come from the row and never from a counter of the server, whose order is not that of commits.
 */
export class Appender {
  readonly #parts: AppenderParts;

  constructor(parts: AppenderParts) {
    this.#parts = parts;
  }

  async commit(name: ChannelName, batches: readonly AppendBatch[]): Promise<readonly AppendOutcome[]> {
    const keyed = batches.map(keyedBatch);
    const { outcomes, ring } = await transact(this.#parts.pool, (tx) => this.#attempt(tx, name, keyed));
    if (ring !== undefined) {
      this.#parts.seen.note(ring.key, ring);
      this.#parts.rings.stored(ring);
    }
    return outcomes;
  }

  async #attempt(
    tx: Transaction,
    name: ChannelName,
    batches: readonly KeyedBatch[],
  ): Promise<{ readonly outcomes: readonly AppendOutcome[]; readonly ring?: LogRing }> {
    const { tables: t, clock, keys, seen, randomEpoch, rings } = this.#parts;
    // Statements behind the lock see what the last holder of the lock has stored.
    const [logRows, lifeRows, ...keyRows] = await tx.send([
      selectLog(t, name.key, clock.sql, true),
      selectLife(t, tx.facts),
      ...keys.statements(name),
    ]);
    const life = readLife(lifeRows, t, tx);
    const log = toLogRow(rowsOf(logRows));
    if (log === undefined) {
      return { outcomes: decideAppends({ head: log, batches, known: new Map(), epoch: 0, nowMs: 0 }).outcomes };
    }
    clock.observe(log.nowMs);
    const end = { epoch: newestEpoch(log.links), head: log.head };
    const mayLackEnd = log.serverLife !== life || seen.hasLost(name.key, end);
    await keys.catchUp(tx, name, log, keyRows);
    const links = mayLackEnd ? withNewEpoch(log.links, log.head + 1, randomEpoch) : log.links;
    const epoch = newestEpoch(links);
    const decision = decideAppends({ head: log, batches, known: keys.find(batches, log), epoch, nowMs: log.nowMs });
    const { outcomes, stored, head } = decision;
    if (decision.isUnchanged) return { outcomes };
    if (stored.length === 0) {
      await tx.commit([this.#update(log, decision, log.links, log.serverLife)]);
      return { outcomes };
    }
    const ring: LogRing = { topic: "log", key: name.key, head, epoch };
    await tx.commit([
      // Blocks of a longer past may be left above a head that was set back by hand.
      ...(mayLackEnd ? [`DELETE FROM ${t.block} WHERE log_id = ${log.id} AND last_sequence > ${log.head}`] : []),
      ...insertBlocks(t, log.id, epoch, log.totalBytes, stored),
      this.#update(log, decision, links, life),
      ...rings.insert(ring),
    ]);
    keys.remember(name, log.id, stored, epoch);
    return { outcomes, ring };
  }

  #update(log: LogRow, decision: AppendDecision, links: readonly EpochLink[], life: string): string {
    let totalBytes = log.totalBytes;
    for (const { record } of decision.stored) totalBytes += record.body.length;
    const figures = [
      `version = ${integer(decision.version)}`,
      `fenced_at = ${integer(decision.fencedAt)}`,
      `head = ${integer(decision.head)}`,
      `total_bytes = ${integer(totalBytes)}`,
      `last_accepted_at = ${integer(decision.lastAcceptedAtMs)}`,
      `server_life = ${text(life)}`,
    ];
    if (links !== log.links) {
      figures.push(`epoch = ${integer(newestEpoch(links))}`, `epoch_links = ${linksLiteral(links)}`);
    }
    return `UPDATE ${this.#parts.tables.log} SET ${figures.join(", ")} WHERE id = ${integer(log.id)}`;
  }
}
