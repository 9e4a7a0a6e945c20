import { BusError } from "./errors.ts";
import { type ChannelName, parseChannelName, quote } from "./names.ts";

/** "After this message of this log." Clients see the formatted string only. */
export interface Position {
  readonly name: ChannelName;
  /** Unsigned 32 bits, compared for equality only. */
  readonly epoch: number;
  /** 0: before the first message. */
  readonly sequence: number;
}

const TAIL = /^([0-9a-f]{8})\.(0|[1-9][0-9]{0,15})$/;

export function formatPosition(key: string, epoch: number, sequence: number): string {
  return positionPrefix(key, epoch) + sequence;
}

/** What all positions of one epoch of a log begin with; the sequence follows. */
export function positionPrefix(key: string, epoch: number): string {
  return `${key}@${epoch.toString(16).padStart(8, "0")}.`;
}

/** Parses "room:channel@epoch.sequence"; agent ids may contain "@", so the last one counts. Throws BAD_POSITION. */
export function parsePosition(text: string): Position {
  const at = text.lastIndexOf("@");
  const tail = at > 0 ? TAIL.exec(text.slice(at + 1)) : null;
  const sequence = Number(tail?.[2]);
  if (tail === null || !Number.isSafeInteger(sequence)) throw badPosition(text);
  try {
    return { name: parseChannelName(text.slice(0, at)), epoch: Number.parseInt(tail[1]!, 16), sequence };
  } catch (cause) {
    throw badPosition(text, cause);
  }
}

function badPosition(text: string, cause?: unknown): BusError {
  return new BusError("BAD_POSITION", `position ${quote(text)} is not of the form room:channel@epoch.sequence`, {
    cause,
  });
}
