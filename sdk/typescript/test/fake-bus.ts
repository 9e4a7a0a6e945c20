import { clone, create, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import { durationFromMs, timestampNow } from "@bufbuild/protobuf/wkt";
import {
  Code,
  ConnectError,
  type ConnectRouter,
  createRouterTransport,
  type HandlerContext,
} from "@connectrpc/connect";
import { type AgentBusOptions, Bus } from "../src/bus.ts";
import { AgentService } from "../src/gen/agentbus/v1/agent_service_pb.ts";
import {
  BusService,
  type PublishRequest,
  type PublishResponse,
  PublishResponseSchema,
  type PublishStreamRequest,
  type PublishStreamResponse,
  PublishStreamResponseSchema,
  type SubscribeRequest,
  type SubscribeResponse,
  SubscribeResponseSchema,
} from "../src/gen/agentbus/v1/bus_service_pb.ts";
import { ErrorSchema } from "../src/gen/agentbus/v1/error_pb.ts";
import { type Message, MessageSchema } from "../src/gen/agentbus/v1/message_pb.ts";
import { Durability } from "../src/gen/agentbus/v1/room_pb.ts";
import { ErrorInfoSchema, RetryInfoSchema } from "../src/gen/google/rpc/error_details_pb.ts";
import { CODES, REASONS, type Reason } from "../src/reasons.ts";

const EPOCH = 0xbeef;

/** What the fake does with one publish request. */
export type PublishFate =
  | "store"
  /** The stream breaks before anything is stored, or after it was stored and before it is answered. */
  | "cut"
  | "store-and-cut"
  /** The call waits until it is left. */
  | "hang"
  | { readonly refuse: Reason; readonly index?: number; readonly retryDelayMs?: number }
  /** The whole stream fails. */
  | { readonly fail: Reason };

/** What the fake does with one subscription after each response; the default goes on for ever. */
export type StreamFate = "go-on" | "cut" | "end-without-end";

/** A bus of one process that follows the contract where it is not told otherwise. */
export class FakeBus {
  readonly log = new Map<string, Message[]>();
  readonly publishRequests: PublishRequest[] = [];
  readonly subscribeRequests: SubscribeRequest[] = [];
  readonly registered: string[] = [];
  /** So many registrations fail first. */
  failRegistrations = 0;
  readonly warnings: string[] = [];
  /** Asked for each publish request as it comes. */
  publishFate: (request: PublishRequest, count: number) => PublishFate = () => "store";
  /** Asked before each response of each stream, with the number of the stream and of the response, both from 0. */
  streamFate: (stream: number, response: number) => StreamFate = () => "go-on";
  /** Replaces what subscriptions tell. */
  script:
    | ((request: SubscribeRequest, stream: number, context: HandlerContext) => AsyncIterable<SubscribeResponse>)
    | undefined;
  /** At most so many messages in one response. */
  batch = 2;
  readonly #positionsOf = new Map<string, string>();
  #wake: (() => void)[] = [];

  /** A client of this bus; `urls` are answered alike unless `route` says otherwise. */
  client(
    options: AgentBusOptions & { clientStreams?: boolean; route?: (url: string, router: ConnectRouter) => void } = {},
  ): Bus {
    const { clientStreams = true, route, ...rest } = options;
    const platform = {
      clientStreams,
      open: (url: string) => ({
        transport: createRouterTransport((router) => (route === undefined ? this.routes(router) : route(url, router))),
        close: () => {},
      }),
    };
    return new Bus(platform, {
      backoff: { initialMs: 1, maxMs: 2 },
      onWarning: (text) => this.warnings.push(text),
      ...rest,
    });
  }

  routes(router: ConnectRouter): void {
    router.service(BusService, {
      publish: (request, context) => this.#publishUnary(request, context),
      publishStream: (requests, context) => this.#publishStream(requests, context),
      subscribe: (request, context) => this.#subscribe(request, context),
    });
    router.service(AgentService, {
      registerAgent: ({ agent }) => {
        if (this.failRegistrations-- > 0) throw new ConnectError("away", Code.Unavailable);
        this.registered.push(agent!.agentId);
        return { agent: agent!, created: true };
      },
    });
  }

  texts(channel: string): string[] {
    return (this.log.get(channel) ?? []).map(({ payload }) => (payload.case === "text" ? payload.value : ""));
  }

  /** Stores one message and tells the streams. */
  append(
    channel: string,
    sender: string,
    message: Partial<Omit<Message, "$typeName">>,
  ): { position: string; duplicate: boolean } {
    const key = `${channel} ${sender} ${message.idempotencyKey || message.id}`;
    const known = this.#positionsOf.get(key);
    if (known !== undefined) return { position: known, duplicate: true };
    const entries = this.log.get(channel) ?? [];
    const [room, name] = split(channel);
    const sequence = BigInt(entries.length + 1);
    const stored = create(MessageSchema, { ...message, room, channel: name, sender, sequence, epoch: EPOCH });
    this.log.set(channel, [...entries, stored]);
    const position = positionOf(channel, entries.length + 1);
    this.#positionsOf.set(key, position);
    for (const wake of this.#wake.splice(0)) wake();
    return { position, duplicate: false };
  }

  async #publishUnary(request: PublishRequest, { signal }: HandlerContext): Promise<PublishResponse> {
    const fate = this.publishFate(request, this.publishRequests.push(request) - 1);
    if (fate === "hang") {
      await left(signal);
      throw new ConnectError("nobody waits any more", Code.Canceled);
    }
    if (fate === "cut") throw new ConnectError("cut", Code.Unavailable);
    if (typeof fate === "object") throw "fail" in fate ? failure(fate.fail) : failure(fate.refuse, fate);
    const response = this.#store(request);
    if (fate === "store-and-cut") throw new ConnectError("cut", Code.Unavailable);
    return response;
  }

  async *#publishStream(
    requests: AsyncIterable<PublishStreamRequest>,
    context: HandlerContext,
  ): AsyncGenerator<PublishStreamResponse> {
    let awaited: number | undefined;
    for await (const { requestId, publish } of requests) {
      const request = publish!;
      if (awaited !== undefined && requestId !== awaited) {
        yield refusal(requestId, "RESEND_REQUIRED");
        continue;
      }
      awaited = undefined;
      const fate = this.publishFate(request, this.publishRequests.push(request) - 1);
      if (fate === "cut") throw new ConnectError("cut", Code.Unavailable);
      if (fate === "hang") await left(context.signal);
      if (typeof fate === "object" && "fail" in fate) throw failure(fate.fail);
      if (typeof fate === "object") {
        if (REASONS[fate.refuse].retry !== "NEVER") awaited = requestId;
        yield refusal(requestId, fate.refuse, fate);
        continue;
      }
      const value = this.#store(request);
      if (fate === "store-and-cut") throw new ConnectError("cut", Code.Aborted);
      yield create(PublishStreamResponseSchema, { requestId, result: { case: "published", value } });
    }
  }

  #store({ agentId, room, channel, messages }: PublishRequest): PublishResponse {
    const results = messages.map((message) => {
      const address = room === "" ? `_inbox:${message.to!.agents[0]}` : `${room}:${channel}`;
      const audience = message.to && { count: message.to.agents.length, agents: message.to.agents };
      const stored = this.append(address, agentId, clone(MessageSchema, message));
      return { id: message.id, ...stored, ...(audience === undefined ? {} : { audience }) };
    });
    return create(PublishResponseSchema, { results, durability: Durability.STORED });
  }

  async *#subscribe(request: SubscribeRequest, context: HandlerContext): AsyncGenerator<SubscribeResponse> {
    const stream = this.subscribeRequests.push(request) - 1;
    if (this.script !== undefined) {
      yield* this.script(request, stream, context);
      return;
    }
    let count = 0;
    for await (const response of this.#deliver(request, context.signal)) {
      const fate = this.streamFate(stream, count++);
      if (fate === "cut") throw new ConnectError("cut", Code.Unavailable);
      if (fate === "end-without-end") return;
      yield response;
    }
  }

  async *#deliver(
    { agentId, channels, start, echo }: SubscribeRequest,
    signal: AbortSignal,
  ): AsyncGenerator<SubscribeResponse> {
    const next = new Map<string, number>();
    for (const channel of channels)
      next.set(
        channel,
        start.case === "resume" || start.case === "earliest" ? 0 : (this.log.get(channel)?.length ?? 0),
      );
    if (start.case === "resume") {
      for (const position of start.value.positions) {
        const [channel, sequence] = parsePosition(position);
        if (next.has(channel)) next.set(channel, sequence);
      }
    }
    yield opened([...next].map(([channel, sequence]) => positionOf(channel, sequence)));
    for (;;) {
      let idle = true;
      for (const [channel, from] of next) {
        const read = (this.log.get(channel) ?? []).slice(from, from + this.batch);
        if (read.length === 0) continue;
        idle = false;
        next.set(channel, from + read.length);
        const messages = read.filter((message) => echo || message.sender !== agentId);
        yield create(SubscribeResponseSchema, { messages, positions: [positionOf(channel, from + read.length)] });
      }
      if (!idle) continue;
      await Promise.race([new Promise<void>((resolve) => this.#wake.push(resolve)), left(signal)]);
      if (signal.aborted) return;
    }
  }
}

export function opened(positions: readonly string[], heartbeatIntervalMs = 15_000): SubscribeResponse {
  return create(SubscribeResponseSchema, {
    opened: { nodeId: "fake", heartbeatInterval: durationFromMs(heartbeatIntervalMs) },
    positions: [...positions],
    serverTime: timestampNow(),
  });
}

export function delivery(
  channel: string,
  first: number,
  text: string,
  more: MessageInitShape<typeof SubscribeResponseSchema> = {},
): SubscribeResponse {
  const [room, name] = split(channel);
  const payload = { case: "text" as const, value: text };
  const message = create(MessageSchema, {
    id: `${channel}-${first}`,
    room,
    channel: name,
    sender: "bob",
    sequence: BigInt(first),
    epoch: EPOCH,
    payload,
  });
  const response = create(SubscribeResponseSchema, more);
  response.messages = [message];
  response.positions = [positionOf(channel, first)];
  return response;
}

export function positionOf(channel: string, sequence: number): string {
  return `${channel}@${EPOCH.toString(16).padStart(8, "0")}.${sequence}`;
}

/** A failed call as the bus tells it. */
export function failure(
  reason: Reason,
  { index, retryDelayMs }: { index?: number; retryDelayMs?: number } = {},
): ConnectError {
  const { code } = REASONS[reason];
  const metadata: Record<string, string> = index === undefined ? {} : { index: `${index}` };
  const details = [{ desc: ErrorInfoSchema, value: { reason, domain: "agentbus", metadata } }];
  const error = new ConnectError(`${reason} on purpose`, CODES[code] as Code, undefined, details);
  if (retryDelayMs !== undefined)
    error.details.push({ desc: RetryInfoSchema, value: { retryDelay: durationFromMs(retryDelayMs) } });
  return error;
}

/** Resolves when the call is left. */
export function left(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener("abort", () => resolve(), { once: true });
  });
}

export function encodedSize(request: PublishRequest): number {
  return request.messages.reduce((sum, message) => sum + toBinary(MessageSchema, message).byteLength, 0);
}

function refusal(
  requestId: number,
  reason: Reason,
  { index, retryDelayMs }: { index?: number; retryDelayMs?: number } = {},
): PublishStreamResponse {
  const { code, retry } = REASONS[reason];
  const error = create(ErrorSchema, {
    code: CODES[code],
    reason,
    message: `${reason} on purpose`,
    metadata: { retry, ...(index === undefined ? {} : { index: `${index}` }) },
  });
  if (retryDelayMs !== undefined) error.retryDelay = durationFromMs(retryDelayMs);
  return create(PublishStreamResponseSchema, { requestId, result: { case: "error", value: error } });
}

function split(channel: string): [room: string, channel: string] {
  const colon = channel.indexOf(":");
  return [channel.slice(0, colon), channel.slice(colon + 1)];
}

function parsePosition(position: string): [channel: string, sequence: number] {
  const at = position.lastIndexOf("@");
  return [position.slice(0, at), Number(position.slice(position.lastIndexOf(".") + 1))];
}
