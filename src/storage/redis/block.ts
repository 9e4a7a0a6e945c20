import { createHash } from "node:crypto";

/** One stream entry, as scripts/lua-blocks.ts describes it, with a header that was checked. */
export interface Block {
  readonly first: number;
  readonly last: number;
  readonly epoch: number;
  readonly acceptedAtMs: number;
  readonly records: Buffer;
}

/** A stream entry as it is stored; `block` undefined: its header is damaged. */
export interface StoredBlock {
  /** Sequence of its last message, from its id. */
  readonly last: number;
  readonly block: Block | undefined;
}

/** Reads id, header, records. */
export function toStoredBlock(id: Buffer, header: Buffer, records: Buffer): StoredBlock {
  const last = Number.parseInt(id.toString("latin1"), 10);
  return { last, block: parseHeader(header.toString("latin1"), last, records) };
}

function parseHeader(header: string, last: number, records: Buffer): Block | undefined {
  const split = header.lastIndexOf(" ");
  const facts = header.slice(0, Math.max(split, 0));
  const check = createHash("sha1").update(facts, "latin1").digest("hex").slice(0, 8);
  if (check !== header.slice(split + 1)) return undefined;
  const [first, count, epoch, acceptedAtMs] = facts.split(" ").map(Number) as [number, number, number, number];
  // Under another id than the one it was stored with it would pass for other messages.
  if (first + count - 1 !== last) return undefined;
  return { first, last, epoch, acceptedAtMs, records };
}
