import type { BusOptions } from "../../core/bus-options.ts";
import type { Clock, Random } from "../../core/clock.ts";
import { BusError, isBusError } from "../../core/errors.ts";
import type { Logger } from "../../core/logger.ts";
import type { Audience, Draft } from "../../core/message.ts";
import type { MessageCodec } from "../../core/message-codec.ts";
import type { Meters } from "../../core/meters.ts";
import { type channelName, INBOX_ROOM, quote } from "../../core/names.ts";
import { positionPrefix } from "../../core/position.ts";
import type { Durability } from "../../core/room.ts";
import { Turns } from "../../routing/turns.ts";
import type { AppendedEntry, AppendOutcome, AppendRecord } from "../../storage/message-log.ts";
import type { Agents, ChannelView, Rooms } from "../directory/registry.ts";
import type { Hub } from "../reading/hub.ts";
import { Retention } from "../rooms/retention.ts";
import { Hops } from "./hops.ts";
import { checkPublish } from "./publish-check.ts";
import { PublishFailures } from "./publish-failures.ts";
import { PublishFlights } from "./publish-flights.ts";
import { PublishMeters } from "./publish-meters.ts";
import { append, deliver, route, validate } from "./publish-stages.ts";
import { targetOf, unheardOf } from "./publish-target.ts";
import { RateLimiter } from "./rate-limiter.ts";

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
  readonly startedMs: number;
  /** When everything before routing was done. */
  readonly readyMs: number;
  readonly sender: string;
  readonly drafts: readonly Draft[];
  readonly hopCounts: readonly number[];
  readonly channel: ChannelView;
}

interface Routed {
  readonly records: readonly AppendRecord[];
  readonly routedMs: number;
}

/** A channel whose configuration changes all the time would keep a publish from ever being routed right. */
const MAX_REROUTES = 10;
const MAX_TURNS = 10_000;
/** When a publish that the storage did not take is worth another try, unless the storage says. */
const RETRY_DELAY_MS = 1_000;

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
  readonly #failures: PublishFailures;
  readonly #hops: Hops;
  readonly #retention: Retention;
  readonly #turns = new Map<string, Turns>();
  readonly #meters: PublishMeters;
  readonly #flights = new PublishFlights();
  #pending = 0;

  constructor(deps: PublisherDependencies) {
    const { options, meters, hub, rooms, codec } = deps;
    const { limits } = options;
    this.#deps = deps;
    this.#rates = new RateLimiter("limits.senderRate", limits.senderRate, limits.senderBurst);
    this.#reactionRates = new RateLimiter("limits.reactionRate", limits.reactionRate, limits.reactionBurst);
    this.#failures = new PublishFailures(deps.logger);
    this.#retention = new Retention(deps.logger);
    this.#hops = new Hops(hub, rooms, codec, limits.maxHops);
    this.#meters = new PublishMeters(meters, () => this.#pending);
  }

  /** Messages stored since the start. */
  get publishedCount(): number {
    return this.#meters.publishedCount;
  }

  /** Batches that wait for the storage. */
  get pending(): number {
    return this.#pending;
  }

  /**
   * All of the messages are stored, in order, or the promise is rejected and none is (or, for STORAGE_UNAVAILABLE,
   * nobody knows: the same again with the same keys is safe).
   */
  async publish(input: PublishInput): Promise<PublishOutcome> {
    const prepared = this.prepare(input);
    return await this.store(prepared instanceof Promise ? await prepared : prepared);
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
    this.#takeRates(input.agentId, drafts, startedMs);
    const readyMs = clock.monotonic();
    this.#meters.stages.validate.observe((readyMs - startedMs) / 1_000);

    const target = targetOf(input, drafts);
    const channel = this.#deps.rooms.channel(target.key);
    // Counted once: a promise that nobody waits for would end the process when it is rejected.
    const hopCounts = this.#hops.count(drafts);
    const ready = channel !== undefined && agents.get(input.agentId) !== undefined;
    if (ready && !(hopCounts instanceof Promise)) {
      return { sender: input.agentId, drafts, hopCounts, channel, startedMs, readyMs };
    }
    return this.#prepareSlowly(input, target, drafts, hopCounts, startedMs);
  }

  async #prepareSlowly(
    { agentId }: PublishInput,
    target: ReturnType<typeof channelName>,
    drafts: readonly Draft[],
    counting: readonly number[] | Promise<readonly number[]>,
    startedMs: number,
  ): Promise<Prepared> {
    const { rooms, agents, clock, codec, options } = this.#deps;
    this.#pending++;
    try {
      const hopCounts = await counting;
      if (rooms.channel(target.key) === undefined || agents.get(agentId) === undefined) {
        await Promise.all(unheardOf(drafts, agents).map((id) => agents.find(id)));
        const maxAudience = options.limits.audience;
        await checkPublish({ sender: agentId, target, drafts, hopCounts }, { rooms, agents, codec, maxAudience });
      }
      // The agent first: should the channel fail all the same, it is the agent that expires by itself.
      await agents.ensure(agentId);
      const channel = await (target.room === INBOX_ROOM
        ? rooms.ensureInbox(target.channel)
        : rooms.ensureChannel(target));
      return { sender: agentId, drafts, hopCounts, channel, startedMs, readyMs: clock.monotonic() };
    } finally {
      this.#pending--;
    }
  }

  #takeRates(sender: string, drafts: readonly Draft[], nowMs: number): void {
    let reactions = 0;
    for (const draft of drafts) if (draft.causation !== "") reactions++;
    this.#rates.take(sender, drafts.length, nowMs);
    this.#reactionRates.take(sender, reactions, nowMs);
  }

  /**
   * Route, append, deliver. Batches handed over in order are stored in order. Answers at once when the log does; may
   * throw as well as reject.
   */
  store(prepared: Prepared): PublishOutcome | Promise<PublishOutcome> {
    try {
      const { channel } = prepared;
      if (this.#flights.isBehind(channel)) return this.#storeBehind(prepared);
      const routed = this.#route(channel, prepared, prepared.readyMs);
      const outcome = append(channel, routed.records);
      if (outcome instanceof Promise || outcome.kind !== "appended")
        return this.#storeSlowly(prepared, routed, outcome);
      return this.#stored(prepared, channel, routed, outcome.entries);
    } catch (error) {
      const unheard = isBusError(error, "UNKNOWN_RECIPIENT") ? unheardOf(prepared.drafts, this.#deps.agents) : [];
      if (unheard.length > 0) return this.#storeAfterLooking(prepared, unheard, error);
      throw this.#failed(prepared.sender, error);
    }
  }

  /** Asks the storage before a recipient is called unknown. What comes later waits behind it. */
  async #storeAfterLooking(prepared: Prepared, unheard: readonly string[], refusal: unknown): Promise<PublishOutcome> {
    const flight = this.#flights.depart(prepared.channel);
    this.#pending++;
    try {
      return await this.#flights.reroute(flight, async () => {
        const found = await Promise.all(unheard.map((agentId) => this.#deps.agents.find(agentId)));
        if (found.includes(undefined)) throw refusal;
        return await this.#storeAgain(prepared);
      });
    } catch (error) {
      throw this.#failed(prepared.sender, error);
    } finally {
      this.#pending--;
      this.#flights.arrive(flight);
    }
  }

  /** The channel's configuration is changing: those in front first, and then by what it is by then. */
  async #storeBehind(prepared: Prepared): Promise<PublishOutcome> {
    const { name } = prepared.channel;
    this.#pending++;
    try {
      return await this.#flights.follow(prepared.channel, () => {
        const channel = this.#deps.rooms.channel(name.key) ?? prepared.channel;
        return this.store({ ...prepared, channel });
      });
    } finally {
      this.#pending--;
    }
  }

  /** Waits for the log, and routes again when the channel changed meanwhile. */
  async #storeSlowly(
    prepared: Prepared,
    routed: Routed,
    appending: AppendOutcome | Promise<AppendOutcome>,
  ): Promise<PublishOutcome> {
    const { channel } = prepared;
    this.#pending++;
    const flight = this.#flights.depart(channel);
    try {
      const outcome = await appending;
      if (outcome.kind === "appended") return await this.#stored(prepared, channel, routed, outcome.entries);
      if (outcome.kind === "conflict") throw conflict(routed, outcome.index);
      return await this.#flights.reroute(flight, () => this.#storeAgain(prepared, outcome));
    } catch (error) {
      this.#flights.fail(flight, error);
      throw this.#failed(prepared.sender, error);
    } finally {
      this.#pending--;
      this.#flights.arrive(flight);
    }
  }

  async #storeAgain(prepared: Prepared, refusal?: AppendOutcome): Promise<PublishOutcome> {
    const { name } = prepared.channel;
    let staleAt = staleVersion(refusal);
    for (let attempt = 1; attempt < MAX_REROUTES; attempt++) {
      const channel = await this.#deps.rooms.reload(name, staleAt);
      if (channel === undefined) throw new BusError("CHANNEL_DELETED", `${name.key} was deleted meanwhile`);
      const routed = this.#route(channel, prepared, this.#deps.clock.monotonic());
      const outcome = await append(channel, routed.records);
      if (outcome.kind === "appended") return await this.#stored(prepared, channel, routed, outcome.entries);
      if (outcome.kind === "conflict") throw conflict(routed, outcome.index);
      staleAt = staleVersion(outcome);
    }
    throw new BusError("CONCURRENT_UPDATE", `${name.key} is being changed all the time; try again`);
  }

  #route(channel: ChannelView, { drafts, hopCounts, sender }: Prepared, startedMs: number): Routed {
    const { agents, clock, codec, options, random } = this.#deps;
    const context = { agents, turns: this.#turnsOf(channel), maxAudience: options.limits.audience };
    const audiences = route(drafts, sender, channel, context);
    const nowMs = clock.now();
    const newId = () => random.uuid(nowMs);
    const encoded = codec.encode(drafts, hopCounts, { name: channel.name, sender, newId });
    const records = drafts.map(({ idempotencyKey, contentDigest, timeToLiveMs }, i) => {
      const { id, body } = encoded[i]!;
      return { id, sender, idempotencyKey, contentDigest, audience: audiences[i]!, timeToLiveMs, body };
    });
    const routedMs = clock.monotonic();
    this.#meters.stages.route.observe((routedMs - startedMs) / 1_000);
    return { records, routedMs };
  }

  /** Delivers what was stored, and says where it stands. A promise only when a duplicate must be looked up. */
  #stored(
    { drafts, startedMs, sender }: Prepared,
    channel: ChannelView,
    { records, routedMs }: Routed,
    entries: readonly AppendedEntry[],
  ): PublishOutcome | Promise<PublishOutcome> {
    const { clock, hub, agents, reached } = this.#deps;
    const storedMs = clock.monotonic();
    this.#meters.stages.append.observe((storedMs - routedMs) / 1_000);
    deliver(channel, records, entries, hub);
    this.#retention.appended(channel, records);
    const results = new Array<PublishResult>(entries.length);
    let duplicates = 0;
    let prefixEpoch = -1;
    let prefix = "";
    for (let i = 0; i < entries.length; i++) {
      const { sequence, epoch, duplicate } = entries[i]!;
      const { id, audience } = records[i]!;
      if (epoch !== prefixEpoch) {
        prefix = positionPrefix(channel.name.key, epoch);
        prefixEpoch = epoch;
      }
      results[i] = { id, position: prefix + sequence, duplicate, audience };
      if (duplicate) {
        duplicates++;
      } else {
        this.#meters.stored(drafts[i]!);
      }
    }
    agents.touch(sender);
    this.#failures.stored(storedMs);
    const doneMs = clock.monotonic();
    this.#meters.stages.deliver.observe((doneMs - storedMs) / 1_000);
    this.#meters.duration.observe((doneMs - startedMs) / 1_000);
    const outcome = { results, durability: reached(channel) };
    if (duplicates === 0) return outcome;
    this.#meters.duplicates.add(duplicates);
    return this.#withFirst(channel, entries, outcome);
  }

  /** A duplicate is answered with what was stored first; when that is trimmed already, with what would have been. */
  async #withFirst(
    channel: ChannelView,
    entries: readonly AppendedEntry[],
    { results, durability }: PublishOutcome,
  ): Promise<PublishOutcome> {
    const { hub } = this.#deps;
    const found = results.map(async (result, i) => {
      if (!result.duplicate) return result;
      const { sequence, epoch } = entries[i]!;
      const request = { from: sequence - 1, backward: false, maxEntries: 1, maxBytes: 1 };
      const entry = hub.recent(channel.name.key, sequence) ?? (await hub.read(channel, request)).entries[0];
      return entry?.sequence === sequence && entry.epoch === epoch
        ? { ...result, id: entry.id, audience: entry.audience }
        : result;
    });
    return { results: await Promise.all(found), durability };
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

  #failed(agentId: string, error: unknown): BusError {
    const failure = isBusError(error)
      ? withRetryDelay(error)
      : new BusError("INTERNAL", "internal error", { cause: error });
    this.#meters.failed(failure.reason);
    this.#failures.failed(agentId, failure, this.#deps.clock.monotonic());
    return failure;
  }
}

/** What the log asks for; 0: it said nothing of versions. */
function staleVersion(outcome: AppendOutcome | undefined): number {
  return outcome?.kind === "stale" ? outcome.version : 0;
}

function conflict({ records }: Routed, index: number): BusError {
  const key = quote(records[index]!.idempotencyKey);
  return new BusError("IDEMPOTENCY_CONFLICT", `the idempotency key ${key} was used for other content`).at(index);
}

/** Whoever tries again at once helps a storage that is away least. */
function withRetryDelay(error: BusError): BusError {
  if (error.reason !== "STORAGE_UNAVAILABLE" || error.details.retryDelayMs !== undefined) return error;
  return new BusError(error.reason, error.message, { ...error.details, retryDelayMs: RETRY_DELAY_MS });
}
