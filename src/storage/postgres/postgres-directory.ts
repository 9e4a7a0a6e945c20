import { damagedRecord } from "../damaged-record.ts";
import type { Directory, DirectoryRecord, ListRequest, PutOptions, PutOutcome, RecordKey } from "../directory.ts";
import { checkListLimit } from "../record-order.ts";
import type { Database, Statement } from "./database.ts";
import { recordChecksum } from "./record-checksum.ts";

/** How long a deleted record's version is remembered. */
const REMEMBER_MS = 600_000;
/** Rows that one sweep removes at most in one step, and its steps. */
const SWEEP_STEP = 1_000;
const SWEEP_STEPS = 20;

const LIVE = "value IS NOT NULL AND (expires_at = 0 OR expires_at > now_ms)";

interface RecordRow {
  readonly parent: string;
  readonly id: string;
  readonly version: number;
  /** Null: deleted. */
  readonly value: string | null;
  readonly expires_at: number;
  readonly checksum: number;
}

interface PutRow {
  readonly o_outcome: "stored" | "conflict" | "full" | "damaged";
  readonly o_version: number;
  readonly o_expires_at: number;
  readonly o_value: string;
}

export class PostgresDirectory implements Directory {
  readonly #database: Database;
  readonly #storeClock: () => number | null;
  readonly #get: Statement;
  readonly #put: Statement;
  readonly #delete: Statement;
  readonly #listKind: Statement;
  readonly #listParent: Statement;
  readonly #count: Statement;
  readonly #sweep: Statement;

  constructor(database: Database, s: string, storeClock: () => number | null) {
    this.#database = database;
    this.#storeClock = storeClock;
    const select = (clock: string) =>
      // A damaged record may say of itself that it is over: it is told, and not left out.
      `SELECT parent, id, version, value, expires_at, checksum FROM ${s}.clock_ms(${clock}) AS now_ms, ${s}.record AS held
        WHERE (${LIVE} OR NOT ${s}.is_intact(held))`;
    this.#get = { name: "get_record", text: `${select("$1")} AND kind = $2 AND parent = $3 AND id = $4` };
    this.#put = { name: "put_record", text: `SELECT * FROM ${s}.put_record($1, $2, $3, $4, $5, $6, $7, $8)` };
    this.#delete = { name: "delete_record", text: `SELECT ${s}.delete_record($1, $2, $3, $4, $5, $6) AS deleted` };
    this.#listKind = {
      name: "list_kind",
      text: `${select("$1")} AND kind = $2 AND (parent, id) > ($3, $4) ORDER BY parent, id LIMIT $5`,
    };
    this.#listParent = {
      name: "list_parent",
      text: `${select("$1")} AND kind = $2 AND parent = $3 AND id > $4 ORDER BY id LIMIT $5`,
    };
    this.#count = {
      name: "count_records",
      text: `SELECT count(*) AS records FROM ${s}.clock_ms($1) AS now_ms, ${s}.record
              WHERE ${LIVE} AND kind = $2 AND parent = $3`,
    };
    this.#sweep = { name: "sweep_records", text: `SELECT ${s}.sweep_records($1, $2, $3) AS removed` };
  }

  async get(key: RecordKey): Promise<DirectoryRecord | undefined> {
    const values = [this.#storeClock(), key.kind, key.parent, key.id];
    const [row] = await this.#database.query<RecordRow>(this.#get, values);
    return row && toRecord(key.kind, row);
  }

  async put(key: RecordKey, value: object, options: PutOptions = {}): Promise<PutOutcome> {
    const { expectedVersion = null, maxInParent = null, timeToLiveMs = 0 } = options;
    const { kind, parent, id } = key;
    const [row] = await this.#database.query<PutRow>(this.#put, [
      ...[kind, parent, id, JSON.stringify(value)],
      ...[expectedVersion, maxInParent, timeToLiveMs, this.#storeClock()],
    ]);
    const { o_outcome, o_version: version, o_expires_at: expiresAtMs, o_value } = row!;
    if (o_outcome === "full") return { kind: "full" };
    if (o_outcome === "damaged") throw damagedRecord(key);
    if (o_outcome === "stored") return { kind: "stored", version, expiresAtMs };
    if (version === 0) return { kind: "conflict", current: undefined };
    return { kind: "conflict", current: { key, version, value: JSON.parse(o_value), expiresAtMs } };
  }

  async delete(key: RecordKey, expectedVersion?: number): Promise<boolean> {
    const { kind, parent, id } = key;
    const values = [kind, parent, id, expectedVersion ?? null, REMEMBER_MS, this.#storeClock()];
    const [row] = await this.#database.query<{ deleted: boolean | null }>(this.#delete, values);
    const { deleted } = row!;
    if (deleted === null) throw damagedRecord(key);
    return deleted;
  }

  async list({ kind, parent, after, limit }: ListRequest): Promise<readonly DirectoryRecord[]> {
    checkListLimit(limit);
    const clock = this.#storeClock();
    if (parent !== undefined && after !== undefined && after.parent > parent) return [];
    // An id is never "", so what comes after it is everything.
    const afterId = parent === undefined || after?.parent === parent ? (after?.id ?? "") : "";
    const rows =
      parent === undefined
        ? await this.#database.query<RecordRow>(this.#listKind, [clock, kind, after?.parent ?? "", afterId, limit])
        : await this.#database.query<RecordRow>(this.#listParent, [clock, kind, parent, afterId, limit]);
    return rows.map((row) => toRecord(kind, row));
  }

  async count(kind: string, parent: string): Promise<number> {
    const [row] = await this.#database.query<{ records: number }>(this.#count, [this.#storeClock(), kind, parent]);
    return row!.records;
  }

  /** Removes expired records and old versions, a bounded number of them. */
  async sweep(): Promise<void> {
    for (let step = 0; step < SWEEP_STEPS; step++) {
      const values = [this.#storeClock(), REMEMBER_MS, SWEEP_STEP];
      const [row] = await this.#database.query<{ removed: number }>(this.#sweep, values);
      if (row!.removed < SWEEP_STEP) return;
    }
  }
}

/** Throws DATA_DAMAGED. */
function toRecord(kind: string, { parent, id, version, value, expires_at, checksum }: RecordRow): DirectoryRecord {
  const record = { key: { kind, parent, id }, version, value, expiresAtMs: expires_at };
  if (value === null || recordChecksum(record) !== checksum) throw damagedRecord(record.key);
  return { ...record, value: JSON.parse(value) };
}
