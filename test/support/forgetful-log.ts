import { BusError } from "../../src/core/errors.ts";
import type { LogEntry } from "../../src/core/message.ts";
import type { ChannelName } from "../../src/core/names.ts";
import { newestEpoch, withNewEpoch } from "../../src/storage/epoch-links.ts";
import type {
  AppendBatch,
  AppendedEntry,
  AppendOutcome,
  LogState,
  MessageLog,
  ReadRequest,
  ReadResult,
} from "../../src/storage/message-log.ts";
import { checkNewer, requireLog, retainedFrom } from "../../src/storage/retention.ts";

interface Log {
  readonly incarnation: string;
  version: number;
  fencedAt: number;
  links: LogState["links"];
  /** Sequence i + 1 is at index i. */
  entries: LogEntry[];
  floor: number;
  /** The life of the backend that issued the newest sequence. */
  life: number;
  keys: Map<string, { entry: AppendedEntry; digest: number }>;
}

export interface ForgetfulLogOptions {
  readonly now: () => number;
  readonly randomEpoch: () => number;
  /** An append was stored. */
  readonly onAppended: (name: ChannelName, head: number, epoch: number) => void;
}

/** A shared log by the simplest model, which loses its end when a test says so, as a fail-over or a restored backup does. */
export class ForgetfulLog implements MessageLog {
  readonly #options: ForgetfulLogOptions;
  readonly #logs = new Map<string, Log>();
  #life = 1;

  constructor(options: ForgetfulLogOptions) {
    this.#options = options;
  }

  /**
   * The backend starts again as it was when this log had `head` messages, and the chain with it. `forgetsLink`: just before
   * a new link was added there.
   */
  rollBack(name: ChannelName, head: number, forgetsLink = false): void {
    this.#life++;
    const log = this.#logs.get(name.key);
    if (log === undefined || log.entries.length <= head) return;
    log.entries = log.entries.slice(0, head);
    log.floor = Math.min(log.floor, head + 1);
    for (const [key, { entry }] of log.keys) if (entry.sequence > head) log.keys.delete(key);
    log.links = log.links.filter(({ first }, i) => i === 0 || first <= (forgetsLink ? head : head + 1));
  }

  /** The log is gone, and its channel does not know. */
  forget(name: ChannelName): void {
    this.#life++;
    this.#logs.delete(name.key);
  }

  async create(name: ChannelName, incarnation: string, version: number): Promise<LogState> {
    const present = this.#logs.get(name.key);
    if (present?.incarnation === incarnation) return stateOf(present);
    checkNewer(name, present?.incarnation, incarnation);
    const log: Log = {
      incarnation,
      version,
      fencedAt: 0,
      links: withNewEpoch([], 1, this.#options.randomEpoch),
      entries: [],
      floor: 1,
      life: this.#life,
      keys: new Map(),
    };
    this.#logs.set(name.key, log);
    return stateOf(log);
  }

  async state(name: ChannelName): Promise<LogState | undefined> {
    const log = this.#logs.get(name.key);
    return log && stateOf(log);
  }

  async append(batch: AppendBatch): Promise<AppendOutcome> {
    const log = this.#logs.get(batch.name.key);
    if (log?.incarnation !== batch.incarnation) return { kind: "gone" };
    if (batch.version < log.version) return { kind: "stale", version: log.version };
    const conflict = batch.records.findIndex(
      ({ sender, idempotencyKey, contentDigest }) =>
        idempotencyKey !== "" &&
        (log.keys.get(`${sender} ${idempotencyKey}`)?.digest ?? contentDigest) !== contentDigest,
    );
    if (conflict >= 0) return { kind: "conflict", index: conflict };
    if (batch.version > log.version) {
      log.version = batch.version;
      log.fencedAt = log.entries.length;
    }
    if (log.life !== this.#life) {
      log.life = this.#life;
      log.links = withNewEpoch(log.links, log.entries.length + 1, this.#options.randomEpoch);
    }
    const acceptedAtMs = Math.max(this.#options.now(), log.entries.at(-1)?.acceptedAtMs ?? 0);
    const epoch = newestEpoch(log.links);
    const entries = batch.records.map(({ id, sender, idempotencyKey, contentDigest, audience, timeToLiveMs, body }) => {
      const key = `${sender} ${idempotencyKey}`;
      const known = idempotencyKey === "" ? undefined : log.keys.get(key);
      if (known !== undefined) return { ...known.entry, duplicate: true };
      const sequence = log.entries.length + 1;
      const expiresAtMs = timeToLiveMs === 0 ? 0 : acceptedAtMs + timeToLiveMs;
      log.entries.push({ sequence, epoch, acceptedAtMs, expiresAtMs, id, sender, audience, body });
      const entry = { sequence, epoch, acceptedAtMs, duplicate: false };
      if (idempotencyKey !== "") log.keys.set(key, { entry, digest: contentDigest });
      return entry;
    });
    this.#options.onAppended(batch.name, log.entries.length, epoch);
    return { kind: "appended", entries };
  }

  async ends(names: readonly ChannelName[]) {
    return names.map(({ key }) => {
      const log = this.#logs.get(key);
      return log && { incarnation: log.incarnation, head: log.entries.length, epoch: newestEpoch(log.links) };
    });
  }

  async read({ name, from, backward, maxEntries, maxBytes }: ReadRequest): Promise<ReadResult> {
    const log = this.#logs.get(name.key);
    if (log === undefined) return { entries: [], state: undefined, damaged: [] };
    const candidates = backward
      ? log.entries.slice(log.floor - 1, Math.max(from - 1, 0)).reverse()
      : log.entries.slice(Math.max(from, log.floor - 1));
    const entries: LogEntry[] = [];
    let bytes = 0;
    for (const entry of candidates) {
      bytes += entry.body.length;
      if (entries.length > 0 && (entries.length >= maxEntries || bytes > maxBytes)) break;
      entries.push(entry);
    }
    return { entries, state: stateOf(log), damaged: [] };
  }

  async findId(name: ChannelName, id: string, after: number): Promise<readonly number[]> {
    const log = this.#logs.get(name.key);
    const retained = log?.entries.slice(Math.max(log.floor - 1, after)) ?? [];
    return retained.filter((entry) => entry.id === id).map(({ sequence }) => sequence);
  }

  async findTime(name: ChannelName, timeMs: number): Promise<number> {
    const log = this.#logs.get(name.key);
    if (log === undefined) return 1;
    const found = log.entries.slice(log.floor - 1).find(({ acceptedAtMs }) => acceptedAtMs >= timeMs);
    return found?.sequence ?? log.entries.length + 1;
  }

  async fence(name: ChannelName, incarnation: string, version: number): Promise<number> {
    const log = requireLog(name, this.#logs.get(name.key), incarnation);
    if (version > log.version) {
      log.version = version;
      log.fencedAt = log.entries.length;
    }
    return log.fencedAt;
  }

  async renewEpoch(name: ChannelName): Promise<LogState> {
    const log = requireLog(name, this.#logs.get(name.key));
    log.life = this.#life;
    log.links = withNewEpoch(log.links, log.entries.length + 1, this.#options.randomEpoch);
    return stateOf(log);
  }

  async trim(name: ChannelName, retention: Parameters<MessageLog["trim"]>[1]): Promise<LogState> {
    const log = requireLog(name, this.#logs.get(name.key));
    const { byAge, byCount } = retainedFrom(retention, log.entries.length, this.#options.now());
    const head = log.entries.length;
    while (log.floor <= head && log.entries[log.floor - 1]!.acceptedAtMs < byAge) log.floor++;
    while (log.floor < head && log.floor < byCount) log.floor++;
    return stateOf(log);
  }

  async delete(name: ChannelName, incarnation: string): Promise<void> {
    if (this.#logs.get(name.key)?.incarnation === incarnation) this.#logs.delete(name.key);
  }
}

/** For a backend that is away. */
export function away(): BusError {
  return new BusError("STORAGE_UNAVAILABLE", "the test's backend is away");
}

function stateOf({ incarnation, version, entries, floor, links }: Log): LogState {
  return { incarnation, version, head: entries.length, floor, links, sizeBytes: 0 };
}
