import { crc32 } from "node:zlib";

// A block is a run of entries of one log that were stored by one commit under one epoch: one row of the table `block`.
// Its three parts, all little-endian:
//
//   id_hashes  for each entry the hash of its id, 32 bits: a search by id reads nothing else of a block
//   entries    header (4 x u32: entries, strings, encoding, 0), then a column for each field:
//              f64 acceptedAtMs, f64 expiresAtMs, f64 contentDigest,
//              u32 end of the body, u32 id, u32 sender, u32 idempotency key, u32 audience,
//              then u32 end of each string, in UTF-16 units, then the text of all strings
//   bodies     one after another
//
// A string is named by its number, from 1; 0 is "" or, for an audience, null. What repeats from one entry to the next
// (a sender, an audience, a key that is the id) is stored once.

/** A block is closed when it has so many entries... */
export const MAX_BLOCK_ENTRIES = 1_024;
/** ...or so many bytes of bodies: what a read of one entry costs at most, and what one flipped bit takes with it. */
export const MAX_BLOCK_BYTES = 262_144;

export const ENTRIES_HEADER_BYTES = 16;
/** Bytes of one entry in the columns. */
export const ENTRY_COLUMN_BYTES = 3 * 8 + 5 * 4;
/** The audience's ids are joined by what no id contains. */
export const AUDIENCE_SEPARATOR = "\n";

export const TEXT_LATIN1 = 0;
export const TEXT_UTF16 = 1;

/** What the row of a block says beside its parts. */
export interface BlockHeader {
  readonly logId: number;
  readonly first: number;
  readonly last: number;
  readonly epoch: number;
  readonly firstAcceptedAtMs: number;
  readonly lastAcceptedAtMs: number;
  readonly bodyBytes: number;
}

const numbers = new Float64Array(7);
const numberBytes = new Uint8Array(numbers.buffer);

/** CRC-32 over header and parts: a block that was moved to another log or sequence fails, too. */
export function blockChecksum(
  header: BlockHeader,
  idHashes: Uint8Array,
  entries: Uint8Array,
  bodies: Uint8Array,
): number {
  numbers[0] = header.logId;
  numbers[1] = header.first;
  numbers[2] = header.last;
  numbers[3] = header.epoch;
  numbers[4] = header.firstAcceptedAtMs;
  numbers[5] = header.lastAcceptedAtMs;
  numbers[6] = header.bodyBytes;
  return crc32(bodies, crc32(entries, crc32(idHashes, crc32(numberBytes))));
}

/** The hash by which ids are searched (FNV-1a over UTF-16 units, 32 bits). Stored: never to be changed. */
export function hashId(id: string): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < id.length; i++) hash = Math.imul(hash ^ id.charCodeAt(i), 0x01000193);
  return hash >>> 0;
}
