import { type Answer, rowsOf } from "./connection.ts";
import { RING_COLUMNS, type RingRow, toRingRow } from "./ring-rows.ts";
import type { Tables } from "./schema.ts";
import { integer } from "./sql-text.ts";
import type { StoreClock } from "./store-clock.ts";

/** Rings that one look reads; when there are more, it is cheaper to look at everything. */
const MAX_ROWS = 2_000;
/** Longer than any transaction is in flight: what has not come by then was rolled back. */
const HOLE_MS = 15_000;
const MAX_HOLES = 1_000;

export interface RingNews {
  readonly rows: readonly RingRow[];
  /** Rings were passed over. */
  readonly missed: boolean;
}

/**
 * Reads the table of rings in the order of their ids. Ids are drawn when a row is inserted and seen when its transaction
 * commits: a lower one may come after a higher one. Ids that were left out are therefore asked for again, until they come
 * or their transaction must be over, so that no committed ring is passed over and none is told twice.
 */
export class RingFeed {
  readonly #tables: Tables;
  readonly #clock: StoreClock;
  #last = 0;
  /** Ids that were left out, oldest first, each with the time since when it is missed. */
  readonly #holes = new Map<number, number>();

  constructor(tables: Tables, clock: StoreClock) {
    this.#tables = tables;
    this.#clock = clock;
  }

  /** From here on everything is news. */
  start(newestId: number): void {
    this.#last = newestId;
    this.#holes.clear();
  }

  /** One look, in one round trip. */
  statements(): readonly string[] {
    const { ring } = this.#tables;
    const select = `SELECT ${RING_COLUMNS} FROM ${ring} WHERE id`;
    return [
      `SELECT COALESCE(MAX(id), 0), ${this.#clock.sql} FROM ${ring}`,
      `${select} > ${integer(this.#last)} ORDER BY id LIMIT ${MAX_ROWS + 1}`,
      ...(this.#holes.size === 0 ? [] : [`${select} IN (${[...this.#holes.keys()].map(integer).join(",")})`]),
    ];
  }

  /** Takes the answers to the statements. `nowMs` is any clock that never steps. */
  take([first, newer, late]: readonly Answer[], nowMs: number): RingNews {
    const [newestId, serverMs] = rowsOf<[number, number]>(first)[0]!;
    this.#clock.observe(serverMs);
    const rows = rowsOf(newer).map(toRingRow);
    if (newestId < this.#last || rows.length > MAX_ROWS) {
      // The server lost its end (the newest ring is never swept), or there is too much to be told one by one.
      this.start(newestId);
      return { rows: [], missed: true };
    }
    const lateRows = late === undefined ? [] : rowsOf(late).map(toRingRow);
    for (const { id } of lateRows) this.#holes.delete(id);
    for (const { id } of rows) {
      for (let hole = Math.max(this.#last + 1, id - MAX_HOLES); hole < id; hole++) this.#holes.set(hole, nowMs);
      this.#last = id;
    }
    for (const [id, sinceMs] of this.#holes) {
      if (this.#holes.size <= MAX_HOLES && nowMs - sinceMs < HOLE_MS) break;
      this.#holes.delete(id);
    }
    return { rows: [...lateRows, ...rows], missed: false };
  }
}
