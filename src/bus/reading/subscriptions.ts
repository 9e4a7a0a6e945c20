import type { BusOptions } from "../../core/bus-options.ts";
import type { Clock, Stop } from "../../core/clock.ts";
import { BusError, isBusError } from "../../core/errors.ts";
import { compileFilter, type Filter } from "../../core/filter.ts";
import type { Logger } from "../../core/logger.ts";
import type { ChannelGap, MessageCodec } from "../../core/message-codec.ts";
import type { Counter, Meters } from "../../core/meters.ts";
import { type ChannelName, INBOX_ROOM, parseChannelName } from "../../core/names.ts";
import { type ChannelPattern, compileChannelPattern } from "../../core/patterns.ts";
import type { Position } from "../../core/position.ts";
import type { LogPlace } from "../../core/room.ts";
import type { ExclusiveNames, ExclusiveStream } from "../agents/exclusive-names.ts";
import type { AgentStream, Agents, ChannelView, Rooms } from "../directory/registry.ts";
import type { ChannelTail } from "./channel-tail.ts";
import type { EpochRenewals } from "./epoch-renewals.ts";
import { gapError } from "./gap-error.ts";
import type { Hub } from "./hub.ts";
import { byChannel, ReadingStarts, type Start, type StartingPoint } from "./reading-starts.ts";
import { Subscription } from "./subscription.ts";

export interface SubscribeInput {
  readonly agentId: string;
  readonly channels: readonly string[];
  readonly patterns: readonly string[];
  readonly start: Start;
  readonly filter: Filter | undefined;
  readonly echo: boolean;
  readonly observe: boolean;
  /** "": not exclusive. */
  readonly exclusive: string;
  readonly failOnGap: boolean;
  readonly maxMessages: number;
  /** Undefined: as configured. */
  readonly heartbeatMs: number | undefined;
}

export interface SubscriptionsDependencies {
  readonly hub: Hub;
  readonly renewals: EpochRenewals;
  readonly rooms: Rooms;
  readonly agents: Agents;
  readonly exclusiveNames: ExclusiveNames;
  readonly codec: MessageCodec;
  readonly clock: Clock;
  readonly options: BusOptions;
  readonly meters: Meters;
  readonly logger: Logger;
}

interface Open extends ExclusiveStream {
  readonly subscription: Subscription;
  readonly input: SubscribeInput;
  readonly named: ReadonlySet<string>;
  readonly patterns: readonly ChannelPattern[];
  /** Positions that the client brought, of channels that were not placed yet: this node may learn of one later. */
  readonly resume: Map<string, Position> | undefined;
  /** Where the stream stood in channels that the agent left. */
  readonly left: Map<string, LogPlace>;
  /** Neither channels nor patterns: the inbox and what the agent joined. */
  readonly ofAgent: boolean;
  readonly stream: AgentStream | undefined;
}

const TICK_MS = 1_000;
/** How often a place is looked for in a log that loses its end all the time. */
const MAX_PLACINGS = 5;
const FIRST_RETRY_MS = 250;
const MAX_RETRY_MS = 4_000;

/** Opens subscriptions and keeps them in step with channels that come and go. */
export class Subscriptions {
  readonly #deps: SubscriptionsDependencies;
  readonly #open = new Map<Subscription, Open>();
  readonly #perAgent = new Map<string, number>();
  #asked = 0;
  readonly #starts: ReadingStarts;
  readonly #stops: Stop[];
  readonly #delivered: Counter;
  #draining: BusError | undefined;

  constructor(deps: SubscriptionsDependencies) {
    this.#deps = deps;
    this.#starts = new ReadingStarts(deps.hub, deps.clock, deps.renewals, deps.options.limits.deliveryBytes);
    this.#delivered = deps.meters.counter("messages_delivered_total", "Messages handed to subscriptions.");
    this.#stops = [
      deps.clock.every(TICK_MS, () => this.#tick()),
      deps.rooms.onChannel(({ kind, channel }) => {
        if (kind === "created") this.#channelCreated(channel);
        else if (kind === "deleted") this.#channelDeleted(channel);
      }),
      deps.rooms.onMember(({ joined, agentId, channel, behind }) => {
        if (joined) this.#memberJoined(agentId, channel, behind);
        else this.#memberLeft(agentId, channel);
      }),
    ];
    for (const cause of ["RETENTION", "NEW_EPOCH", "DAMAGED", "LOST"] as const) this.#gaps(cause);
    deps.meters.gauge("subscriptions", "Open subscriptions.", () => this.#open.size);
  }

  /** Messages handed over since the start. */
  get deliveredCount(): number {
    return this.#delivered.value;
  }

  get count(): number {
    return this.#open.size;
  }

  /** How many subscriptions read a channel on this node. */
  readersOf(key: string): number {
    return this.#deps.hub.readersOf(key);
  }

  /**
   * `onMade` is handed the subscription before anything is looked up for it: to close it then, because its caller has left,
   * gives the opening up (CANCELLED). Throws BAD_NAME, INBOX_PRIVATE, CHANNEL_NOT_FOUND, BAD_POSITION, TOO_MANY, GAP,
   * STORAGE_UNAVAILABLE, ...
   */
  async open(input: SubscribeInput, onMade: (subscription: Subscription) => void = () => {}): Promise<Subscription> {
    if (this.#draining !== undefined) throw this.#draining;
    const { options, agents } = this.#deps;
    const names = input.channels.map(parseChannelName);
    for (const name of names) this.#checkReadable(name, input.agentId);
    const patterns = input.patterns.map(compileChannelPattern);
    const resume = input.start.kind === "resume" ? byChannel(input.start.positions) : undefined;
    await this.#checkBeforeCreating(input, names);
    await agents.ensure(input.agentId);
    if (this.#draining !== undefined) throw this.#draining;
    this.#checkLimits(input.agentId);

    const subscription = this.#make(input);
    const ofAgent = names.length === 0 && input.patterns.length === 0;
    const open: Open = {
      subscription,
      order: ++this.#asked,
      takenOver: () => {
        const { agentId, exclusive } = input;
        subscription.end("TAKEN_OVER", `a newer stream of ${agentId} is the exclusive ${exclusive}`);
      },
      input,
      named: new Set(names.map((name) => name.key)),
      patterns,
      resume,
      left: new Map(),
      ofAgent,
      stream: input.observe
        ? undefined
        : // An agent whose streams cannot be opened, and who tries again and again, does not come and go for the others.
          agents.openStream(
            input.agentId,
            () => subscription.end("AGENT_GONE", "the agent was disconnected or deleted"),
            "when described",
          ),
    };
    // Known from here on, so that no channel that comes now is missed.
    this.#register(open);
    try {
      onMade(subscription);
      const views = await this.#channelsOf(input, names, ofAgent);
      if (views.length > options.limits.channelsPerSubscription) throw tooManyChannels(options);
      const gaps: ChannelGap[] = [];
      for (const placed of await Promise.all(views.map((view) => this.#place(open, view, input.start)))) {
        if (placed !== undefined) gaps.push(placed);
      }
      if (input.failOnGap && gaps.length > 0) throw gapError(gaps[0]!);
      if (!this.#open.has(subscription)) throw new BusError("CANCELLED", "the caller left while its stream was opened");
      if (subscription.finished === undefined)
        open.stream?.describe([...input.channels, ...input.patterns].slice(0, 100));
      // Only a stream that opened well takes the place of another; of two that open at the same time the later one stays.
      if (input.exclusive !== "" && subscription.finished === undefined) {
        this.#deps.exclusiveNames.claim(input.agentId, input.exclusive, open);
      }
      subscription.open(options.nodeId, gaps);
      return subscription;
    } catch (error) {
      subscription.close(true);
      throw error;
    }
  }

  /** Says to all streams that the node leaves; new ones are refused. */
  beginDrain(graceMs: number): void {
    this.#draining = new BusError("DRAINING", "this node is leaving; connect again");
    for (const subscription of this.#open.keys()) subscription.goAway(graceMs);
  }

  endAll(): void {
    const error = this.#draining ?? new BusError("DRAINING", "this node is leaving; connect again");
    for (const subscription of [...this.#open.keys()]) subscription.fail(error);
  }

  close(): void {
    this.endAll();
    for (const stop of this.#stops) stop();
  }

  #make(input: SubscribeInput): Subscription {
    const { hub, codec, clock, options } = this.#deps;
    const subscription = new Subscription(
      {
        agentId: input.agentId,
        test: input.filter && compileFilter(input.filter),
        echo: input.echo,
        failOnGap: input.failOnGap,
        maxMessages: input.maxMessages,
        heartbeatMs: input.heartbeatMs ?? options.heartbeatMs,
        deliveryBytes: options.limits.deliveryBytes,
      },
      {
        hub,
        codec,
        clock,
        delivered: this.#delivered,
        gaps: (cause) => this.#gaps(cause),
      },
      (graceful) => this.#closed(subscription, graceful),
    );
    return subscription;
  }

  #gaps(cause: ChannelGap["cause"]): Counter {
    return this.#deps.meters.counter("gaps_total", "Gaps told to subscriptions.", { cause });
  }

  #register(open: Open): void {
    const { agentId } = open.input;
    this.#open.set(open.subscription, open);
    this.#perAgent.set(agentId, (this.#perAgent.get(agentId) ?? 0) + 1);
  }

  #closed(subscription: Subscription, graceful: boolean): void {
    const open = this.#open.get(subscription);
    if (open === undefined) return;
    const { agentId, exclusive } = open.input;
    this.#open.delete(subscription);
    const left = (this.#perAgent.get(agentId) ?? 1) - 1;
    if (left > 0) this.#perAgent.set(agentId, left);
    else this.#perAgent.delete(agentId);
    if (exclusive !== "") this.#deps.exclusiveNames.release(agentId, exclusive, open);
    open.stream?.close(graceful);
  }

  #checkReadable(name: ChannelName, agentId: string): void {
    if (name.room === INBOX_ROOM) {
      if (name.channel !== agentId) throw new BusError("INBOX_PRIVATE", `${name.key} is read by ${name.channel} alone`);
    } else if (name.room.startsWith("_") || name.channel.startsWith("_")) {
      throw new BusError("RESERVED_NAME", `${name.key}: a leading _ is reserved`);
    }
  }

  /** A subscription that is refused registers no agent and creates no channel. */
  async #checkBeforeCreating({ agentId }: SubscribeInput, names: readonly ChannelName[]): Promise<void> {
    const { rooms, options } = this.#deps;
    this.#checkLimits(agentId);
    const unknown = names.filter(({ key }) => rooms.channel(key) === undefined);
    if (new Set(names.map(({ key }) => key)).size > options.limits.channelsPerSubscription) {
      throw tooManyChannels(options);
    }
    if (unknown.length > 0) await rooms.checkEnsurable(unknown);
  }

  #checkLimits(agentId: string): void {
    const { subscriptions, subscriptionsPerAgent } = this.#deps.options.limits;
    if (this.#open.size >= subscriptions) {
      throw new BusError("TOO_MANY", `this node has ${subscriptions} subscriptions, its limit (limits.subscriptions)`);
    }
    if ((this.#perAgent.get(agentId) ?? 0) >= subscriptionsPerAgent) {
      throw new BusError(
        "TOO_MANY",
        `${agentId} has ${subscriptionsPerAgent} subscriptions, the limit (limits.subscriptionsPerAgent)`,
      );
    }
  }

  async #channelsOf(input: SubscribeInput, names: readonly ChannelName[], ofAgent: boolean): Promise<ChannelView[]> {
    const { rooms } = this.#deps;
    const views = new Map<string, ChannelView>();
    for (const name of names) {
      const view = await (name.room === INBOX_ROOM ? rooms.ensureInbox(name.channel) : rooms.ensureChannel(name));
      views.set(name.key, view);
    }
    for (const pattern of input.patterns) for (const view of rooms.matching(pattern)) views.set(view.name.key, view);
    if (ofAgent) {
      const inbox = await rooms.ensureInbox(input.agentId);
      views.set(inbox.name.key, inbox);
      for (const view of rooms.joinedBy(input.agentId)) views.set(view.name.key, view);
    }
    return [...views.values()];
  }

  /** Finds where to start in one channel. Answers the gap that the reader must be told. */
  async #place(
    { subscription, named, resume }: Open,
    view: ChannelView,
    start: Start,
  ): Promise<ChannelGap | undefined> {
    // Listened to before the log is asked, so that nothing between the two is missed.
    const tail = this.#deps.hub.attach(view);
    const placeholder = { wake: () => {} };
    tail.listeners.add(placeholder);
    try {
      const found = await this.#findStart(view, tail, start, resume, subscription);
      // Deleted while its log was asked: the subscription was not told, because it did not have the channel yet.
      if (found === undefined || this.#deps.rooms.channel(view.name.key)?.incarnation !== view.incarnation) {
        if (!named.has(view.name.key)) return undefined;
        throw new BusError("CHANNEL_DELETED", `${view.name.key} was deleted meanwhile`);
      }
      const { channelsPerSubscription } = this.#deps.options.limits;
      if (!subscription.has(view.name.key) && subscription.channelCount >= channelsPerSubscription) {
        throw tooManyChannels(this.#deps.options);
      }
      const { after, epoch, gap, head } = found;
      subscription.add(view, tail, after, epoch, head);
      // Of this log, and not of one that is made under its name later.
      resume?.delete(view.name.key);
      return gap && { name: view.name, ...gap };
    } finally {
      tail.listeners.delete(placeholder);
      this.#deps.hub.release(tail);
    }
  }

  /** Where to start, as the log is when this is answered. Undefined: the channel is gone. */
  async #findStart(
    view: ChannelView,
    tail: ChannelTail,
    start: Start,
    resume: ReadonlyMap<string, Position> | undefined,
    subscription: Subscription,
  ): Promise<(StartingPoint & { readonly head: number }) | undefined> {
    const { hub, rooms } = this.#deps;
    for (let attempt = 1; attempt <= MAX_PLACINGS; attempt++) {
      const { rewinds } = tail;
      let state = await hub.look(tail, view);
      if (state?.incarnation !== view.incarnation) {
        // A crash may have left the channel without its log; else it was deleted this very moment.
        await rooms.ensureLog(view);
        state = await hub.look(tail, view);
      }
      if (state?.incarnation !== view.incarnation) return undefined;
      const found = await this.#starts.find(view, tail, state, start, resume, subscription.rule);
      // A log that lost its end meanwhile has no such place any more, and nobody took this reader back.
      if (tail.rewinds === rewinds) return { ...found, head: state.head };
    }
    throw new BusError("STORAGE_UNAVAILABLE", `${view.name.key} is being rolled back by its storage; try again`, {
      retryDelayMs: 1_000,
    });
  }

  #channelCreated(view: ChannelView): void {
    if (view.name.room === INBOX_ROOM) return;
    const { key } = view.name;
    for (const open of this.#open.values()) {
      const { patterns, subscription } = open;
      if (subscription.has(key) || !patterns.some((pattern) => pattern.matches(view.name))) continue;
      // What comes to exist is read from its first message; what was there and is new to this node only, from its position.
      void this.#addLive(open, view, startIn(open, key, { kind: "earliest" }));
    }
  }

  #memberJoined(agentId: string, view: ChannelView, behind: LogPlace | undefined): void {
    for (const open of this.#open.values()) {
      if (!open.ofAgent || open.input.agentId !== agentId || open.subscription.has(view.name.key)) continue;
      const left = open.left.get(view.name.key);
      open.left.delete(view.name.key);
      const start: Start = behind === undefined ? { kind: "new" } : { kind: "joined", behind, left };
      void this.#addLive(open, view, startIn(open, view.name.key, start));
    }
  }

  #memberLeft(agentId: string, view: ChannelView): void {
    for (const open of this.#open.values()) {
      if (!open.ofAgent || open.input.agentId !== agentId) continue;
      this.#keepPlace(open, view.name.key);
      open.subscription.remove(view.name.key);
    }
  }

  #keepPlace({ subscription, left }: Open, key: string): void {
    const place = subscription.placeIn(key);
    if (place === undefined) return;
    if (left.size >= this.#deps.options.limits.channelsPerSubscription) left.delete(left.keys().next().value!);
    left.set(key, place);
  }

  /** A storage that is away does not end a stream that reads other channels: it gets this one when the storage is back. */
  async #addLive(open: Open, view: ChannelView, start: Start, retryMs = FIRST_RETRY_MS): Promise<void> {
    const { clock, rooms } = this.#deps;
    const askedMs = clock.now();
    try {
      const gap = await this.#place(open, view, start);
      if (gap !== undefined) open.subscription.tellGap(gap);
    } catch (error) {
      if (isBusError(error, "CHANNEL_DELETED")) return;
      if (!isBusError(error, "STORAGE_UNAVAILABLE")) {
        const internal = new BusError("INTERNAL", "opening a channel failed", { cause: error });
        open.subscription.fail(isBusError(error) ? error : internal);
        return;
      }
      const later: Start = start.kind === "new" ? { kind: "since", timeMs: askedMs } : start;
      clock.after(retryMs, () => {
        const { key } = view.name;
        if (!this.#open.has(open.subscription) || open.subscription.has(key)) return;
        if (rooms.channel(key)?.incarnation !== view.incarnation) return;
        if (open.ofAgent && !rooms.joinedBy(open.input.agentId).some(({ name }) => name.key === key)) return;
        void this.#addLive(open, view, later, Math.min(retryMs * 2, MAX_RETRY_MS));
      });
    }
  }

  #channelDeleted(view: ChannelView): void {
    const { key } = view.name;
    for (const { subscription, named } of [...this.#open.values()]) {
      if (!subscription.has(key)) continue;
      if (named.has(key)) subscription.end("CHANNEL_DELETED", `${key} was deleted`, key);
      else subscription.remove(key);
    }
    this.#deps.hub.drop(key);
  }

  #tick(): void {
    const nowMs = this.#deps.clock.monotonic();
    for (const subscription of this.#open.keys()) subscription.tick(nowMs);
  }
}

/** Where a stream begins in a channel that it gets after its opening. */
function startIn({ input, resume }: Open, key: string, otherwise: Start): Start {
  return resume?.has(key) ? input.start : otherwise;
}

function tooManyChannels(options: BusOptions): BusError {
  const { channelsPerSubscription } = options.limits;
  return new BusError(
    "TOO_MANY",
    `the subscription has more than ${channelsPerSubscription} channels (limits.channelsPerSubscription); narrow it`,
  );
}
