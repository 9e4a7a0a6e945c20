/// <reference lib="esnext.disposable" preserve="true" />
import { durationMs } from "@bufbuild/protobuf/wkt";
import { INBOX_ROOM, parseAddress } from "./address.ts";
import type { CallOptions, Connection } from "./connection.ts";
import type { Content } from "./content.ts";
import { type AgentStateName, agentStates } from "./enums.ts";
import { present } from "./errors.ts";
import type { Agent as AgentRecord } from "./gen/agentbus/v1/agent_pb.ts";
import type { Channel } from "./gen/agentbus/v1/room_pb.ts";
import { type FetchOptions, fetchPage, getMessage, type MessageReference, type Page, readPages } from "./history.ts";
import type { Message } from "./message.ts";
import { Outbox } from "./outbox.ts";
import { composeMessage, type SendOptions } from "./outgoing.ts";
import { PositionSaver, type PositionStore } from "./position-store.ts";
import { type AgentProfile, profileMask, profileToProto } from "./profile.ts";
import { type AskOptions, Questions } from "./questions.ts";
import type { Receipt } from "./receipt.ts";
import type { SubscribeOptions } from "./subscribe-options.ts";
import { Subscription, type SubscriptionHost } from "./subscription.ts";
import { within } from "./waiting.ts";

export interface AgentSetup {
  readonly positions: PositionStore;
  readonly sendTimeoutMs: number;
  readonly closeTimeoutMs: number;
  readonly profile: AgentProfile | undefined;
  readonly onClose: () => void;
}

/** Speaks and listens under one id. Made by `bus.agent(id)`. */
export class Agent implements AsyncDisposable {
  readonly id: string;
  readonly #connection: Connection;
  readonly #setup: AgentSetup;
  readonly #host: SubscriptionHost;
  readonly #outbox: Outbox;
  readonly #questions: Questions;
  readonly #subscriptions = new Set<Subscription>();
  readonly #joined = new Set<string>();
  /** To be registered before the agent does anything. */
  #profile: AgentProfile | undefined;
  #registered: Promise<void> | undefined;

  constructor(id: string, connection: Connection, setup: AgentSetup) {
    this.id = id;
    this.#connection = connection;
    this.#setup = setup;
    this.#profile = setup.profile;
    const prepare = (signal: AbortSignal) => this.#prepare(signal);
    this.#host = {
      id,
      prepare,
      send: (content, options) => this.send(content, options),
      takesAnswer: (message) => message.room === INBOX_ROOM && this.#questions.takes(message),
      forget: (subscription) => this.#subscriptions.delete(subscription),
    };
    this.#outbox = new Outbox({ agentId: id, connection, prepare });
    this.#questions = new Questions(this.#host, connection, this.inbox);
  }

  /** Where direct messages come, as a channel to read: "_inbox:<id>". */
  get inbox(): string {
    return `${INBOX_ROOM}:${this.id}`;
  }

  /** Makes the agent known with this profile, which replaces an earlier one. Inbox and memberships stay. */
  async register(profile: AgentProfile = {}, options?: CallOptions): Promise<AgentRecord> {
    const agent = profileToProto(this.id, profile);
    const response = await this.#connection.call(
      (call) => this.#connection.clients.agents.registerAgent({ agent }, call),
      options,
    );
    this.#profile = undefined;
    return present(response.agent, "registerAgent");
  }

  /** Changes the parts of the profile that are given. */
  async update(changes: AgentProfile, options?: CallOptions): Promise<AgentRecord> {
    await this.#prepare(this.#connection.signal);
    const request = { agent: profileToProto(this.id, changes), updateMask: { paths: profileMask(changes) } };
    const response = await this.#connection.call(
      (call) => this.#connection.clients.agents.updateAgent(request, call),
      options,
    );
    return present(response.agent, "updateAgent");
  }

  /**
   * Keeps an agent without subscriptions present for one lease, and tells its state when one is given: "online", "away"
   * or "draining" (it takes no new work). Resolves to the lease, in milliseconds.
   */
  async heartbeat({ state, ...options }: CallOptions & { readonly state?: AgentStateName } = {}): Promise<number> {
    await this.#prepare(this.#connection.signal);
    const request = { agentId: this.id, state: state === undefined ? 0 : agentStates.toProto(state) };
    const response = await this.#connection.call(
      (call) => this.#connection.clients.agents.heartbeat(request, call),
      options,
    );
    return response.leaseDuration === undefined ? 0 : durationMs(response.leaseDuration);
  }

  /** Makes the agent a member of "room:channel": a candidate for routing, and a reader of it when it subscribes to nothing in particular. */
  async join(channel: string, options?: CallOptions): Promise<Channel> {
    await this.#prepare(this.#connection.signal);
    const request = { agentId: this.id, ...parseAddress(channel) };
    const response = await this.#connection.call(
      (call) => this.#connection.clients.rooms.joinChannel(request, call),
      options,
    );
    this.#joined.add(channel);
    return present(response.channel, "joinChannel");
  }

  /** Ends the membership. No member: nothing happens. */
  async leave(channel: string, options?: CallOptions): Promise<void> {
    const request = { agentId: this.id, ...parseAddress(channel) };
    await this.#connection.call((call) => this.#connection.clients.rooms.leaveChannel(request, call), options);
    this.#joined.delete(channel);
  }

  /**
   * Sends text, bytes or JSON, and resolves when the bus has stored it. Messages of one agent to one channel are stored
   * in the order of the calls, also when the connection is cut: those without an answer are sent again, under the same
   * id, until `timeoutMs`. Rejects with a BusError when the bus refuses this message.
   */
  async send(content: Content, options: SendOptions = {}): Promise<Receipt> {
    const outgoing = composeMessage(content, options, () => this.#defaultChannel());
    return this.#outbox.submit(outgoing, {
      signal: options.signal,
      timeoutMs: options.timeoutMs ?? this.#setup.sendTimeoutMs,
    });
  }

  /** Resolves when nothing sent is on its way any more: each `send` has settled. */
  flush(): Promise<void> {
    return this.#outbox.flush();
  }

  /** Reads channels as they grow; with no channels and patterns the inbox and every channel that the agent joined. */
  subscribe(options: SubscribeOptions = {}): Subscription {
    const { name, positions = this.#setup.positions } = options;
    const saver =
      name === undefined
        ? undefined
        : (snapshot: () => string[]) => new PositionSaver(positions, `${this.id}/${name}`, snapshot);
    const subscription = new Subscription(this.#host, this.#connection, options, saver);
    this.#subscriptions.add(subscription);
    return subscription;
  }

  /** One page of the history of "room:channel". */
  fetch(channel: string, options: FetchOptions = {}): Promise<Page> {
    return fetchPage(this.#connection, this.#host, channel, options);
  }

  /** The messages of "room:channel" one after another, from the start on, until there is nothing more. */
  async *history(channel: string, options: FetchOptions = {}): AsyncGenerator<Message, undefined, undefined> {
    for await (const page of readPages(this.#connection, this.#host, channel, options)) yield* page.messages;
  }

  /** One message, by its position or by its id in a channel. What this agent may not see is MESSAGE_NOT_FOUND. */
  getMessage(which: MessageReference, options: CallOptions = {}): Promise<Message> {
    return getMessage(this.#connection, this.#host, which, options);
  }

  /**
   * Sends a question and waits for answers, which come to the agent's inbox (`message.reply` sends them there). One
   * answer: rejects with DEADLINE when none came in time. More: resolves to those that came in time.
   */
  ask(content: Content, options?: AskOptions & { readonly answers?: 1 }): Promise<Message>;
  ask(content: Content, options: AskOptions & { readonly answers: number | "audience" }): Promise<Message[]>;
  async ask(content: Content, options: AskOptions = {}): Promise<Message | Message[]> {
    const answers = await this.#questions.ask(content, options);
    return (options.answers ?? 1) === 1 ? answers[0]! : answers;
  }

  /** Takes the agent offline: its streams end, here and everywhere. Inbox and memberships stay. */
  async disconnect(options?: CallOptions): Promise<void> {
    await this.close();
    await this.#connection.call(
      (call) => this.#connection.clients.agents.disconnectAgent({ agentId: this.id }, call),
      options,
    );
  }

  /** Ends subscriptions and questions, waits until what was sent is stored, at most `closeTimeoutMs`, and takes no more. */
  async close(): Promise<void> {
    this.#setup.onClose();
    const ending = [...this.#subscriptions].map((subscription) => subscription.close());
    const outcomes = await Promise.allSettled([
      ...ending,
      this.#questions.close(),
      this.#outbox.close(this.#setup.closeTimeoutMs),
    ]);
    for (const outcome of outcomes) if (outcome.status === "rejected") throw outcome.reason;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #prepare(signal: AbortSignal): Promise<void> {
    if (this.#profile === undefined) return;
    this.#registered ??= this.#registerOnce(this.#profile).finally(() => {
      this.#registered = undefined;
    });
    await within(this.#registered, Number.POSITIVE_INFINITY, signal, "not registered");
  }

  /** As often as it takes: what waits for it has deadlines of its own. */
  async #registerOnce(profile: AgentProfile): Promise<void> {
    const agent = profileToProto(this.id, profile);
    await this.#connection.call(
      (call) => this.#connection.clients.agents.registerAgent({ agent }, call),
      { timeoutMs: Number.POSITIVE_INFINITY },
      { retries: Number.POSITIVE_INFINITY, what: `registering ${this.id}` },
    );
    this.#profile = undefined;
  }

  #defaultChannel(): string {
    const [only, ...others] = this.#joined;
    if (only !== undefined && others.length === 0) return only;
    throw new TypeError(
      only === undefined
        ? `${this.id} sends to nobody: give channel or to, or join a channel first`
        : `${this.id} joined ${this.#joined.size} channels: say which one, with channel, or to whom, with to`,
    );
  }
}
