/**
 * Carries out the steps of ../sdk/observed.ts with the TypeScript SDK: over gRPC, or over fetch when its argument says
 * "fetch".
 */
import { readFile, rename, writeFile } from "node:fs/promises";
import { createInterface } from "node:readline";
import { AgentBus as FetchBus } from "agentbus";
import {
  type Agent,
  type AgentBusOptions,
  type AgentChange,
  type AgentRecord,
  type AskOptions,
  BusError,
  ClosedError,
  type Content,
  type FetchOptions,
  AgentBus as GrpcBus,
  type Message,
  type PositionStore,
  type Receipt,
  type Subscription,
  SubscriptionEnded,
  type SubscriptionEvent,
} from "agentbus/node";
import { AgentKind, AgentState } from "../../../gen/agentbus/v1/agent_pb.ts";
import type {
  ObservedAgent,
  ObservedError,
  ObservedEvent,
  ObservedMessage,
  ObservedPage,
  ObservedReceipt,
  Payload,
} from "../sdk/observed.ts";

type Options = Readonly<Record<string, unknown>>;

interface Step {
  readonly step: number;
  readonly do: string;
  readonly bus: number;
  readonly agent: string;
  readonly on: number;
  readonly channel: string;
  readonly content: Payload;
  readonly options: Options;
  readonly [argument: string]: unknown;
}

interface Reading {
  readonly subscription: Subscription;
  readonly next: () => Promise<ObservedEvent>;
  readonly abort: AbortController;
}

const Bus = process.argv[2] === "fetch" ? FetchBus : GrpcBus;
const MAX_MESSAGES_TO_REPLY_TO = 1_000;

const buses = new Map<number, InstanceType<typeof GrpcBus>>();
const readings = new Map<number, Reading>();
const watches = new Map<number, AsyncGenerator<AgentChange>>();
const messages = new Map<string, Message>();
const underWay = new Map<number, AbortController>();
let handles = 0;

const busOf = ({ bus }: Step) => buses.get(bus)!;
const agentOf = (step: Step): Agent => busOf(step).agent(step.agent);

const STEPS: Readonly<Record<string, (step: Step, abort: AbortController) => unknown>> = {
  open({ options }) {
    const { positionsFile, ...rest } = options;
    const positions = typeof positionsFile === "string" ? { positions: filePositions(positionsFile) } : {};
    const backoff = { initialMs: 20, maxMs: 500 };
    buses.set(++handles, new Bus({ backoff, onWarning: () => {}, ...rest, ...positions } as AgentBusOptions));
    return handles;
  },
  close: (step) => busOf(step).close(),
  url: (step) => busOf(step).url,
  ping: async (step) => (await busOf(step).ping()).nodeId,
  profile: (step) => void busOf(step).agent(step.agent, step.options),

  join: async (step) => (await agentOf(step).join(step.channel)).channel,
  leave: (step) => agentOf(step).leave(step.channel),
  register: async (step) => observeAgent(await agentOf(step).register(step.options)),
  update: async (step) => observeAgent(await agentOf(step).update(step.options)),
  heartbeat: (step) => agentOf(step).heartbeat(step.options),
  disconnect: (step) => agentOf(step).disconnect(),
  flush: (step) => agentOf(step).flush(),
  closeAgent: (step) => agentOf(step).close(),

  send: async (step, { signal }) =>
    observeReceipt(await agentOf(step).send(contentOf(step), { ...step.options, signal })),
  reply: async (step) => {
    const message = messages.get(String(step["position"]))!;
    return observeReceipt(await message.reply(contentOf(step), step.options));
  },
  ask: async (step, { signal }) => {
    const options = { ...step.options, signal } as AskOptions & { readonly answers: number };
    const answers: Message | Message[] = await agentOf(step).ask(contentOf(step), options);
    return [answers].flat().map(observeMessage);
  },
  fetch: async (step, { signal }): Promise<ObservedPage> => {
    const page = await agentOf(step).fetch(step.channel, { ...fetchOptions(step.options), signal });
    const gaps = page.gaps.map((gap) => ({ ...gap, lastSequence: gap.lastSequence ?? null }));
    return { ...page, messages: page.messages.map(observeMessage), gaps };
  },
  history: async (step) => {
    const history = await Array.fromAsync(agentOf(step).history(step.channel, fetchOptions(step.options)));
    return history.map(observeMessage);
  },
  getMessage: async (step) => observeMessage(await agentOf(step).getMessage(step["which"] as string)),

  subscribe(step) {
    const { events, start, ...options } = step.options;
    const abort = new AbortController();
    const subscription = agentOf(step).subscribe({ ...options, ...revived({ start }), signal: abort.signal });
    const reader = events === true ? observeEvents(subscription.events()) : observeMessages(subscription);
    readings.set(++handles, { subscription, next: reader, abort });
    return handles;
  },
  ready: async ({ on }) => void (await readings.get(on)!.subscription.ready()),
  next({ on }, { signal }) {
    const { abort, next } = readings.get(on)!;
    signal.addEventListener("abort", () => abort.abort(signal.reason), { once: true });
    return next();
  },
  positions: ({ on }) => readings.get(on)!.subscription.positions(),
  closeSubscription: ({ on }) => readings.get(on)!.subscription.close(),

  watchAgents(step) {
    watches.set(++handles, busOf(step).agents.watch(step.options));
    return handles;
  },
  nextChange: async ({ on }) => {
    const { value, done } = await watches.get(on)!.next();
    return done === true ? null : { change: value.change, agent: observeAgent(value.agent) };
  },
  closeWatch: async ({ on }) => void (await watches.get(on)!.return(undefined)),
  getAgent: async (step) => observeAgent(await busOf(step).agents.get(step.agent)),
  listAgents: async (step) => (await Array.fromAsync(busOf(step).agents.list(step.options))).map(observeAgent),
  createChannel: async (step) => void (await busOf(step).channels.create(step.channel, step.options)),
  updateChannel: async (step) => (await busOf(step).channels.update(step.channel, step.options)).effectivePosition,
  deleteChannel: (step) => busOf(step).channels.delete(step.channel),
  listChannels: async (step) =>
    (await Array.fromAsync(busOf(step).channels.list(step.options))).map(({ room, channel }) => `${room}:${channel}`),
  members: async (step) =>
    (await Array.fromAsync(busOf(step).channels.members(step.channel))).map(({ agentId }) => agentId),
  createRoom: async (step) => void (await busOf(step).rooms.create(String(step["room"]), step.options)),
};

function contentOf({ content }: Step): Content {
  if ("text" in content) return content["text"] as string;
  if ("bytes" in content) return Buffer.from(content["bytes"] as string, "base64");
  return "json" in content ? (content["json"] as Content) : undefined;
}

/** JSON has no instants. */
function revived({ start }: Options): Options {
  if (typeof start !== "object" || start === null) return start === undefined ? {} : { start };
  if ("since" in start) return { start: { since: new Date(String(start.since)) } };
  return { start: "time" in start ? { time: new Date(String(start.time)) } : start };
}

function fetchOptions({ start, ...options }: Options): FetchOptions {
  return { ...options, ...revived({ start }) };
}

function observeMessages(subscription: Subscription): () => Promise<ObservedEvent> {
  return async () => {
    const { value, done } = await subscription.next();
    return done === true ? { type: "done" } : { type: "message", message: observeMessage(value) };
  };
}

function observeEvents(events: AsyncGenerator<SubscriptionEvent>): () => Promise<ObservedEvent> {
  return async () => {
    const { value, done } = await events.next();
    if (done === true) return { type: "done" };
    if (value.type === "message") return { type: "message", message: observeMessage(value.message) };
    if (value.type === "opened") return value;
    if (value.type !== "gap") return { type: value.type };
    return { type: "gap", gap: { ...value.gap, lastSequence: value.gap.lastSequence ?? null } };
  };
}

function observeMessage(message: Message): ObservedMessage {
  messages.set(message.position, message);
  if (messages.size > MAX_MESSAGES_TO_REPLY_TO) messages.delete(messages.keys().next().value!);
  const { id, position, sequence, epoch, sender, address, direct, type, name, contentType } = message;
  const { metadata, priority, correlationId, causation, replyTo, hopCount } = message;
  const identity = { id, position, sequence, epoch, sender, address, direct, type, name, contentType };
  const acceptedAt = message.acceptedAt?.toISOString() ?? "";
  const content = payloadOf(message.content);
  return { ...identity, metadata, priority, correlationId, causation, replyTo, hopCount, acceptedAt, content };
}

function payloadOf(content: unknown): Payload {
  if (content === undefined) return {};
  if (typeof content === "string") return { text: content };
  return content instanceof Uint8Array ? { bytes: Buffer.from(content).toString("base64") } : { json: content };
}

function observeReceipt({ audience, ...receipt }: Receipt): ObservedReceipt {
  return { ...receipt, audience: audience ?? null };
}

function observeAgent(agent: AgentRecord): ObservedAgent {
  const { agentId, screenName, description, groups, labels } = agent;
  const nameOf = (names: object, value: number) => Object.entries(names).find(([, number]) => number === value)![0];
  return {
    ...{ agentId, screenName, description, groups, labels },
    kind: nameOf(AgentKind, agent.kind),
    state: nameOf(AgentState, agent.state),
    capabilities: agent.capabilities.map(({ name }) => name),
  };
}

function observeError(error: unknown): ObservedError {
  const message = error instanceof Error ? error.message : String(error);
  if (error instanceof BusError) {
    const { code, reason, retry, retryDelayMs, index } = error;
    const violations = error.violations.map(({ field }) => field);
    const hasRetryDelay = retryDelayMs !== undefined;
    return { kind: "BusError", code, reason, retry, hasRetryDelay, index: index ?? null, violations, message };
  }
  if (error instanceof SubscriptionEnded)
    return { kind: "SubscriptionEnded", reason: error.reason, channel: error.channel ?? "", message };
  if (error instanceof ClosedError) return { kind: "ClosedError", message };
  if (error instanceof Error && error.name === "AbortError") return { kind: "Cancelled", message };
  if (error instanceof TypeError || error instanceof RangeError) return { kind: "Usage", message };
  return { kind: "Unexpected", message: error instanceof Error ? String(error.stack) : message };
}

/** Replaced in one step, so that a killed program leaves the old positions or the new ones. */
function filePositions(file: string): PositionStore {
  const read = async () => JSON.parse(await readFile(file, "utf8").catch(() => "{}")) as Record<string, string[]>;
  return {
    load: async (name) => (await read())[name],
    async save(name, positions) {
      await writeFile(`${file}.new`, JSON.stringify({ ...(await read()), [name]: positions }));
      await rename(`${file}.new`, file);
    },
  };
}

function say(answer: object): void {
  process.stdout.write(`${JSON.stringify(answer)}\n`);
}

async function carryOut(step: Step): Promise<void> {
  const abort = new AbortController();
  underWay.set(step.step, abort);
  try {
    say({ step: step.step, result: (await STEPS[step.do]!(step, abort)) ?? null });
  } catch (error) {
    say({ step: step.step, error: observeError(error) });
  } finally {
    underWay.delete(step.step);
  }
}

createInterface({ input: process.stdin })
  .on("line", (line) => {
    const step = JSON.parse(line) as Step & { readonly cancel?: number };
    if (step.cancel === undefined) void carryOut(step);
    else underWay.get(step.cancel)?.abort();
  })
  .on("close", () => process.exit(0));
