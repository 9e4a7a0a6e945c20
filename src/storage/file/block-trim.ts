import { BlockDecoder } from "./block-decoder.ts";
import type { BlockPlace, BlockRows } from "./block-rows.ts";
import type { LogRows } from "./log-rows.ts";
import type { LogHead, TrimReply, TrimRequest } from "./thread-protocol.ts";

/** Blocks deleted in one transaction: 10 ms or so, which appends wait for. */
const STEP_BLOCKS = 500;
const NO_BYTES = new Uint8Array(0);

/** What a transaction has to do to trim a log. */
export interface TrimPlan {
  /** Undefined: nothing changes. */
  readonly head: LogHead | undefined;
  /** Blocks that lie wholly below the new floor. Those that cannot be read stay: deleting them would fail, too. */
  readonly deletes: readonly number[];
  readonly reply: TrimReply;
}

/**
 * Moves a log's floor up to what the bounds ask for. The floor is exact to the message; of a block that it cuts, the lower
 * part stays on disk and is not shown. Holes and damaged blocks count no bytes and go with their neighbours.
 *
 * Planned outside of the transaction, because one that has met a damaged page cannot be committed.
 */
export function planTrim(request: TrimRequest, logs: LogRows, blocks: BlockRows): TrimPlan {
  const log = logs.head(request.logId);
  if (log === undefined) return { head: undefined, deletes: [], reply: { floor: 1, freedBytes: 0, more: false } };
  let { floor, sizeBytes } = log;
  const deletes: number[] = [];
  let place = firstAt(log, blocks);
  let steps = 0;
  for (; place !== undefined && steps < STEP_BLOCKS; steps++) {
    const cut = cutBlock(place, { ...log, floor, sizeBytes }, request, blocks);
    sizeBytes -= cut.freedBytes;
    floor = Math.max(floor, cut.floor);
    if (floor <= place.last) break;
    if (blocks.numbers(place.id) !== undefined) deletes.push(place.id);
    place = blocks.after(log.id, place.first);
  }
  // No block is left to look into: what is missing up to the head goes by count alone.
  if (place === undefined) floor = Math.max(floor, Math.min(request.byCount, log.head));
  if (floor > log.head) sizeBytes = 0;
  return {
    head: floor > log.floor ? { ...log, floor, sizeBytes } : undefined,
    deletes,
    reply: { floor, freedBytes: log.sizeBytes - sizeBytes, more: steps === STEP_BLOCKS && place !== undefined },
  };
}

/** The next blocks of a deleted log that can be deleted. Empty: none is left. */
export function planPurge(logId: number, blocks: BlockRows): number[] {
  const deletes: number[] = [];
  for (let place = blocks.after(logId, 0); place !== undefined; place = blocks.after(logId, place.first)) {
    if (blocks.numbers(place.id) !== undefined) deletes.push(place.id);
    if (deletes.length === STEP_BLOCKS) break;
  }
  return deletes;
}

function firstAt(log: LogHead, blocks: BlockRows): BlockPlace | undefined {
  const place = blocks.at(log.id, log.floor);
  return place !== undefined && place.last >= log.floor ? place : blocks.after(log.id, log.floor);
}

/** Where the floor comes to lie when this block is looked at, and what that frees. */
function cutBlock(
  place: BlockPlace,
  log: LogHead,
  bounds: TrimRequest,
  blocks: BlockRows,
): { floor: number; freedBytes: number } {
  if (place.last < log.floor) return { floor: place.last + 1, freedBytes: 0 };
  const numbers = blocks.numbers(place.id);
  const isWhole = log.floor <= place.first;
  // The usual cases need no look at the entries.
  const allGo = numbers !== undefined && (numbers.lastAcceptedAtMs < bounds.byAge || place.last < bounds.byCount);
  if (allGo && isWhole) return { floor: place.last + 1, freedBytes: numbers.bodyBytes };
  const entries = blocks.entries(place.id, place.last - place.first + 1);
  if (entries === undefined) return cutDamaged(place, log, bounds);

  const decoder = new BlockDecoder(place.first, 0, entries, NO_BYTES);
  let floor = Math.max(log.floor, place.first);
  const start = decoder.bodyEnd(floor - place.first - 1);
  let freedBytes = 0;
  for (; floor <= place.last; floor++) {
    const i = floor - place.first;
    const isTooOld = decoder.acceptedAtMs(i) < bounds.byAge;
    const isTooMuch = floor < bounds.byCount || log.sizeBytes - freedBytes > bounds.maxBytes;
    if (!isTooOld && (!isTooMuch || floor === log.head)) break;
    freedBytes = decoder.bodyEnd(i) - start;
  }
  return { floor: floor === place.first ? log.floor : floor, freedBytes };
}

/** Nothing is known of its entries: they go by count, or when there is too much behind them. */
function cutDamaged(place: BlockPlace, log: LogHead, bounds: TrimRequest): { floor: number; freedBytes: number } {
  const goes = place.last < bounds.byCount || (log.sizeBytes > bounds.maxBytes && place.last < log.head);
  return { floor: goes ? place.last + 1 : log.floor, freedBytes: 0 };
}
