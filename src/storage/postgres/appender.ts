import { epochAt } from "../../core/epoch-chain.ts";
import type { ChannelName } from "../../core/names.ts";
import { newestEpoch } from "../epoch-links.ts";
import type { AppendBatch, AppendedEntry, AppendOutcome } from "../message-log.ts";
import { type AppendDecision, decideAppends, type KnownKey } from "../sql/decide-appends.ts";
import type { KeyFingerprint } from "../sql/keyed-batch.ts";
import { appendParameters, appendPlaceholders } from "./append-parameters.ts";
import { uuidArray } from "./binary-array.ts";
import type { Database, Queries, Statement } from "./database.ts";
import { type LockedLogs, type LogRow, linksOf } from "./locked-log.ts";
import { PreparedBatch, recordColumns } from "./prepared-batch.ts";
import { SAME_TRUST } from "./row-writer.ts";

/** Where a log stands after an append. */
export interface AppendedTo {
  readonly head: number;
  readonly epoch: number;
}

export interface AppenderOptions {
  readonly database: Database;
  readonly schema: string;
  readonly locks: LockedLogs;
  /** The clock that stands for the server's; null: the server's. */
  readonly storeClock: () => number | null;
  readonly onStored: (name: ChannelName, to: AppendedTo) => void;
}

interface FastRow {
  readonly o_head: number | null;
  readonly o_epoch: number;
  readonly o_accepted_at: number;
}

interface KeyRow {
  readonly fingerprint: KeyFingerprint;
  readonly sequence: number;
  readonly epoch: number;
  readonly accepted_at: number;
  readonly digest: number;
}

/**
 * Appends a group of batches to one log in one transaction.
 *
 * The usual group (nothing repeated, nothing changed) takes one round trip: a function in the server locks, checks and
 * stores. Anything else makes the function store nothing, and the group is decided here, in a transaction of some more
 * round trips.
 */
export class Appender {
  readonly #options: AppenderOptions;
  readonly #append: Statement;
  readonly #knownKeys: Statement;
  readonly #forgetKeys: Statement;
  readonly #store: Statement;
  readonly #configure: Statement;
  readonly #clock: Statement;

  constructor(options: AppenderOptions) {
    this.#options = options;
    const { schema: s } = options;
    this.#append = {
      name: "append",
      text: `SELECT * FROM ${s}.append($1, $2, $3, $4, ${appendPlaceholders(5)})`,
    };
    this.#knownKeys = {
      name: "known_keys",
      text: `SELECT fingerprint, sequence, epoch, accepted_at, digest FROM ${s}.idempotency_key
              WHERE log_id = $1 AND fingerprint = ANY ($2::uuid[])`,
    };
    this.#forgetKeys = {
      name: "forget_keys",
      text: `DELETE FROM ${s}.idempotency_key WHERE log_id = $1 AND fingerprint = ANY ($2::uuid[])`,
    };
    this.#store = { name: "store", text: `SELECT ${s}.store($1, $2, $3, $4, $5, $6, ${appendPlaceholders(7)})` };
    this.#configure = {
      name: "configure_log",
      text: `UPDATE ${s}.log AS l SET version = $2, fenced_at = $3, written_by = ${SAME_TRUST} WHERE id = $1`,
    };
    this.#clock = { name: "clock", text: `SELECT ${s}.clock_ms($1) AS now` };
  }

  readonly commit = async (name: ChannelName, group: readonly AppendBatch[]): Promise<readonly AppendOutcome[]> => {
    const batches = group.map((batch) => (batch instanceof PreparedBatch ? batch : new PreparedBatch(batch)));
    return (isUsual(batches) ? await this.#appendAll(name, batches) : undefined) ?? (await this.#decide(name, batches));
  };

  /** Undefined: nothing was stored, and there is something to decide. */
  async #appendAll(
    name: ChannelName,
    batches: readonly PreparedBatch[],
  ): Promise<readonly AppendOutcome[] | undefined> {
    const { database, storeClock, onStored } = this.#options;
    const { incarnation, version } = batches[0]!;
    const columns = batches.length === 1 ? batches[0]!.columns : batches.flatMap((batch) => batch.columns);
    const values = [name.key, incarnation, version, storeClock(), ...appendParameters(columns)];
    const [row] = await database.query<FastRow>(this.#append, values);
    const { o_head: head, o_epoch: epoch, o_accepted_at: acceptedAtMs } = row!;
    if (head === null) return undefined;
    onStored(name, { head: head + columns.length, epoch });
    let sequence = head;
    return batches.map(({ records }) => {
      const entries: AppendedEntry[] = [];
      for (let i = 0; i < records.length; i++) {
        entries.push({ sequence: ++sequence, epoch, acceptedAtMs, duplicate: false });
      }
      return { kind: "appended", entries };
    });
  }

  async #decide(name: ChannelName, batches: readonly PreparedBatch[]): Promise<readonly AppendOutcome[]> {
    const { database, onStored } = this.#options;
    const { decision, epoch } = await database.transaction((queries) => this.#decideLocked(queries, name, batches));
    if (decision.stored.length > 0) onStored(name, { head: decision.head, epoch });
    return decision.outcomes;
  }

  async #decideLocked(
    queries: Queries,
    name: ChannelName,
    batches: readonly PreparedBatch[],
  ): Promise<{ readonly decision: AppendDecision; readonly epoch: number }> {
    const { locks, storeClock } = this.#options;
    const keyed = batches.map((batch) => batch.keyed);
    const row = await locks.lock(queries, name);
    if (row === undefined) {
      const none = { head: undefined, batches: keyed, known: new Map(), epoch: 0, nowMs: 0 };
      return { decision: decideAppends(none), epoch: 0 };
    }
    const life = await locks.life(queries);
    const links = linksOf(row);
    const mayLackEnd = row.life !== life || !row.is_as_written;
    const newLinks = mayLackEnd ? locks.extended(links, row.head + 1) : links;
    const epoch = newestEpoch(newLinks);
    const [clock] = await queries.query<{ now: number }>(this.#clock, [storeClock()]);
    const held = await this.#held(queries, row, batches);
    // A key whose message was lost with the log's end stands for nothing: the sequence is free, or another message's.
    const isKnown = ({ sequence, epoch }: KnownKey) => sequence <= row.head && epochAt(links, sequence) === epoch;
    const known = new Map([...held].filter(([, key]) => isKnown(key)));
    const head = {
      incarnation: row.incarnation,
      version: row.version,
      fencedAt: row.fenced_at,
      head: row.head,
      lastAcceptedAtMs: row.last_accepted_at,
    };
    const decision = decideAppends({ head, batches: keyed, known, epoch, nowMs: clock!.now });
    if (decision.version !== row.version) {
      await queries.query(this.#configure, [row.id, decision.version, decision.fencedAt]);
    }
    if (decision.stored.length > 0) {
      if (mayLackEnd) {
        await locks.dropBeyond(queries, row);
        await locks.addLink(queries, row.id, newLinks);
      }
      // Older than their channel's window, or lost; what is stored now takes their place.
      const outdated = decision.stored.flatMap(({ key }) => (held.has(key) ? [key] : []));
      if (outdated.length > 0) await queries.query(this.#forgetKeys, [row.id, uuidArray(outdated)]);
      const columns = decision.stored.map(({ record, key }) => recordColumns(record, key));
      const { lastAcceptedAtMs } = decision;
      const values = [row.id, row.head, row.end_bytes, epoch, lastAcceptedAtMs, life, ...appendParameters(columns)];
      await queries.query(this.#store, values);
    }
    return { decision, epoch };
  }

  /** What the log has under the batches' keys, whether it counts or not. */
  async #held(
    queries: Queries,
    row: LogRow,
    batches: readonly PreparedBatch[],
  ): Promise<ReadonlyMap<KeyFingerprint, KnownKey>> {
    const keys = batches.flatMap(({ keyed }) => keyed.keys).filter((key) => key !== "");
    if (keys.length === 0) return new Map();
    const rows = await queries.query<KeyRow>(this.#knownKeys, [row.id, uuidArray(keys)]);
    return new Map(
      rows.map(({ fingerprint, sequence, epoch, accepted_at: acceptedAtMs, digest: contentDigest }) => {
        return [fingerprint, { sequence, epoch, acceptedAtMs, contentDigest }];
      }),
    );
  }
}

/** All of one configuration, something to store, and no key twice: what the function in the server takes. */
function isUsual(batches: readonly PreparedBatch[]): boolean {
  const { incarnation, version } = batches[0]!;
  const keys = new Set<KeyFingerprint>();
  let keyed = 0;
  let records = 0;
  for (const batch of batches) {
    if (batch.incarnation !== incarnation || batch.version !== version) return false;
    for (const key of batch.keyed.keys) {
      records++;
      if (key === "") continue;
      keys.add(key);
      keyed++;
    }
  }
  return records > 0 && keys.size === keyed;
}
