import type { BusOptions } from "../core/bus-options.ts";
import type { Clock, Random } from "../core/clock.ts";
import { BusError, isBusError } from "../core/errors.ts";
import type { Logger } from "../core/logger.ts";
import { type Audience, type Draft, MESSAGE_TYPES, type MessageType } from "../core/message.ts";
import type { MessageCodec } from "../core/message-codec.ts";
import type { Counter, Histogram, Meters } from "../core/meters.ts";
import { channelName, checkName, INBOX_ROOM, quote } from "../core/names.ts";
import { formatPosition } from "../core/position.ts";
import type { Durability } from "../core/room.ts";
import { Turns } from "../routing/turns.ts";
import type { AppendedEntry, AppendRecord } from "../storage/message-log.ts";
import { Hops } from "./hops.ts";
import type { Hub } from "./hub.ts";
import { append, deliver, route, validate } from "./publish-stages.ts";
import { RateLimiter } from "./rate-limiter.ts";
import type { Agents, ChannelView, Rooms } from "./registry.ts";

export interface PublishInput {
  readonly agentId: string;
  /** "" together with `channel`: the inbox of the one agent that every message names. */
  readonly room: string;
  readonly channel: string;
  /** Each as its client encoded it; not written to while the publish runs. */
  readonly messages: readonly Uint8Array[];
}

export interface PublishOutcome {
  readonly results: readonly PublishResult[];
  readonly durability: Durability;
}

export interface PublishResult {
  readonly id: string;
  readonly position: string;
  readonly duplicate: boolean;
  readonly audience: Audience;
}

export interface PublisherDependencies {
  readonly rooms: Rooms;
  readonly agents: Agents;
  readonly hub: Hub;
  readonly codec: MessageCodec;
  readonly clock: Clock;
  readonly random: Random;
  readonly options: BusOptions;
  readonly meters: Meters;
  readonly logger: Logger;
  /** What a log reaches. */
  readonly reached: (channel: ChannelView) => Durability;
}

/** Everything that is decided before the store is asked. */
export interface Prepared {
  readonly sender: string;
  readonly drafts: readonly Draft[];
  readonly hopCounts: readonly number[];
  readonly channel: ChannelView;
}

/** A channel whose configuration changes all the time would keep a publish from ever being routed right. */
const MAX_REROUTES = 10;
const MAX_TURNS = 10_000;
/** Failures that are logged: a client that fails all the time must not fill the disk. */
const LOGGED_PER_SECOND = 10;
const LOGGED_AT_ONCE = 100;

/**
 * The way in: validate, route, append, deliver.
 *
 * Everything before the append runs without waiting when agent and channel are known, which they are after the first
 * message; so batches of one stream reach the store in their order.
 */
export class Publisher {
  readonly #deps: PublisherDependencies;
  readonly #rates: RateLimiter;
  readonly #reactionRates: RateLimiter;
  readonly #logged = new RateLimiter("log", LOGGED_PER_SECOND, LOGGED_AT_ONCE);
  readonly #hops: Hops;
  readonly #turns = new Map<string, Turns>();
  readonly #stages: Readonly<Record<"validate" | "route" | "append" | "deliver", Histogram>>;
  readonly #duration: Histogram;
  readonly #published: Readonly<Record<MessageType, Counter>>;
  readonly #duplicates: Counter;
  #pending = 0;

  constructor(deps: PublisherDependencies) {
    const { options, meters, hub, rooms, codec } = deps;
    const { limits } = options;
    this.#deps = deps;
    this.#rates = new RateLimiter("limits.senderRate", limits.senderRate, limits.senderBurst);
    this.#reactionRates = new RateLimiter("limits.reactionRate", limits.reactionRate, limits.reactionBurst);
    this.#hops = new Hops(hub, rooms, codec, limits.maxHops);
    const stage = (name: string) =>
      meters.histogram("stage_duration_seconds", "Time of one batch in one stage of publishing.", { stage: name });
    this.#stages = {
      validate: stage("validate"),
      route: stage("route"),
      append: stage("append"),
      deliver: stage("deliver"),
    };
    this.#duration = meters.histogram("publish_duration_seconds", "Time of one batch from its request to its answer.");
    this.#published = Object.fromEntries(
      MESSAGE_TYPES.map((type) => [
        type,
        meters.counter("messages_published_total", "Messages stored.", { type: type.toLowerCase() }),
      ]),
    ) as Record<MessageType, Counter>;
    this.#duplicates = meters.counter("messages_duplicate_total", "Messages that were stored before, by their key.");
    meters.gauge("publishes_pending", "Batches that wait for the storage.", () => this.#pending);
  }

  /** Messages stored since the start. */
  get publishedCount(): number {
    return MESSAGE_TYPES.reduce((sum, type) => sum + this.#published[type].value, 0);
  }

  /** Batches that wait for the storage. */
  get pending(): number {
    return this.#pending;
  }

  /**
   * All of the messages are stored, in order, or the promise is rejected and none is (or, for STORAGE_UNAVAILABLE,
   * nobody knows: the same again with the same keys is safe).
   */
  publish(input: PublishInput): Promise<PublishOutcome> {
    const startedMs = this.#deps.clock.monotonic();
    try {
      const prepared = this.prepare(input);
      if (prepared instanceof Promise) return prepared.then((ready) => this.store(ready, startedMs));
      return this.store(prepared, startedMs);
    } catch (error) {
      return Promise.reject(error);
    }
  }

  /**
   * What comes before the store. Answers a promise only when something must be created or looked up: a stream then
   * waits with its next batch, to keep order.
   */
  prepare(input: PublishInput): Prepared | Promise<Prepared> {
    try {
      const prepared = this.#prepare(input);
      if (!(prepared instanceof Promise)) return prepared;
      return prepared.catch((error: unknown) => {
        throw this.#failed(input.agentId, error);
      });
    } catch (error) {
      throw this.#failed(input.agentId, error);
    }
  }

  #prepare(input: PublishInput): Prepared | Promise<Prepared> {
    const { clock, options, codec, agents } = this.#deps;
    const { limits } = options;
    const startedMs = clock.monotonic();
    if (this.#pending >= limits.pendingPublishes) {
      throw new BusError("OVERLOADED", `${this.#pending} batches wait for the storage (limits.pendingPublishes)`, {
        retryDelayMs: 1_000,
      });
    }
    const drafts = validate(input.messages, limits.batchMessages, codec);
    this.#takeRates(input.agentId, drafts);
    this.#stages.validate.observe((clock.monotonic() - startedMs) / 1_000);

    const target = this.#target(input, drafts);
    const channel = this.#deps.rooms.channel(target.key);
    if (channel !== undefined && agents.get(input.agentId) !== undefined) {
      const hopCounts = this.#hops.count(drafts);
      if (!(hopCounts instanceof Promise)) return { sender: input.agentId, drafts, hopCounts, channel };
    }
    return this.#prepareSlowly(input, target, drafts);
  }

  async #prepareSlowly(
    { agentId }: PublishInput,
    target: ReturnType<typeof channelName>,
    drafts: readonly Draft[],
  ): Promise<Prepared> {
    const { rooms, agents } = this.#deps;
    const hopCounts = await this.#hops.count(drafts);
    // Before anything is created for it: a publish that names somebody unknown leaves no trace.
    drafts.forEach((draft, index) => {
      const unknown = draft.to?.agents.find((id) => id !== agentId && !agents.exists(id));
      if (unknown === undefined) return;
      throw new BusError("UNKNOWN_RECIPIENT", `to.agents: there is no agent ${quote(unknown)}`).at(index);
    });
    await agents.ensure(agentId);
    const channel = await (target.room === INBOX_ROOM
      ? rooms.ensureInbox(target.channel)
      : rooms.ensureChannel(target));
    return { sender: agentId, drafts, hopCounts, channel };
  }

  /** Where the batch goes: the channel it names, or the inbox of the only agent in `to`. */
  #target({ room, channel }: PublishInput, drafts: readonly Draft[]) {
    if (room !== "" || channel !== "") {
      checkName("room", room);
      checkName("channel", channel);
      return channelName(room, channel);
    }
    const recipient = drafts[0]!.to?.agents[0];
    drafts.forEach(({ to }, index) => {
      const one = to !== undefined && to.agents.length === 1 && to.groups.length === 0 && to.select === undefined;
      if (one && to.agents[0] === recipient) return;
      throw new BusError(
        "RECIPIENT_REQUIRED",
        "a message without room and channel goes to an inbox: name one agent in `to`, the same in the whole batch",
      ).at(index);
    });
    return channelName(INBOX_ROOM, recipient!);
  }

  #takeRates(sender: string, drafts: readonly Draft[]): void {
    const nowMs = this.#deps.clock.monotonic();
    let reactions = 0;
    for (const draft of drafts) if (draft.causation !== "") reactions++;
    this.#rates.take(sender, drafts.length, nowMs);
    this.#reactionRates.take(sender, reactions, nowMs);
  }

  /** Route, append, deliver. Batches handed over in order are stored in order. */
  async store(prepared: Prepared, startedMs = this.#deps.clock.monotonic()): Promise<PublishOutcome> {
    const { sender, drafts, hopCounts } = prepared;
    const { clock } = this.#deps;
    let { channel } = prepared;
    this.#pending++;
    try {
      for (let attempt = 0; attempt < MAX_REROUTES; attempt++) {
        const records = this.#route(channel, drafts, hopCounts, sender);
        const appendedAtMs = clock.monotonic();
        const outcome = await append(channel, records);
        const doneMs = clock.monotonic();
        this.#stages.append.observe((doneMs - appendedAtMs) / 1_000);
        if (outcome.kind === "appended") {
          deliver(channel, records, outcome.entries, this.#deps.hub);
          this.#stages.deliver.observe((clock.monotonic() - doneMs) / 1_000);
          return await this.#answer(channel, drafts, records, outcome.entries, startedMs);
        }
        if (outcome.kind === "conflict") {
          throw new BusError(
            "IDEMPOTENCY_CONFLICT",
            `the idempotency key ${quote(records[outcome.index]!.idempotencyKey)} was used for other content`,
          ).at(outcome.index);
        }
        const reloaded = await this.#deps.rooms.reload(channel.name);
        if (reloaded === undefined) throw new BusError("CHANNEL_DELETED", `${channel.name.key} was deleted meanwhile`);
        channel = reloaded;
      }
      throw new BusError("CONCURRENT_UPDATE", `${channel.name.key} is being changed all the time; try again`);
    } catch (error) {
      throw this.#failed(sender, error);
    } finally {
      this.#pending--;
    }
  }

  #route(
    channel: ChannelView,
    drafts: readonly Draft[],
    hopCounts: readonly number[],
    sender: string,
  ): readonly AppendRecord[] {
    const { agents, clock, codec, options, random } = this.#deps;
    const startedMs = clock.monotonic();
    const context = { agents, turns: this.#turnsOf(channel), maxAudience: options.limits.audience };
    const audiences = route(drafts, sender, channel, context);
    const newId = () => random.uuid(clock.now());
    const encoded = codec.encode(drafts, hopCounts, { name: channel.name, sender, newId });
    const records = drafts.map(({ idempotencyKey, contentDigest, timeToLiveMs }, i) => {
      const { id, body } = encoded[i]!;
      return { id, sender, idempotencyKey, contentDigest, audience: audiences[i]!, timeToLiveMs, body };
    });
    this.#stages.route.observe((clock.monotonic() - startedMs) / 1_000);
    return records;
  }

  #turnsOf({ name }: ChannelView): Turns {
    let turns = this.#turns.get(name.key);
    if (turns === undefined) {
      turns = new Turns();
      if (this.#turns.size >= MAX_TURNS) this.#turns.delete(this.#turns.keys().next().value!);
      this.#turns.set(name.key, turns);
    }
    return turns;
  }

  async #answer(
    channel: ChannelView,
    drafts: readonly Draft[],
    records: readonly AppendRecord[],
    entries: readonly AppendedEntry[],
    startedMs: number,
  ): Promise<PublishOutcome> {
    const results = new Array<PublishResult>(entries.length);
    for (let i = 0; i < entries.length; i++) {
      const { sequence, epoch, duplicate } = entries[i]!;
      const { id, audience } = records[i]!;
      const position = formatPosition(channel.name.key, epoch, sequence);
      results[i] = duplicate
        ? { position, duplicate, ...(await this.#first(channel, sequence, { id, audience })) }
        : { id, position, duplicate, audience };
      (duplicate ? this.#duplicates : this.#published[drafts[i]!.type]).add(1);
    }
    this.#deps.agents.touch(records[0]!.sender);
    this.#duration.observe((this.#deps.clock.monotonic() - startedMs) / 1_000);
    return { results, durability: this.#deps.reached(channel) };
  }

  /** A duplicate is answered with what was stored first; when that is trimmed already, with what would have been. */
  async #first(
    channel: ChannelView,
    sequence: number,
    now: { id: string; audience: Audience },
  ): Promise<{ id: string; audience: Audience }> {
    const { hub } = this.#deps;
    const request = { from: sequence - 1, backward: false, maxEntries: 1, maxBytes: 1 };
    const entry = hub.recent(channel.name.key, sequence) ?? (await hub.read(channel, request)).entries[0];
    return entry?.sequence === sequence ? { id: entry.id, audience: entry.audience } : now;
  }

  #failed(agentId: string, error: unknown): BusError {
    const failure = isBusError(error) ? error : new BusError("INTERNAL", "internal error", { cause: error });
    const { meters, logger } = this.#deps;
    meters.counter("publish_failures_total", "Batches refused or failed.", { reason: failure.reason }).add(1);
    if (this.#logged.allows("", 1, this.#deps.clock.monotonic())) {
      const fields = { agent: agentId, reason: failure.reason, error: failure.details.cause };
      logger.error(fields, `Failed to send message: ${failure.message}`);
    }
    return failure;
  }
}
