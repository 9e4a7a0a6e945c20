import { crc32 } from "node:zlib";
import type { StoredRecord } from "../sql/decide-appends.ts";
import { audienceToText, type EntryRow, entryChecksum, recordChecksum } from "../sql/entry-row.ts";

/**
 * Entries that were stored together are one row, a block: a row costs the server ten times what a message in it does.
 * A block's content is a table of headers, and behind it the parts of every entry: id, sender, audience, body.
 */
const HEADER_BYTES = 28;
const AT_TIME_TO_LIVE = 8;
const AT_ID_BYTES = 16;
const AT_SENDER_BYTES = 18;
const AT_AUDIENCE_BYTES = 20;
const AT_BODY_BYTES = 24;

/** A reader of one message reads its whole block. */
const MAX_CONTENT_BYTES = 65_536;
export const MAX_BLOCK_ENTRIES = 1_000;

/** What an idempotency key takes in a block: its fingerprint and the digest of the content it stands for. */
const KEY_BYTES = 24;
const ID_PRINT_BYTES = 8;

/** No checksum of an entry is negative. */
const NO_CHECKSUM = -1;

/** What all entries of a block have in common. */
export interface BlockRange {
  readonly first: number;
  readonly last: number;
  readonly epoch: number;
  readonly acceptedAtMs: number;
}

export interface KeyInBlock {
  readonly sequence: number;
  /** 32 hexadecimal digits. */
  readonly fingerprint: string;
  readonly contentDigest: number;
}

interface Parts {
  readonly stored: StoredRecord;
  readonly audience: string | null;
  readonly idBytes: number;
  readonly senderBytes: number;
  readonly audienceBytes: number;
}

/** Divides what is stored into blocks of a handy size. */
export function blocksOf(stored: readonly StoredRecord[]): readonly (readonly StoredRecord[])[] {
  const blocks: StoredRecord[][] = [];
  let bytes = 0;
  for (const each of stored) {
    const block = blocks.at(-1);
    const added = each.record.body.length + HEADER_BYTES + 100;
    if (block === undefined || block.length === MAX_BLOCK_ENTRIES || bytes + added > MAX_CONTENT_BYTES) {
      blocks.push([each]);
      bytes = added;
    } else {
      block.push(each);
      bytes += added;
    }
  }
  return blocks;
}

export function encodeContent(block: readonly StoredRecord[], epoch: number): Buffer {
  let size = block.length * HEADER_BYTES;
  const parts = block.map((stored): Parts => {
    const { record } = stored;
    const audience = audienceToText(record.audience);
    const idBytes = Buffer.byteLength(record.id);
    const senderBytes = Buffer.byteLength(record.sender);
    const audienceBytes = audience === null ? 0 : Buffer.byteLength(audience);
    size += idBytes + senderBytes + audienceBytes + record.body.length;
    return { stored, audience, idBytes, senderBytes, audienceBytes };
  });
  const content = Buffer.allocUnsafe(size);
  let header = 0;
  let at = block.length * HEADER_BYTES;
  for (const { stored, audience, idBytes, senderBytes, audienceBytes } of parts) {
    const { record, sequence, acceptedAtMs } = stored;
    const checksum = entryChecksum(recordChecksum(record, audience), { sequence, epoch, acceptedAtMs });
    content.writeDoubleBE(checksum, header);
    content.writeDoubleBE(record.timeToLiveMs, header + AT_TIME_TO_LIVE);
    content.writeUInt16BE(idBytes, header + AT_ID_BYTES);
    content.writeUInt16BE(senderBytes, header + AT_SENDER_BYTES);
    content.writeInt32BE(audience === null ? -1 : audienceBytes, header + AT_AUDIENCE_BYTES);
    content.writeUInt32BE(record.body.length, header + AT_BODY_BYTES);
    header += HEADER_BYTES;
    at += content.write(record.id, at);
    at += content.write(record.sender, at);
    if (audience !== null) at += content.write(audience, at);
    content.set(record.body, at);
    at += record.body.length;
  }
  return content;
}

/** How long each body is; undefined: the content is not what was written. */
export function bodyLengths({ first, last }: BlockRange, content: Buffer): readonly number[] | undefined {
  const count = last - first + 1;
  if (count < 1 || count > MAX_BLOCK_ENTRIES || content.length < count * HEADER_BYTES) return undefined;
  const lengths: number[] = [];
  let end = count * HEADER_BYTES;
  for (let header = 0; header < count * HEADER_BYTES; header += HEADER_BYTES) {
    const body = content.readUInt32BE(header + AT_BODY_BYTES);
    end += content.readUInt16BE(header + AT_ID_BYTES) + content.readUInt16BE(header + AT_SENDER_BYTES) + body;
    end += Math.max(0, content.readInt32BE(header + AT_AUDIENCE_BYTES));
    lengths.push(body);
  }
  return end === content.length ? lengths : undefined;
}

/**
 * The block's entries from `low` to `high`, ascending. Of content whose lengths do not add up, entries that fail their
 * checksum.
 */
export function decodeBlock(block: BlockRange, content: Buffer, low: number, high: number): EntryRow[] {
  const { first, last, epoch, acceptedAtMs } = block;
  const rows: EntryRow[] = [];
  const isReadable = bodyLengths(block, content) !== undefined;
  let at = (last - first + 1) * HEADER_BYTES;
  for (let sequence = first; sequence <= Math.min(last, high); sequence++) {
    const common = { sequence, epoch, acceptedAtMs };
    if (!isReadable) {
      const nothing = { timeToLiveMs: 0, id: "", sender: "", audience: null, body: new Uint8Array(0) };
      if (sequence >= low) rows.push({ ...common, ...nothing, checksum: NO_CHECKSUM });
      continue;
    }
    const header = (sequence - first) * HEADER_BYTES;
    const senderAt = at + content.readUInt16BE(header + AT_ID_BYTES);
    const audienceAt = senderAt + content.readUInt16BE(header + AT_SENDER_BYTES);
    const audienceBytes = content.readInt32BE(header + AT_AUDIENCE_BYTES);
    const bodyAt = audienceAt + Math.max(0, audienceBytes);
    const end = bodyAt + content.readUInt32BE(header + AT_BODY_BYTES);
    if (sequence >= low) {
      rows.push({
        ...common,
        timeToLiveMs: content.readDoubleBE(header + AT_TIME_TO_LIVE),
        id: content.toString("utf8", at, senderAt),
        sender: content.toString("utf8", senderAt, audienceAt),
        audience: audienceBytes < 0 ? null : content.toString("utf8", audienceAt, bodyAt),
        body: content.subarray(bodyAt, end),
        checksum: content.readDoubleBE(header),
      });
    }
    at = end;
  }
  return rows;
}

export function encodeKeys(stored: readonly StoredRecord[]): Buffer {
  const keys = Buffer.alloc(stored.length * KEY_BYTES);
  stored.forEach(({ key, record }, i) => {
    if (key === "") return;
    keys.write(key, i * KEY_BYTES, "hex");
    keys.writeDoubleBE(record.contentDigest, i * KEY_BYTES + 16);
  });
  return keys;
}

export function decodeKeys(first: number, keys: Buffer): KeyInBlock[] {
  const decoded: KeyInBlock[] = [];
  for (let at = 0; at + KEY_BYTES <= keys.length; at += KEY_BYTES) {
    const fingerprint = keys.toString("hex", at, at + 16);
    if (fingerprint === NO_KEY) continue;
    decoded.push({ sequence: first + at / KEY_BYTES, fingerprint, contentDigest: keys.readDoubleBE(at + 16) });
  }
  return decoded;
}

const NO_KEY = "0".repeat(32);

/** By these the server finds blocks that may have an id; which they have is seen in the content. */
export function encodeIdPrints(stored: readonly StoredRecord[]): Buffer {
  const prints = Buffer.allocUnsafe(stored.length * ID_PRINT_BYTES);
  for (const [i, { record }] of stored.entries()) writeIdPrint(prints, record.id, i * ID_PRINT_BYTES);
  return prints;
}

export function idPrint(id: string): Buffer {
  const print = Buffer.allocUnsafe(ID_PRINT_BYTES);
  writeIdPrint(print, id, 0);
  return print;
}

function writeIdPrint(to: Buffer, id: string, at: number): void {
  to.writeUInt32BE(crc32(id), at);
  to.writeUInt32BE(crc32(id, 0x5bd1e995), at + 4);
}
