import type { LogEntry } from "../../core/message.ts";
import type { LogState, ReadRequest, ReadResult } from "../message-log.ts";
import { type Block, type StoredBlock, toStoredBlock } from "./block.ts";
import { Damage } from "./damage.ts";
import { decodeRecord, recordLengthAt } from "./entry-codec.ts";
import { parseState, type StateReply } from "./log-state.ts";

/** What scripts/read-log.ts answers. */
export type ReadReply = readonly [state: StateReply, isEnd: number, blocks: readonly Buffer[]];

/** Takes from whole blocks what was asked for, and tells what is damaged or missing among it. */
export function toReadResult(reply: ReadReply, request: ReadRequest): ReadResult {
  const state = parseState(reply[0]);
  if (state === undefined) return { entries: [], state: undefined, damaged: [] };
  const reading = new Reading(request, state);
  const blocks = reply[2];
  for (let i = 0; i + 2 < blocks.length && !reading.isFull; i += 3) {
    reading.take(toStoredBlock(blocks[i]!, blocks[i + 1]!, blocks[i + 2]!));
  }
  if (reply[1] === 1 && !reading.isFull) reading.end();
  return { entries: reading.entries, state, damaged: reading.damage.ranges };
}

/** One entry of a block, or what could not be read of it. */
interface Slot {
  readonly sequence: number;
  readonly entry: LogEntry | undefined;
}

class Reading {
  readonly entries: LogEntry[] = [];
  readonly damage = new Damage();
  isFull = false;
  readonly #request: ReadRequest;
  readonly #state: LogState;
  /** The next sequence to be met. */
  #next: number;
  #bytes = 0;

  constructor(request: ReadRequest, state: LogState) {
    this.#request = request;
    this.#state = state;
    this.#next = request.backward ? Math.min(request.from - 1, state.head) : Math.max(request.from + 1, state.floor);
  }

  take({ last, block }: StoredBlock): void {
    if (this.#request.backward) this.#takeBackward(last, block);
    else this.#takeForward(last, block);
  }

  /** Nothing comes any more: what was not met up to the end of the log is missing. */
  end(): void {
    if (this.#request.backward) this.damage.add(this.#state.floor, this.#next);
    else this.damage.add(this.#next, this.#state.head);
  }

  #takeForward(last: number, block: Block | undefined): void {
    const end = Math.min(last, this.#state.head);
    if (block === undefined) {
      this.damage.add(this.#next, end);
      this.#next = end + 1;
      return;
    }
    this.damage.add(this.#next, Math.min(block.first - 1, end));
    this.#next = Math.max(this.#next, block.first);
    for (const slot of slotsOf(block, this.#next, end)) {
      if (!this.#put(slot)) return;
      this.#next = slot.sequence + 1;
    }
  }

  #takeBackward(last: number, block: Block | undefined): void {
    this.damage.add(Math.max(last + 1, this.#state.floor), this.#next);
    this.#next = Math.min(this.#next, last);
    if (block === undefined) {
      // How far it reaches is not known; the next block tells.
      this.damage.add(this.#next, this.#next);
      this.#next--;
      return;
    }
    const slots = slotsOf(block, Math.max(block.first, this.#state.floor), this.#next);
    for (let i = slots.length - 1; i >= 0; i--) {
      if (!this.#put(slots[i]!)) return;
      this.#next = slots[i]!.sequence - 1;
    }
  }

  /** False: it does not fit any more. */
  #put({ sequence, entry }: Slot): boolean {
    if (entry === undefined) {
      this.damage.add(sequence, sequence);
      return true;
    }
    const { maxEntries, maxBytes } = this.#request;
    this.#bytes += entry.body.length;
    this.isFull = this.entries.length > 0 && (this.entries.length >= maxEntries || this.#bytes > maxBytes);
    if (!this.isFull) this.entries.push(entry);
    return !this.isFull;
  }
}

/** A block's entries from one sequence to another. Behind a length that is damaged nothing can be found. */
export function slotsOf(block: Block, from: number, to: number): readonly Slot[] {
  const { epoch, acceptedAtMs, records } = block;
  const slots: Slot[] = [];
  let at = 0;
  for (let sequence = block.first; sequence <= to; sequence++) {
    const length = recordLengthAt(records, at);
    if (length === 0) {
      for (let lost = Math.max(sequence, from); lost <= to; lost++) slots.push({ sequence: lost, entry: undefined });
      break;
    }
    if (sequence >= from) {
      slots.push({ sequence, entry: decodeRecord(records, at, length, { sequence, epoch, acceptedAtMs }) });
    }
    at += length;
  }
  return slots;
}
