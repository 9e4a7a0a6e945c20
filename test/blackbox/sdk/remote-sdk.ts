import type {
  AgentBusOptions,
  AgentProfile,
  AskOptions,
  Channels,
  FetchOptions,
  LinkOptions,
  MessageReference,
  RoomSettings,
  SendOptions,
  SubscribeOptions,
  WatchAgentsOptions,
} from "agentbus";
import type {
  ObservedAgent,
  ObservedChange,
  ObservedError,
  ObservedEvent,
  ObservedMessage,
  ObservedPage,
  ObservedReceipt,
  Payload,
} from "./observed.ts";
import { type SdkProcess, StepFailed } from "./sdk-process.ts";

/** The words of the SDKs, carried out by a program in one of the languages. */

export type Said = string | Uint8Array | object | number | boolean | undefined;
type Unsignalled<T> = Omit<T, "signal">;
export type BusSetup = Pick<AgentBusOptions, keyof LinkOptions | "urls" | "sendTimeoutMs" | "closeTimeoutMs"> & {
  readonly apiKey?: string;
  /** Keeps positions in this file. */
  readonly positionsFile?: string;
};
type ChannelSetup = NonNullable<Parameters<Channels["create"]>[1]>;

/** One client of a program, or several that differ in where they connect first: each agent has one of them, in turn. */
export class RemoteBus {
  readonly #sdk: SdkProcess;
  readonly #clients: readonly number[];
  readonly #clientOf = new Map<string, number>();
  #calls = 0;

  private constructor(sdk: SdkProcess, clients: readonly number[]) {
    this.#sdk = sdk;
    this.#clients = clients;
  }

  static async open(sdk: SdkProcess, setups: readonly BusSetup[]): Promise<RemoteBus> {
    return new RemoteBus(sdk, await Promise.all(setups.map((options) => sdk.call<number>("open", { options }))));
  }

  agent(id: string): RemoteAgent {
    return new RemoteAgent(this.#sdk, { bus: this.#client(id), agent: id });
  }
  /** An agent that the SDK registers with this profile before it does anything. */
  async agentWith(id: string, profile: AgentProfile): Promise<RemoteAgent> {
    await this.#sdk.call("profile", { bus: this.#client(id), agent: id, options: profile });
    return this.agent(id);
  }
  ping = () => this.#call<string>("ping");
  url = () => this.#call<string>("url");
  close = () => Promise.all(this.#clients.map((bus) => this.#sdk.call<null>("close", { bus })));
  getAgent = (agent: string) => this.#call<ObservedAgent>("getAgent", { agent });
  listAgents = (options: object) => this.#call<ObservedAgent[]>("listAgents", { options });
  createRoom = (room: string, options: RoomSettings = {}) => this.#call<null>("createRoom", { room, options });
  createChannel = (channel: string, options: ChannelSetup = {}) =>
    this.#call<null>("createChannel", { channel, options: { createRoom: true, ...options } });
  updateChannel = (channel: string, options: ChannelSetup) => this.#call<string>("updateChannel", { channel, options });
  deleteChannel = (channel: string) => this.#call<null>("deleteChannel", { channel });
  listChannels = (options: object) => this.#call<string[]>("listChannels", { options });
  members = (channel: string) => this.#call<string[]>("members", { channel });

  async watchAgents(options: Unsignalled<WatchAgentsOptions>): Promise<RemoteWatch> {
    return new RemoteWatch(this.#sdk, await this.#call<number>("watchAgents", { options }));
  }

  #client(agent: string): number {
    const known = this.#clientOf.get(agent) ?? this.#clients[this.#clientOf.size % this.#clients.length]!;
    this.#clientOf.set(agent, known);
    return known;
  }

  #call<T>(step: string, args: object = {}): Promise<T> {
    return this.#sdk.call<T>(step, { bus: this.#clients[this.#calls++ % this.#clients.length]!, ...args });
  }
}

export class RemoteAgent {
  readonly id: string;
  readonly #sdk: SdkProcess;
  readonly #who: object;

  constructor(sdk: SdkProcess, who: { readonly bus: number; readonly agent: string }) {
    this.id = who.agent;
    this.#sdk = sdk;
    this.#who = who;
  }

  get inbox(): string {
    return `_inbox:${this.id}`;
  }
  join = (channel: string) => this.#call<string>("join", { channel });
  leave = (channel: string) => this.#call<null>("leave", { channel });
  register = (profile: AgentProfile = {}) => this.#call<ObservedAgent>("register", { options: profile });
  update = (changes: AgentProfile) => this.#call<ObservedAgent>("update", { options: changes });
  heartbeat = (options: { readonly state?: string } = {}) => this.#call<number>("heartbeat", { options });
  disconnect = () => this.#call<null>("disconnect");
  flush = () => this.#call<null>("flush");
  close = () => this.#call<null>("closeAgent");
  send = (content: Said, options: Unsignalled<SendOptions> = {}, signal?: AbortSignal) =>
    this.#call<ObservedReceipt>("send", { content: payload(content), options }, signal);
  ask = async (content: Said, options: Unsignalled<AskOptions> = {}, signal?: AbortSignal) =>
    (await this.#call<ObservedMessage[]>("ask", { content: payload(content), options }, signal)).map((answer) =>
      this.#wrap(answer),
    );
  fetch = (channel: string, options: Unsignalled<FetchOptions> = {}, signal?: AbortSignal) =>
    this.#call<ObservedPage>("fetch", { channel, options }, signal);
  history = (channel: string, options: Unsignalled<FetchOptions> = {}) =>
    this.#call<ObservedMessage[]>("history", { channel, options });
  getMessage = (which: MessageReference) => this.#call<ObservedMessage>("getMessage", { which });

  /** `events`: the loop sees everything that a subscription tells, not only messages. */
  async subscribe(options: Unsignalled<SubscribeOptions> & { readonly events?: boolean } = {}) {
    const on = await this.#call<number>("subscribe", { options });
    return new RemoteSubscription(this.#sdk, on, (message) => this.#wrap(message));
  }
  /** Open, so that what is published from now on is read. */
  async listen(options: Unsignalled<SubscribeOptions> & { readonly events?: boolean } = {}) {
    const subscription = await this.subscribe(options);
    await subscription.ready();
    return subscription;
  }

  #wrap(message: ObservedMessage): RemoteMessage {
    const reply = (content: Said, options: Unsignalled<SendOptions> = {}) =>
      this.#call<ObservedReceipt>("reply", { position: message.position, content: payload(content), options });
    return { ...message, reply };
  }
  #call<T>(step: string, args: object = {}, signal?: AbortSignal): Promise<T> {
    return this.#sdk.call<T>(step, { ...this.#who, ...args }, signal);
  }
}

export interface RemoteMessage extends ObservedMessage {
  reply(content: Said, options?: Unsignalled<SendOptions>): Promise<ObservedReceipt>;
}

export class RemoteSubscription {
  readonly #sdk: SdkProcess;
  readonly #on: number;
  readonly #wrap: (message: ObservedMessage) => RemoteMessage;

  constructor(sdk: SdkProcess, on: number, wrap: (message: ObservedMessage) => RemoteMessage) {
    this.#sdk = sdk;
    this.#on = on;
    this.#wrap = wrap;
  }

  ready = () => this.#sdk.call<null>("ready", { on: this.#on });
  /** One turn of the loop. `signal` cancels the wait. */
  event = (signal?: AbortSignal) => this.#sdk.call<ObservedEvent>("next", { on: this.#on }, signal);
  positions = () => this.#sdk.call<string[]>("positions", { on: this.#on });
  close = () => this.#sdk.call<null>("closeSubscription", { on: this.#on });

  /** The next message; other events are passed over. */
  async next(): Promise<RemoteMessage> {
    for (;;) {
      const event = await this.event();
      if (event.type === "message") return this.#wrap(event.message);
      if (event.type === "done") throw new Error("the subscription was over");
    }
  }
  async take(count: number): Promise<RemoteMessage[]> {
    const messages: RemoteMessage[] = [];
    while (messages.length < count) messages.push(await this.next());
    return messages;
  }
  /** The next event of this type; others are passed over. */
  async until<Type extends ObservedEvent["type"]>(type: Type): Promise<Extract<ObservedEvent, { type: Type }>> {
    for (;;) {
      const event = await this.event();
      if (event.type === type) return event as Extract<ObservedEvent, { type: Type }>;
      if (event.type === "done") throw new Error(`the subscription was over before ${type}`);
    }
  }
}

export class RemoteWatch {
  readonly #sdk: SdkProcess;
  readonly #on: number;

  constructor(sdk: SdkProcess, on: number) {
    this.#sdk = sdk;
    this.#on = on;
  }
  next = () => this.#sdk.call<ObservedChange>("nextChange", { on: this.#on });
  close = () => this.#sdk.call<null>("closeWatch", { on: this.#on });
}

/** What the SDK raised in a step that must fail. */
export async function raised(step: Promise<unknown>): Promise<ObservedError> {
  let result: unknown;
  try {
    result = await step;
  } catch (error) {
    if (error instanceof StepFailed) return error.observed;
    throw error;
  }
  throw new Error(`it was expected to fail; it answered ${JSON.stringify(result)?.slice(0, 500)}`);
}

/** "NOT_FOUND UNKNOWN_RECIPIENT NEVER" for a BusError, "SubscriptionEnded TAKEN_OVER", or the kind alone. */
export async function raisedBriefly(step: Promise<unknown>): Promise<string> {
  const error = await raised(step);
  if (error.kind === "BusError") return `${error.code} ${error.reason} ${error.retry}`;
  return error.kind === "SubscriptionEnded" ? `${error.kind} ${error.reason}` : error.kind;
}

export function textOf({ content }: ObservedMessage): string {
  return "text" in content ? String(content["text"]) : JSON.stringify(content);
}

export const textsOf = (messages: readonly ObservedMessage[]): string[] => messages.map(textOf);

function payload(content: Said): Payload {
  if (content === undefined) return {};
  if (typeof content === "string") return { text: content };
  return content instanceof Uint8Array ? { bytes: Buffer.from(content).toString("base64") } : { json: content };
}
