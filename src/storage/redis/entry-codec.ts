import { crc32 } from "node:zlib";
import type { Audience, LogEntry } from "../../core/message.ts";
import type { AppendRecord } from "../message-log.ts";

// One message in a block, little-endian:
//
//   u32 length of all of it, u32 crc32 of what follows, u32 length of the body,
//   f64 timeToLiveMs, u16 length of id, u16 length of sender, u32 agents in the audience (0xffffffff: open),
//   id, sender, the audience's agents parted by newlines, body
//
// Scripts read the first and the third number (lua-blocks.ts). Sequence, epoch and time are the block's.
const LENGTH = 0;
const CHECKSUM = 4;
const CHECKED = 8;
const BODY_LENGTH = 8;
const TIME_TO_LIVE = 12;
const ID_LENGTH = 20;
const SENDER_LENGTH = 22;
const AUDIENCE_SIZE = 24;
const FIXED_BYTES = 28;
const OPEN = 0xffffffff;

/** At most so many bytes does encodeRecord() write. */
export function maxRecordBytes(record: AppendRecord): number {
  let bytes = FIXED_BYTES + (record.id.length + record.sender.length) * 3 + record.body.byteLength;
  if (record.audience !== null) for (const agent of record.audience) bytes += agent.length * 3 + 1;
  return bytes;
}

/** Writes one record; answers where the next one goes. */
export function encodeRecord(record: AppendRecord, target: Buffer, start: number): number {
  const { id, sender, audience, body } = record;
  let at = start + FIXED_BYTES;
  const idLength = target.write(id, at, "utf8");
  at += idLength;
  const senderLength = target.write(sender, at, "utf8");
  at += senderLength;
  if (audience !== null && audience.length > 0) at += target.write(audience.join("\n"), at, "utf8");
  target.set(body, at);
  at += body.byteLength;
  target.writeUInt32LE(at - start, start + LENGTH);
  target.writeUInt32LE(body.byteLength, start + BODY_LENGTH);
  target.writeDoubleLE(record.timeToLiveMs, start + TIME_TO_LIVE);
  target.writeUInt16LE(idLength, start + ID_LENGTH);
  target.writeUInt16LE(senderLength, start + SENDER_LENGTH);
  target.writeUInt32LE(audience === null ? OPEN : audience.length, start + AUDIENCE_SIZE);
  target.writeUInt32LE(crc32(target.subarray(start + CHECKED, at)), start + CHECKSUM);
  return at;
}

/** How many bytes the record at `start` has; 0: it is cut off or its length is damaged. */
export function recordLengthAt(records: Buffer, start: number): number {
  if (start + FIXED_BYTES > records.length) return 0;
  const length = records.readUInt32LE(start + LENGTH);
  return length >= FIXED_BYTES && start + length <= records.length ? length : 0;
}

export interface EntryPlace {
  readonly sequence: number;
  readonly epoch: number;
  readonly acceptedAtMs: number;
}

/** The entry of a record of this length; undefined: it fails its checksum. The body is a view of `records`. */
export function decodeRecord(records: Buffer, start: number, length: number, place: EntryPlace): LogEntry | undefined {
  const end = start + length;
  if (crc32(records.subarray(start + CHECKED, end)) !== records.readUInt32LE(start + CHECKSUM)) return undefined;
  const bodyStart = end - records.readUInt32LE(start + BODY_LENGTH);
  const idStart = start + FIXED_BYTES;
  const senderStart = idStart + records.readUInt16LE(start + ID_LENGTH);
  const audienceStart = senderStart + records.readUInt16LE(start + SENDER_LENGTH);
  const audienceSize = records.readUInt32LE(start + AUDIENCE_SIZE);
  const timeToLiveMs = records.readDoubleLE(start + TIME_TO_LIVE);
  const { sequence, epoch, acceptedAtMs } = place;
  return {
    sequence,
    epoch,
    acceptedAtMs,
    expiresAtMs: timeToLiveMs > 0 ? acceptedAtMs + timeToLiveMs : 0,
    id: records.toString("utf8", idStart, senderStart),
    sender: records.toString("utf8", senderStart, audienceStart),
    audience: decodeAudience(records, audienceStart, bodyStart, audienceSize),
    body: records.subarray(bodyStart, end),
  };
}

function decodeAudience(records: Buffer, start: number, end: number, size: number): Audience {
  if (size === OPEN) return null;
  return size === 0 ? [] : records.toString("utf8", start, end).split("\n");
}
