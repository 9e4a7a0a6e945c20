import type { DatabaseSync, StatementSync } from "node:sqlite";
import type { BlockRows } from "./block-rows.ts";
import { isDamage } from "./sqlite-errors.ts";
import type { RecentBlocksReply } from "./thread-protocol.ts";

/** Blocks handed over by one call. */
const STEP_BLOCKS = 256;

interface NumberedBlock {
  readonly id: number;
  readonly logId: number;
  readonly first: number;
  readonly last: number;
  readonly lastAcceptedAtMs: number;
}

/** The newest blocks of all logs, oldest first: what the deduplication window is built from at open. */
export class RecentBlocks {
  readonly #blocks: BlockRows;
  readonly #newest: StatementSync;
  readonly #older: StatementSync;
  readonly #after: StatementSync;

  constructor(db: DatabaseSync, blocks: BlockRows) {
    const numbers = `SELECT id, log_id AS logId, first_sequence AS first, last_sequence AS last,
      last_accepted_at AS lastAcceptedAtMs FROM block`;
    this.#blocks = blocks;
    this.#newest = db.prepare("SELECT max(id) AS id FROM block");
    this.#older = db.prepare(`${numbers} WHERE id <= ? ORDER BY id DESC LIMIT 1`);
    this.#after = db.prepare(`${numbers} WHERE id > ? ORDER BY id LIMIT 1`);
  }

  /** The number of the block before the first recent one. Stops where a block cannot be read. */
  start({ sinceMs, maxKeys }: { readonly sinceMs: number; readonly maxKeys: number }): number {
    let id = Number(this.#newest.get()?.["id"] ?? 0);
    for (let keys = 0; keys < maxKeys; ) {
      const block = readable(() => this.#older.get(id));
      if (block === undefined || block.lastAcceptedAtMs < sinceMs) break;
      keys += block.last - block.first + 1;
      id = block.id - 1;
    }
    return id;
  }

  next(afterBlock: number): RecentBlocksReply {
    const blocks: RecentBlocksReply["blocks"][number][] = [];
    let id = afterBlock;
    for (let n = 0; n < STEP_BLOCKS; n++) {
      const place = readable(() => this.#after.get(id));
      if (place === undefined) return { blocks, next: undefined };
      id = place.id;
      const block = this.#blocks.read(place, place.logId);
      if (block === undefined) continue;
      const { logId, first, epoch, entries } = block;
      blocks.push({ logId, first, epoch, entries });
    }
    return { blocks, next: id };
  }
}

function readable(read: () => unknown): NumberedBlock | undefined {
  try {
    return read() as NumberedBlock | undefined;
  } catch (error) {
    if (isDamage(error)) return undefined;
    throw error;
  }
}
