import { BusError } from "../../core/errors.ts";
import type { ChannelName } from "../../core/names.ts";
import type { RetentionConfig } from "../../core/room.ts";
import { GroupCommit } from "../group-commit.ts";
import type {
  AppendBatch,
  AppendOutcome,
  LogEnd,
  LogState,
  MessageLog,
  ReadRequest,
  ReadResult,
} from "../message-log.ts";
import { SeenEnds } from "../seen-ends.ts";
import type { StorageEnvironment } from "../storage-adapter.ts";
import { type AppendReply, appendArguments, mayBeAllNew, newArguments, toOutcomes } from "./append-command.ts";
import { toStoredBlock } from "./block.ts";
import type { RedisKeys } from "./keys.ts";
import { parseState, type StateReply } from "./log-state.ts";
import { type ReadReply, slotsOf, toReadResult } from "./read-reply.ts";
import type { RedisConnection } from "./redis-connection.ts";
import type { RedisDoorbell } from "./redis-doorbell.ts";
import { toBusError } from "./redis-errors.ts";
import type { ResolvedRedisOptions } from "./redis-options.ts";
import { APPEND } from "./scripts/append.ts";
import { APPEND_NEW } from "./scripts/append-new.ts";
import { CREATE_LOG } from "./scripts/create-log.ts";
import { DELETE_LOG } from "./scripts/delete-log.ts";
import { FENCE } from "./scripts/fence.ts";
import { FIND_ID } from "./scripts/find-id.ts";
import { FIND_TIME } from "./scripts/find-time.ts";
import { STATE_FIELDS } from "./scripts/lua-state.ts";
import { READ_LOG } from "./scripts/read-log.ts";
import { RENEW_EPOCH } from "./scripts/renew-epoch.ts";
import { TRIM, TRIM_STEP } from "./scripts/trim.ts";
import { StepOrder } from "./step-order.ts";

/** What one commit takes: the server does nothing else while it runs the script, about 1 µs a message. */
const MAX_COMMIT_RECORDS = 2_000;
const MAX_COMMIT_BYTES = 1_048_576;
/** What one read returns at most, whatever it is asked for. */
const MAX_READ_ENTRIES = 10_000;
const MAX_READ_BYTES = 4_194_304;
/** What one search for an id answers at most. */
const MAX_FOUND = 100;

/** Logs in Redis: one hash, one stream and two hashes of idempotency keys each. Every method is a script of its own. */
export class RedisMessageLog implements MessageLog {
  readonly #connection: RedisConnection;
  readonly #keys: RedisKeys;
  readonly #options: ResolvedRedisOptions;
  readonly #environment: StorageEnvironment;
  readonly #order: StepOrder;
  readonly #doorbell: Pick<RedisDoorbell, "logChannel" | "stored">;
  readonly #seen = new SeenEnds();
  /** Commits of all nodes have different names: this node's, and a number. */
  readonly #node: string;
  #commits = 0;

  /** `node` is random, another one for each storage that is opened. */
  constructor(
    connection: RedisConnection,
    keys: RedisKeys,
    options: ResolvedRedisOptions,
    environment: StorageEnvironment,
    {
      node,
      doorbell,
    }: { readonly node: string; readonly doorbell: Pick<RedisDoorbell, "listen" | "logChannel" | "stored"> },
  ) {
    this.#node = node;
    doorbell.listen((ring) => {
      if (ring.topic === "log") this.#seen.note(ring.key, ring);
    });
    this.#doorbell = doorbell;
    this.#connection = connection;
    this.#keys = keys;
    this.#options = options;
    this.#environment = environment;
    this.#order = new StepOrder(
      new GroupCommit({
        maxRecords: MAX_COMMIT_RECORDS,
        maxBytes: MAX_COMMIT_BYTES,
        maxPendingBytes: options.maxPendingBytes,
        commit: (name, batches) => this.#commit(name, batches),
      }),
    );
  }

  create(name: ChannelName, incarnation: string, version: number): Promise<LogState> {
    return this.#order.step(name, async () => {
      const args = [incarnation, version, this.#environment.randomEpoch()];
      const state = parseState((await this.#run(CREATE_LOG, this.#keys.channel(name), args)) as StateReply | null);
      if (state !== undefined) return state;
      throw new BusError("CHANNEL_DELETED", `${name.key}: the channel was created anew meanwhile`);
    });
  }

  async state(name: ChannelName): Promise<LogState | undefined> {
    try {
      return parseState(await this.#connection.client.hmgetBuffer(this.#keys.log(name), ...STATE_FIELDS));
    } catch (error) {
      throw toBusError(error);
    }
  }

  /** The commands go out together and come back together, over as many servers as hold the logs. */
  async ends(names: readonly ChannelName[]): Promise<readonly (LogEnd | undefined)[]> {
    const { client } = this.#connection;
    try {
      const ends = await Promise.all(
        names.map(async (name): Promise<LogEnd | undefined> => {
          const [incarnation, head, epoch] = await client.hmget(this.#keys.log(name), "incarnation", "head", "epoch");
          if (typeof incarnation !== "string") return undefined;
          return { incarnation, head: Number(head), epoch: Number(epoch) };
        }),
      );
      this.#seen.noteAll(names, ends);
      return ends;
    } catch (error) {
      throw toBusError(error);
    }
  }

  append(batch: AppendBatch): Promise<AppendOutcome> {
    return this.#order.append(batch);
  }

  async #commit(name: ChannelName, batches: readonly AppendBatch[]): Promise<readonly AppendOutcome[]> {
    const keys = this.#keys.channel(name);
    const commit = `${this.#node}.${(this.#commits++).toString(36)}`;
    const { clock } = this.#connection;
    const common = [
      clock,
      this.#environment.randomEpoch(),
      this.#doorbell.logChannel,
      name.key,
      this.#options.dedupKeys,
      commit,
      // ",epoch:head" of each
      this.#seen
        .of(name.key)
        .map(({ epoch, head }) => `,${epoch}:${head}`)
        .join(""),
    ];
    if (mayBeAllNew(batches)) {
      const reply = await this.#run(APPEND_NEW, keys, [...common, ...newArguments(batches, commit)]);
      if (reply !== null) return this.#stored(name, batches, reply as AppendReply);
    }
    const reply = await this.#run(APPEND, keys, [...common, ...appendArguments(batches)]);
    return this.#stored(name, batches, reply as AppendReply);
  }

  #stored({ key }: ChannelName, batches: readonly AppendBatch[], reply: AppendReply): readonly AppendOutcome[] {
    const outcomes = toOutcomes(batches, reply);
    let head = 0;
    for (const outcome of outcomes) {
      if (outcome.kind !== "appended") continue;
      for (const { sequence, duplicate } of outcome.entries) if (!duplicate) head = sequence;
    }
    if (head > 0) {
      const epoch = reply[1];
      this.#seen.note(key, { epoch, head });
      this.#doorbell.stored({ topic: "log", key, head, epoch });
    }
    return outcomes;
  }

  async read(request: ReadRequest): Promise<ReadResult> {
    const limited = {
      ...request,
      maxEntries: Math.min(Math.max(request.maxEntries, 1), MAX_READ_ENTRIES),
      maxBytes: Math.min(Math.max(request.maxBytes, 1), MAX_READ_BYTES),
    };
    const args = [request.from, request.backward ? "1" : "", limited.maxEntries, limited.maxBytes];
    const reply = await this.#run(READ_LOG, this.#keys.logAndStream(request.name), args);
    return toReadResult(reply as ReadReply, limited);
  }

  async findId(name: ChannelName, id: string, after: number): Promise<readonly number[]> {
    let isDamaged = false;
    for (let from = after + 1; from > 0; ) {
      const reply = await this.#run(FIND_ID, this.#keys.logAndStream(name), [id, from]);
      const [next, blockId, header, records] = reply as [number, Buffer?, Buffer?, Buffer?];
      if (blockId !== undefined) {
        const { last, block } = toStoredBlock(blockId, header!, records!);
        const floor = (await this.state(name))?.floor ?? Number.POSITIVE_INFINITY;
        const found: number[] = [];
        for (const { sequence, entry } of block === undefined ? [] : slotsOf(block, block.first, last)) {
          if (sequence < floor || sequence <= after) continue;
          if (entry?.id === id) found.push(sequence);
          isDamaged ||= entry === undefined;
        }
        if (found.length > 0) return found.slice(0, MAX_FOUND);
        isDamaged ||= block === undefined;
      }
      from = next;
    }
    if (isDamaged) throw new BusError("DATA_DAMAGED", `${name.key}: a part that may hold the message is damaged`);
    return [];
  }

  async findTime(name: ChannelName, timeMs: number): Promise<number> {
    return (await this.#run(FIND_TIME, this.#keys.logAndStream(name), [timeMs])) as number;
  }

  fence(name: ChannelName, incarnation: string, version: number): Promise<number> {
    return this.#order.step(name, async () => {
      const fencedAt = (await this.#run(FENCE, [this.#keys.log(name)], [incarnation, version])) as number | null;
      return fencedAt ?? gone(name);
    });
  }

  renewEpoch(name: ChannelName): Promise<LogState> {
    return this.#order.step(name, async () => {
      const args = [this.#environment.randomEpoch()];
      const reply = (await this.#run(RENEW_EPOCH, this.#keys.logAndStream(name), args)) as StateReply | null;
      return parseState(reply) ?? gone(name);
    });
  }

  async trim(name: ChannelName, { maxAgeMs, maxMessages, maxBytes }: RetentionConfig): Promise<LogState> {
    for (;;) {
      const reply = await this.#order.step(name, () =>
        this.#run(TRIM, this.#keys.logAndStream(name), [this.#connection.clock, maxAgeMs, maxMessages, maxBytes]),
      );
      if (reply === null) return gone(name);
      const [state, removed] = reply as [StateReply, number];
      // The server removes whole nodes of the stream, so a full step may be a little short of its limit.
      if (removed < TRIM_STEP / 2) return parseState(state) ?? gone(name);
    }
  }

  delete(name: ChannelName, incarnation: string): Promise<void> {
    return this.#order.step(name, async () => {
      await this.#run(DELETE_LOG, this.#keys.channel(name), [incarnation]);
    });
  }

  /** Resolves when all that was handed over is settled; takes nothing more. */
  close(): Promise<void> {
    return this.#order.close();
  }

  #run(...args: Parameters<RedisConnection["run"]>): Promise<unknown> {
    return this.#connection.run(...args);
  }
}

function gone(name: ChannelName): never {
  throw new BusError("CHANNEL_DELETED", `${name.key}: the channel's log is gone`);
}
