import { BlockDecoder } from "./block-decoder.ts";
import { hashId } from "./block-format.ts";
import type { BlockPlace, BlockRows, ReadBlock } from "./block-rows.ts";
import type {
  BlockSlice,
  FindIdReply,
  FindIdRequest,
  LogHead,
  ReadBlocksReply,
  ReadBlocksRequest,
} from "./thread-protocol.ts";

interface Range {
  first: number;
  last: number;
}

/** Blocks looked into by one findId call, so that a long search lets others have their turn. */
const SEARCH_BLOCKS = 2_000;
/** Sequences that one findId call answers. */
const MAX_FOUND = 100;
const NO_BYTES = new Uint8Array(0);

type Blocks = Pick<ReadBlocksReply, "slices" | "damaged">;

/**
 * Walks the chain of blocks from one end. Each block must go on where the last one ended: what no whole block covers is
 * told as damaged, up to the log's ends when the walk gets there.
 */
export function readBlocks(log: LogHead, request: ReadBlocksRequest, blocks: BlockRows): Blocks {
  return request.backward ? readBackward(log, request, blocks) : readForward(log, request, blocks);
}

function readForward(log: LogHead, request: ReadBlocksRequest, blocks: BlockRows): Blocks {
  const slices: BlockSlice[] = [];
  const damaged: Range[] = [];
  const budget = new Budget(request);
  let next = Math.max(request.from + 1, log.floor);
  let place = covering(blocks.at(log.id, next), next) ?? blocks.after(log.id, next);
  for (; next <= log.head && !budget.isSpent; place = blocks.after(log.id, place.first)) {
    if (place === undefined || place.first > log.head) {
      damaged.push({ first: next, last: log.head });
      break;
    }
    if (place.first > next) damaged.push({ first: next, last: place.first - 1 });
    const from = Math.max(next, place.first);
    const last = Math.min(place.last, log.head);
    const block = blocks.read(place, log.id);
    if (block === undefined) {
      damaged.push({ first: from, last });
    } else {
      const decoder = new BlockDecoder(block.first, block.epoch, block.entries, NO_BYTES);
      let end = from - block.first;
      for (; end <= last - block.first && budget.take(decoder, end); end++);
      slices.push(slice(block, from - block.first, end));
    }
    next = last + 1;
  }
  return { slices: filled(slices), damaged: merged(damaged) };
}

function readBackward(log: LogHead, request: ReadBlocksRequest, blocks: BlockRows): Blocks {
  const slices: BlockSlice[] = [];
  const damaged: Range[] = [];
  const budget = new Budget(request);
  let next = Math.min(request.from - 1, log.head);
  let place = blocks.at(log.id, next);
  for (; next >= log.floor && !budget.isSpent; place = blocks.before(log.id, place.first)) {
    if (place === undefined || place.last < log.floor) {
      damaged.unshift({ first: log.floor, last: next });
      break;
    }
    if (place.last < next) damaged.unshift({ first: place.last + 1, last: next });
    const first = Math.max(place.first, log.floor);
    const last = Math.min(place.last, next);
    const block = blocks.read(place, log.id);
    if (block === undefined) {
      damaged.unshift({ first, last });
    } else {
      const decoder = new BlockDecoder(block.first, block.epoch, block.entries, NO_BYTES);
      let start = last - block.first;
      for (; start >= first - block.first && budget.take(decoder, start); start--);
      slices.push(slice(block, start + 1, last - block.first + 1));
    }
    next = first - 1;
  }
  return { slices: filled(slices), damaged: merged(damaged) };
}

/** The entries of this id in the first of the next blocks that has one. */
export function findId(request: FindIdRequest, blocks: BlockRows): FindIdReply {
  const { logId, id, first, head } = request;
  const hash = hashId(id);
  let damaged = false;
  let place = covering(blocks.at(logId, request.from), request.from) ?? blocks.after(logId, request.from);
  for (let n = 0; place !== undefined && place.first <= head; n++, place = blocks.after(logId, place.first)) {
    if (n === SEARCH_BLOCKS) return { sequences: [], next: place.first, damaged };
    const hashes = blocks.idHashes(place.id);
    if (hashes !== undefined && !hashes.includes(hash)) continue;
    const block = blocks.read(place, logId);
    if (block === undefined) {
      damaged = true;
      continue;
    }
    const decoder = new BlockDecoder(block.first, block.epoch, block.entries, NO_BYTES);
    const sequences: number[] = [];
    for (let i = Math.max(0, first - block.first); i < decoder.count && block.first + i <= head; i++) {
      if (decoder.id(i) === id && sequences.length < MAX_FOUND) sequences.push(block.first + i);
    }
    if (sequences.length > 0) return { sequences, next: 0, damaged };
  }
  return { sequences: [], next: 0, damaged };
}

/**
 * The first sequence accepted at or after this time; head + 1 when there is none. Bisects the blocks; damaged ones count
 * as early enough as long as a whole one behind them is late enough: a reader is rather told of damage than kept from it.
 */
export function findTime(log: LogHead, timeMs: number, blocks: BlockRows): number {
  let low = log.floor;
  let high = log.head + 1;
  while (low < high) {
    const middle = Math.floor((low + high) / 2);
    const whole = wholeBlockBehind(log, middle, blocks);
    if (whole === undefined || whole.first >= high) {
      high = middle;
      continue;
    }
    const first = Math.max(whole.first, log.floor);
    const decoder = new BlockDecoder(whole.first, whole.epoch, whole.entries, NO_BYTES);
    if (decoder.acceptedAtMs(first - whole.first) >= timeMs) {
      high = Math.min(middle, first);
    } else if (whole.lastAcceptedAtMs < timeMs) {
      low = whole.last + 1;
    } else {
      for (let i = first - whole.first; i < decoder.count; i++) {
        if (decoder.acceptedAtMs(i) >= timeMs) return whole.first + i;
      }
    }
  }
  return Math.min(low, log.head + 1);
}

/** The block that covers the sequence or, when that is damaged or missing, the first whole one behind it. */
function wholeBlockBehind(log: LogHead, sequence: number, blocks: BlockRows): ReadBlock | undefined {
  let place = covering(blocks.at(log.id, sequence), sequence) ?? blocks.after(log.id, sequence);
  for (; place !== undefined; place = blocks.after(log.id, place.first)) {
    const block = blocks.read(place, log.id);
    if (block !== undefined) return block;
  }
  return undefined;
}

/** What one read may still return. The first entry is always taken. */
class Budget {
  #entries: number;
  #bytes: number;
  #taken = 0;
  isSpent = false;

  constructor({ maxEntries, maxBytes }: ReadBlocksRequest) {
    this.#entries = maxEntries;
    this.#bytes = maxBytes;
  }

  take(decoder: BlockDecoder, i: number): boolean {
    const bytes = decoder.bodyEnd(i) - decoder.bodyEnd(i - 1);
    if (this.#taken > 0 && (this.#taken >= this.#entries || bytes > this.#bytes)) {
      this.isSpent = true;
      return false;
    }
    this.#taken++;
    this.#bytes -= bytes;
    return true;
  }
}

function covering(place: BlockPlace | undefined, sequence: number): BlockPlace | undefined {
  return place !== undefined && place.last >= sequence ? place : undefined;
}

function slice(block: ReadBlock, from: number, to: number): BlockSlice {
  return { first: block.first, epoch: block.epoch, from, to, entries: block.entries, bodies: block.bodies };
}

/** Without the block whose first entry was already too much. */
function filled(slices: readonly BlockSlice[]): BlockSlice[] {
  return slices.filter((part) => part.from < part.to);
}

function merged(ranges: readonly Range[]): Range[] {
  const result: Range[] = [];
  for (const range of ranges) {
    const previous = result[result.length - 1];
    if (previous !== undefined && previous.last + 1 === range.first) previous.last = range.last;
    else result.push({ ...range });
  }
  return result;
}
