import type { DatabaseSync, StatementSync } from "node:sqlite";
import { type BlockHeader, blockChecksum, ENTRIES_HEADER_BYTES, ENTRY_COLUMN_BYTES } from "./block-format.ts";
import { isDamage } from "./sqlite-errors.ts";
import type { StoredBlock } from "./thread-protocol.ts";

/** A block's place, from the index: known even when its row is damaged. */
export interface BlockPlace {
  readonly id: number;
  readonly first: number;
  readonly last: number;
}

export interface ReadBlock extends BlockHeader {
  readonly entries: Uint8Array;
  readonly bodies: Uint8Array;
}

/** A block's numbers, without its parts and unchecked. */
export interface BlockNumbers {
  readonly lastAcceptedAtMs: number;
  readonly bodyBytes: number;
}

/** The rows of `block`. */
export class BlockRows {
  readonly #insert: StatementSync;
  readonly #delete: StatementSync;
  readonly #at: StatementSync;
  readonly #after: StatementSync;
  readonly #before: StatementSync;
  readonly #row: StatementSync;
  readonly #numbers: StatementSync;
  readonly #entries: StatementSync;
  readonly #hashes: StatementSync;

  constructor(db: DatabaseSync) {
    const place = "SELECT id, first_sequence AS first, last_sequence AS last FROM block INDEXED BY block_by_log";
    this.#insert = db.prepare(
      `INSERT INTO block (log_id, first_sequence, last_sequence, epoch, first_accepted_at, last_accepted_at, body_bytes,
         checksum, id_hashes, entries, bodies) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
    );
    this.#delete = db.prepare("DELETE FROM block WHERE id = ?");
    this.#at = db.prepare(`${place} WHERE log_id = ? AND first_sequence <= ? ORDER BY first_sequence DESC LIMIT 1`);
    this.#after = db.prepare(`${place} WHERE log_id = ? AND first_sequence > ? ORDER BY first_sequence LIMIT 1`);
    this.#before = db.prepare(`${place} WHERE log_id = ? AND first_sequence < ? ORDER BY first_sequence DESC LIMIT 1`);
    this.#row = db.prepare(
      `SELECT log_id AS logId, first_sequence AS first, last_sequence AS last, epoch,
         first_accepted_at AS firstAcceptedAtMs, last_accepted_at AS lastAcceptedAtMs, body_bytes AS bodyBytes,
         checksum, id_hashes AS idHashes, entries, bodies FROM block WHERE id = ?`,
    );
    this.#numbers = db.prepare(
      "SELECT last_accepted_at AS lastAcceptedAtMs, body_bytes AS bodyBytes FROM block WHERE id = ?",
    );
    this.#entries = db.prepare("SELECT entries FROM block WHERE id = ?");
    this.#hashes = db.prepare("SELECT id_hashes AS idHashes FROM block WHERE id = ?");
  }

  insert(block: StoredBlock, slab: SharedArrayBuffer): void {
    const idHashes = new Uint8Array(slab, block.idHashesAt, block.idHashesBytes);
    const entries = new Uint8Array(slab, block.entriesAt, block.entriesBytes);
    const bodies = new Uint8Array(slab, block.bodiesAt, block.bodiesBytes);
    this.#insert.run(
      block.logId,
      block.first,
      block.last,
      block.epoch,
      block.firstAcceptedAtMs,
      block.lastAcceptedAtMs,
      block.bodyBytes,
      blockChecksum(block, idHashes, entries, bodies),
      idHashes,
      entries,
      bodies,
    );
  }

  delete(id: number): void {
    this.#delete.run(id);
  }

  /** The block that starts at or nearest below this sequence. */
  at(logId: number, sequence: number): BlockPlace | undefined {
    return this.#at.get(logId, sequence) as BlockPlace | undefined;
  }

  /** The first block that starts behind this sequence. */
  after(logId: number, sequence: number): BlockPlace | undefined {
    return this.#after.get(logId, sequence) as BlockPlace | undefined;
  }

  /** The last block that starts before this sequence. */
  before(logId: number, sequence: number): BlockPlace | undefined {
    return this.#before.get(logId, sequence) as BlockPlace | undefined;
  }

  /** The block with everything in it; undefined: missing or damaged. */
  read(place: BlockPlace, logId: number): ReadBlock | undefined {
    const row = undamaged(() => this.#row.get(place.id));
    if (row === undefined) return undefined;
    const block = row as unknown as ReadBlock & { checksum: number; idHashes: Uint8Array };
    const isWhole =
      block.logId === logId &&
      block.first === place.first &&
      block.last === place.last &&
      block.idHashes instanceof Uint8Array &&
      block.entries instanceof Uint8Array &&
      block.bodies instanceof Uint8Array &&
      blockChecksum(block, block.idHashes, block.entries, block.bodies) === block.checksum;
    return isWhole ? block : undefined;
  }

  numbers(id: number): BlockNumbers | undefined {
    return undamaged(() => this.#numbers.get(id)) as BlockNumbers | undefined;
  }

  /** The columns of a block of `count` entries, when their shape is right; the checksum is not looked at. */
  entries(id: number, count: number): Uint8Array | undefined {
    const entries = undamaged(() => this.#entries.get(id))?.["entries"];
    if (!(entries instanceof Uint8Array) || entries.byteLength < ENTRIES_HEADER_BYTES) return undefined;
    const [stored, strings] = new Uint32Array(entries.slice(0, 8).buffer);
    const isWhole = entries.byteLength >= ENTRIES_HEADER_BYTES + count * ENTRY_COLUMN_BYTES + strings! * 4;
    return stored === count && isWhole ? entries : undefined;
  }

  /** Unchecked: what they find is read and checked. Undefined: missing or damaged. */
  idHashes(id: number): Uint32Array | undefined {
    const hashes = undamaged(() => this.#hashes.get(id))?.["idHashes"];
    if (!(hashes instanceof Uint8Array)) return undefined;
    return new Uint32Array(hashes.slice(0, hashes.byteLength & ~3).buffer);
  }
}

function undamaged<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch (error) {
    if (isDamage(error)) return undefined;
    throw error;
  }
}
