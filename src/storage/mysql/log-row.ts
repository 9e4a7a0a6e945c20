import type { EpochLink } from "../../core/epoch-chain.ts";
import type { LogState } from "../message-log.ts";
import type { Tables } from "./schema.ts";
import { bytes, text } from "./sql-text.ts";

const LINK_BYTES = 12;

/** A row of the log table. */
export interface LogRow {
  readonly id: number;
  readonly incarnation: string;
  readonly version: number;
  readonly fencedAt: number;
  readonly head: number;
  readonly floor: number;
  readonly purgedTo: number;
  readonly totalBytes: number;
  readonly floorBytes: number;
  readonly lastAcceptedAtMs: number;
  /** Which life of the server issued the newest sequence. */
  readonly serverLife: string;
  readonly links: readonly EpochLink[];
  /** The store's clock when the row was read. */
  readonly nowMs: number;
}

type Columns = readonly [
  id: number,
  incarnation: Buffer,
  version: number,
  fencedAt: number,
  head: number,
  floor: number,
  purgedTo: number,
  totalBytes: number,
  floorBytes: number,
  lastAcceptedAtMs: number,
  serverLife: Buffer,
  links: Buffer,
  nowMs: number,
];

/** @param lock the row stays locked until the transaction ends. */
export function selectLog(t: Tables, key: string, clock: string, lock = false): string {
  return `SELECT id, incarnation, version, fenced_at, head, floor_sequence, purged_to, total_bytes, floor_bytes,
    last_accepted_at, server_life, epoch_links, ${clock} FROM ${t.log} WHERE name = ${text(key)}${lock ? " FOR UPDATE" : ""}`;
}

/** Undefined: there is no such log. */
export function toLogRow(rows: readonly (readonly unknown[])[]): LogRow | undefined {
  if (rows.length === 0) return undefined;
  const row = rows[0] as Columns;
  return {
    id: row[0],
    incarnation: row[1].toString(),
    version: row[2],
    fencedAt: row[3],
    head: row[4],
    floor: row[5],
    purgedTo: row[6],
    totalBytes: row[7],
    floorBytes: row[8],
    lastAcceptedAtMs: row[9],
    serverLife: row[10].toString(),
    links: unpackLinks(row[11]),
    nowMs: row[12],
  };
}

export function toLogState(row: LogRow): LogState {
  const { incarnation, version, head, floor, links, totalBytes, floorBytes } = row;
  return { incarnation, version, head, floor, links, sizeBytes: totalBytes - floorBytes };
}

/** The chain as the value of its column. */
export function linksLiteral(links: readonly EpochLink[]): string {
  const packed = Buffer.alloc(links.length * LINK_BYTES);
  links.forEach(({ epoch, first }, i) => {
    packed.writeUInt32BE(epoch, i * LINK_BYTES);
    packed.writeBigInt64BE(BigInt(first), i * LINK_BYTES + 4);
  });
  return bytes(packed);
}

function unpackLinks(packed: Buffer): readonly EpochLink[] {
  const links: EpochLink[] = [];
  for (let at = 0; at + LINK_BYTES <= packed.length; at += LINK_BYTES) {
    links.push({ epoch: packed.readUInt32BE(at), first: Number(packed.readBigInt64BE(at + 4)) });
  }
  return links;
}
