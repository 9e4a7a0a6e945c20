import { create, fromBinary, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import { type SubscribeResponse, SubscribeResponseSchema } from "../../gen/agentbus/v1/bus_service_pb.ts";
import { type Message, MessageSchema } from "../../gen/agentbus/v1/message_pb.ts";
import { type Bus, createBus } from "../../src/bus/bus.ts";
import type { PublishOutcome } from "../../src/bus/publishing/publisher.ts";
import type { Subscription } from "../../src/bus/reading/subscription.ts";
import type { SubscribeInput } from "../../src/bus/reading/subscriptions.ts";
import { type BusOptions, DEFAULT_BUS_OPTIONS, type Limits } from "../../src/core/bus-options.ts";
import type { Filter } from "../../src/core/filter.ts";
import { FRAME_HEADER_BYTES } from "../../src/core/message-codec.ts";
import { parseChannelName } from "../../src/core/names.ts";
import { createMeters, type ReadableMeters } from "../../src/observability/meters.ts";
import { RoutingRegistry } from "../../src/routing/routing-registry.ts";
import { createMemoryStorage } from "../../src/storage/memory/index.ts";
import type { MessageLog } from "../../src/storage/message-log.ts";
import { createMessageCodec } from "../../src/wire/message-codec.ts";
import { createFakeClock, type FakeClock } from "./fake-clock.ts";
import { type LogLine, recordingLogger } from "./registry-fixture.ts";
import type { SharedBackend } from "./shared-backend.ts";

export interface TestBusOptions extends Partial<Omit<BusOptions, "limits">> {
  readonly limits?: Partial<Limits>;
  /** Messages kept of one channel. Default: 10,000. */
  readonly ringSize?: number;
  readonly routing?: RoutingRegistry;
  /** Puts something between the bus and its log: slow, failing, watched. */
  readonly wrapLog?: (log: MessageLog) => MessageLog;
  /** One of several nodes over this; `wrapLog` is the backend's then. Unset: a memory storage of its own. */
  readonly backend?: SharedBackend;
  /** Unset: "uuid-" and a number, each greater than the one before. */
  readonly uuid?: (nowMs: number) => string;
}

/** What a message says: its text, or every field. */
export type Said = string | MessageInitShape<typeof MessageSchema>;

/** A whole bus over the memory storage, on a clock that the test moves. */
export interface TestBus extends Omit<Bus, "clock"> {
  readonly clock: FakeClock;
  readonly meters: ReadableMeters;
  readonly lines: readonly LogLine[];
  /** `channel` is "room:channel", or "" for the inbox of the only recipient. */
  say(agentId: string, channel: string, ...said: readonly Said[]): Promise<PublishOutcome>;
  /** Opens a subscription and takes its first response. Default: agent "reader", channels as given, from now on. */
  read(input?: Partial<SubscribeInput>): Promise<Reader>;
  /** Everything that can happen without time passing has happened. */
  settle(): Promise<void>;
}

export const NO_FILTER: Filter = {
  types: [],
  names: [],
  senders: [],
  sessionIds: [],
  correlationIds: [],
  metadata: {},
  minPriority: 0,
  directOnly: false,
};

export async function openBus(settings: TestBusOptions = {}): Promise<TestBus> {
  const {
    limits,
    ringSize,
    routing = new RoutingRegistry(),
    wrapLog = (log) => log,
    backend,
    uuid,
    ...rest
  } = settings;
  const clock = backend?.clock ?? createFakeClock();
  const lines: LogLine[] = [];
  const logger = recordingLogger(lines);
  let drawn = 0;
  const random = {
    uuid: uuid ?? (() => `uuid-${String(backend?.epoch() ?? ++drawn).padStart(9, "0")}`),
    epoch: () => backend?.epoch() ?? ++drawn,
  };
  const memory = createMemoryStorage(ringSize === undefined ? {} : { ringSize }, {
    now: clock.now,
    randomEpoch: random.epoch,
    log: logger,
  });
  const storage = backend?.open() ?? { ...memory, log: wrapLog(memory.log) };
  const options = { ...DEFAULT_BUS_OPTIONS, ...rest, limits: { ...DEFAULT_BUS_OPTIONS.limits, ...limits } };
  const meters = createMeters({ process: false });
  const bus = await createBus({
    options,
    storage,
    volatileStorage: storage.relay === undefined ? storage : memory,
    codec: createMessageCodec(options.limits),
    routing,
    clock,
    random,
    logger,
    meters,
  });
  const settle = async () => {
    // Over the memory storage one real turn of the event loop runs every promise that can be settled.
    do await nextTurn();
    while (clock.flush() > 0);
    await nextTurn();
  };
  return {
    ...bus,
    clock,
    meters,
    lines,
    settle,
    say: (agentId, channel, ...said) => {
      const name = channel === "" ? { room: "", channel: "" } : parseChannelName(channel);
      return bus.publisher.publish({ agentId, room: name.room, channel: name.channel, messages: said.map(encode) });
    },
    async read(input = {}) {
      const reader = new Reader(await bus.subscriptions.open(subscribeInput(input)), settle);
      reader.pull(1);
      return reader;
    },
  };
}

export function subscribeInput(input: Partial<SubscribeInput> = {}): SubscribeInput {
  return {
    agentId: "reader",
    channels: [],
    patterns: [],
    start: { kind: "new" },
    filter: undefined,
    echo: false,
    observe: false,
    exclusive: "",
    failOnGap: false,
    maxMessages: 0,
    heartbeatMs: undefined,
    ...input,
  };
}

/** As a client encodes it. */
export function encode(said: Said): Uint8Array {
  const init = typeof said === "string" ? { payload: { case: "text" as const, value: said } } : said;
  return toBinary(MessageSchema, create(MessageSchema, init));
}

/** What a message says, for short comparisons. */
export function textOf(message: Message): string {
  return message.payload.case === "text" ? message.payload.value : "";
}

/** The client's side of one subscription: takes frames when it is told to, and remembers what it was told. */
export class Reader {
  readonly subscription: Subscription;
  readonly responses: SubscribeResponse[] = [];
  /** The newest position of each channel: where a client would resume. */
  readonly positions = new Map<string, string>();
  #ready = false;
  readonly #settle: () => Promise<void>;

  constructor(subscription: Subscription, settle: () => Promise<void>) {
    this.subscription = subscription;
    this.#settle = settle;
    subscription.onReady = () => {
      this.#ready = true;
    };
  }

  /** Takes what is there now, at most so many frames. */
  pull(max = Number.POSITIVE_INFINITY): readonly SubscribeResponse[] {
    const taken: SubscribeResponse[] = [];
    while (taken.length < max) {
      const frame = this.subscription.next();
      if (frame === undefined) break;
      const response = fromBinary(SubscribeResponseSchema, frame.subarray(FRAME_HEADER_BYTES));
      for (const position of response.positions) {
        this.positions.set(position.slice(0, position.lastIndexOf("@")), position);
      }
      taken.push(response);
    }
    this.responses.push(...taken);
    return taken;
  }

  /** Takes everything that comes without time passing, and answers its texts. */
  async take(): Promise<readonly string[]> {
    const from = this.responses.length;
    do {
      await this.#settle();
      this.#ready = false;
      this.pull();
      await this.#settle();
    } while (this.#ready);
    return this.responses.slice(from).flatMap(({ messages }) => messages.map(textOf));
  }

  get first(): SubscribeResponse {
    return this.responses[0]!;
  }

  get last(): SubscribeResponse | undefined {
    return this.responses.at(-1);
  }

  get messages(): readonly Message[] {
    return this.responses.flatMap(({ messages }) => messages);
  }

  get texts(): readonly string[] {
    return this.messages.map(textOf);
  }

  /** As "first-last cause"; causes by number. */
  get gaps(): readonly string[] {
    return this.responses.flatMap(({ gaps }) =>
      gaps.map(({ firstSequence, lastSequence, cause }) => `${firstSequence}-${lastSequence} ${cause}`),
    );
  }

  get caughtUpTimes(): number {
    return this.responses.filter(({ caughtUp }) => caughtUp).length;
  }

  /** For `start` of a new subscription that goes on where this one stopped. */
  get resume(): SubscribeInput["start"] {
    return { kind: "resume", positions: [...this.positions.values()] };
  }
}

/** A log that passes everything on but what a test replaces. */
export function overLog(inner: MessageLog, replaced: Partial<MessageLog>): MessageLog {
  return {
    create: (...args) => inner.create(...args),
    state: (...args) => inner.state(...args),
    append: (...args) => inner.append(...args),
    ends: (...args) => inner.ends(...args),
    read: (...args) => inner.read(...args),
    findId: (...args) => inner.findId(...args),
    findTime: (...args) => inner.findTime(...args),
    fence: (...args) => inner.fence(...args),
    renewEpoch: (...args) => inner.renewEpoch(...args),
    trim: (...args) => inner.trim(...args),
    delete: (...args) => inner.delete(...args),
    ...replaced,
  };
}

const nextTurn = () => new Promise<void>((resolve) => setImmediate(resolve));
