import type { DatabaseSync, SQLInputValue, StatementSync } from "node:sqlite";
import { crc32 } from "node:zlib";
import type { EpochLink } from "../../core/epoch-chain.ts";
import { StorageFailure } from "./sqlite-errors.ts";
import type { LogDefinition, LogHead } from "./thread-protocol.ts";

type Row = Record<string, unknown>;

/** The rows of `log` and `log_head`, each with a checksum of its own. */
export class LogRows {
  readonly #putDefinition: StatementSync;
  readonly #putHead: StatementSync;
  readonly #getDefinition: StatementSync;
  readonly #getHead: StatementSync;
  readonly #allDefinitions: StatementSync;
  readonly #allHeads: StatementSync;
  readonly #drops: readonly StatementSync[];

  constructor(db: DatabaseSync) {
    this.#putDefinition = db.prepare(
      `INSERT INTO log (id, name, incarnation, version, fenced_at, links, checksum) VALUES (?, ?, ?, ?, ?, ?, ?)
       ON CONFLICT (id) DO UPDATE SET version = excluded.version, fenced_at = excluded.fenced_at,
         links = excluded.links, checksum = excluded.checksum`,
    );
    this.#putHead = db.prepare(
      `INSERT INTO log_head (id, head, floor, size_bytes, last_accepted_at, checksum) VALUES (?, ?, ?, ?, ?, ?)
       ON CONFLICT (id) DO UPDATE SET head = excluded.head, floor = excluded.floor, size_bytes = excluded.size_bytes,
         last_accepted_at = excluded.last_accepted_at, checksum = excluded.checksum`,
    );
    this.#getDefinition = db.prepare("SELECT * FROM log WHERE id = ?");
    this.#getHead = db.prepare("SELECT * FROM log_head WHERE id = ?");
    this.#allDefinitions = db.prepare("SELECT * FROM log ORDER BY id");
    this.#allHeads = db.prepare("SELECT * FROM log_head ORDER BY id");
    this.#drops = [db.prepare("DELETE FROM log WHERE id = ?"), db.prepare("DELETE FROM log_head WHERE id = ?")];
  }

  putDefinition(log: LogDefinition): void {
    const links = linksToBytes(log.links);
    const columns: SQLInputValue[] = [log.id, log.key, log.incarnation, log.version, log.fencedAt, links];
    this.#putDefinition.run(...columns, definitionChecksum(log, links));
  }

  putHead(log: LogHead): void {
    this.#putHead.run(log.id, log.head, log.floor, log.sizeBytes, log.lastAcceptedAtMs, headChecksum(log));
  }

  definition(id: number): LogDefinition | undefined {
    const row = this.#getDefinition.get(id);
    return row && toDefinition(row);
  }

  head(id: number): LogHead | undefined {
    const row = this.#getHead.get(id);
    return row && toHead(row);
  }

  definitions(): LogDefinition[] {
    return this.#allDefinitions.all().map(toDefinition);
  }

  heads(): LogHead[] {
    return this.#allHeads.all().map(toHead);
  }

  drop(id: number): void {
    for (const statement of this.#drops) statement.run(id);
  }
}

function toDefinition(row: Row): LogDefinition {
  const links = row["links"];
  if (!(links instanceof Uint8Array)) throw damaged("log", row);
  const log: LogDefinition = {
    id: Number(row["id"]),
    key: String(row["name"]),
    incarnation: String(row["incarnation"]),
    version: Number(row["version"]),
    fencedAt: Number(row["fenced_at"]),
    links: linksFromBytes(links),
  };
  if (definitionChecksum(log, links) !== row["checksum"] || log.links.length === 0) throw damaged("log", row);
  return log;
}

function toHead(row: Row): LogHead {
  const log: LogHead = {
    id: Number(row["id"]),
    head: Number(row["head"]),
    floor: Number(row["floor"]),
    sizeBytes: Number(row["size_bytes"]),
    lastAcceptedAtMs: Number(row["last_accepted_at"]),
  };
  if (headChecksum(log) !== row["checksum"]) throw damaged("log_head", row);
  return log;
}

function damaged(table: string, row: Row): StorageFailure {
  return new StorageFailure("DATA_DAMAGED", `row ${String(row["id"])} of table ${table} fails its checksum`);
}

function definitionChecksum(log: LogDefinition, links: Uint8Array): number {
  return crc32(links, crc32([log.id, log.key, log.incarnation, log.version, log.fencedAt].join("\n")));
}

const figures = new Float64Array(5);
const figureBytes = new Uint8Array(figures.buffer);

function headChecksum(log: LogHead): number {
  figures[0] = log.id;
  figures[1] = log.head;
  figures[2] = log.floor;
  figures[3] = log.sizeBytes;
  figures[4] = log.lastAcceptedAtMs;
  return crc32(figureBytes);
}

/** Pairs of 64-bit floats: epoch, first sequence. */
function linksToBytes(links: readonly EpochLink[]): Uint8Array {
  return new Uint8Array(Float64Array.from(links.flatMap((link) => [link.epoch, link.first])).buffer);
}

function linksFromBytes(bytes: Uint8Array): EpochLink[] {
  const pairs = new Float64Array(new Uint8Array(bytes.subarray(0, bytes.byteLength - (bytes.byteLength % 16))).buffer);
  return Array.from({ length: pairs.length / 2 }, (_, i) => ({ epoch: pairs[2 * i]!, first: pairs[2 * i + 1]! }));
}
