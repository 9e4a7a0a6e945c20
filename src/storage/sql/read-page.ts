import type { LogEntry } from "../../core/message.ts";
import type { LogState, ReadRequest, ReadResult } from "../message-log.ts";
import { type EntryRow, toLogEntry } from "./entry-row.ts";

/** What one read returns at most, whatever it is asked for. */
export const MAX_READ_ENTRIES = 10_000;
export const MAX_READ_BYTES = 4_194_304;

/** The request within what one read may return. */
export function boundedRequest(request: ReadRequest): ReadRequest {
  return {
    ...request,
    maxEntries: Math.min(Math.max(request.maxEntries, 1), MAX_READ_ENTRIES),
    maxBytes: Math.min(Math.max(request.maxBytes, 1), MAX_READ_BYTES),
  };
}

/**
 * Makes a page of rows that were read together with the log's state. Rows come in the order of the request. Rows between
 * floor and head that are not there, or fail their checksum, are told as damaged.
 *
 * @param isComplete the rows reach to the log's end (or floor): what is missing behind the last one is damaged. Else the
 *   last row only shows that there is more, or is the last that fits.
 */
export function toReadResult(
  rows: readonly EntryRow[],
  state: LogState | undefined,
  request: ReadRequest,
  isComplete: boolean,
): ReadResult {
  if (state === undefined) return { entries: [], state, damaged: [] };
  const { backward, maxEntries, maxBytes } = request;
  const entries: LogEntry[] = [];
  const damage = new DamagedRanges(backward);
  const step = backward ? -1 : 1;
  let expected = backward ? Math.min(request.from - 1, state.head) : Math.max(request.from + 1, state.floor);
  let bytes = 0;
  for (const row of rows) {
    bytes += row.body.length;
    const entry = toLogEntry(row);
    if (entries.length > 0 && (entries.length >= maxEntries || bytes > maxBytes)) {
      return { entries, state, damaged: damage.ascending() };
    }
    damage.add(expected, row.sequence - step);
    if (entry === undefined) damage.add(row.sequence, row.sequence);
    else entries.push(entry);
    expected = row.sequence + step;
  }
  if (isComplete) damage.add(expected, backward ? state.floor : state.head);
  return { entries, state, damaged: damage.ascending() };
}

class DamagedRanges {
  readonly #backward: boolean;
  readonly #ranges: { first: number; last: number }[] = [];

  constructor(backward: boolean) {
    this.#backward = backward;
  }

  /** From `from` to `to`, both included, in the order of reading; nothing when `to` lies before `from`. */
  add(from: number, to: number): void {
    const first = this.#backward ? to : from;
    const last = this.#backward ? from : to;
    if (first > last) return;
    const newest = this.#ranges.at(-1);
    if (newest !== undefined && !this.#backward && newest.last === first - 1) newest.last = last;
    else if (newest !== undefined && this.#backward && newest.first === last + 1) newest.first = first;
    else this.#ranges.push({ first, last });
  }

  ascending(): readonly { first: number; last: number }[] {
    return this.#backward ? this.#ranges.reverse() : this.#ranges;
  }
}
