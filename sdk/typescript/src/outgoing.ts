import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { durationFromMs } from "@bufbuild/protobuf/wkt";
import { type Address, INBOX_ROOM, parseAddress } from "./address.ts";
import { type Content, encodeContent } from "./content.ts";
import { type AgentKindName, agentKinds, type MessageTypeName, messageTypes } from "./enums.ts";
import {
  type Message as MessageProto,
  MessageSchema,
  type Recipients as RecipientsProto,
  RecipientsSchema,
} from "./gen/agentbus/v1/message_pb.ts";
import { uuidv7 } from "./uuid.ts";

/** Who shall read a message: the union of the three. */
export interface Recipients {
  /** By id, at most 1,000. */
  readonly agents?: readonly string[];
  /** All agents that are in one of these groups now, at most 100 groups. */
  readonly groups?: readonly string[];
  /** All agents that fit now; every part that is given must hold. */
  readonly select?: {
    readonly kinds?: readonly AgentKindName[];
    readonly labels?: Readonly<Record<string, string>>;
    readonly capabilities?: readonly string[];
    /** At most so many of them, in turn, those online first. Default 0: all. 0 to 1,000. */
    readonly limit?: number;
  };
}

/** How a message is sent. Whatever is left out has the bus's default. */
export interface SendOptions {
  /** "room:channel". Left out with one agent in `to`: that agent's inbox. Left out without `to`: the one channel that this Agent joined. */
  readonly channel?: string;
  /** Who shall read it: an agent, several, or a description. Left out: the channel's routing decides. Empty: refused by the bus. */
  readonly to?: string | readonly string[] | Recipients;
  /** Default "message". */
  readonly type?: MessageTypeName;
  /** Of the event, command or result, at most 128 bytes. */
  readonly name?: string;
  /** Free key-value pairs, at most 64 and 8 KiB. */
  readonly metadata?: Readonly<Record<string, string>>;
  /** 0 (default) to 9 (most urgent). */
  readonly priority?: number;
  /** The media type of the content. Default: by the content. */
  readonly contentType?: string;
  /** 1 to 128 bytes of printable ASCII. Default: a new UUIDv7. */
  readonly id?: string;
  /** The same key with the same content is stored once within the channel's dedup window (2 min by default). Default: the id. */
  readonly idempotencyKey?: string;
  readonly orderingKey?: string;
  /** Names the conversation. */
  readonly correlationId?: string;
  /** The position of the message that made you say this one. */
  readonly causation?: string;
  /** Where answers shall go, "room:channel" or "_inbox:agent". */
  readonly replyTo?: string;
  /** After so many milliseconds nobody is shown it any more. 1 to 366 days. */
  readonly timeToLiveMs?: number;
  /** A W3C trace context. */
  readonly traceparent?: string;
  readonly sessionId?: string;
  readonly schema?: string;
  /** Gives up waiting. The message may have been stored. */
  readonly signal?: AbortSignal;
  /**
   * How long to go on trying, in milliseconds. Then the promise fails with DEADLINE; the message may have been stored.
   * Default: the bus's `sendTimeoutMs` (60,000). Infinity: no limit; a resend after more than the channel's dedup window
   * may then be stored twice.
   */
  readonly timeoutMs?: number;
}

/** A message on its way to one channel, or to one inbox. */
export interface Outgoing {
  readonly message: MessageProto;
  /** Both empty: the inbox of the one agent in `to`. */
  readonly room: string;
  readonly channel: string;
  /** What may share a request: messages with the same one. */
  readonly destination: string;
  /** At least the encoded size. */
  readonly bytes: number;
}

/** `defaultChannel` is asked only when the options name neither a channel nor recipients. */
export function composeMessage(content: Content, options: SendOptions, defaultChannel: () => string): Outgoing {
  const { payload, contentType } = encodeContent(content);
  const message = create(MessageSchema, {
    id: options.id ?? uuidv7(),
    type: options.type === undefined ? 0 : messageTypes.toProto(options.type),
    name: options.name ?? "",
    payload,
    contentType: options.contentType ?? contentType,
    metadata: { ...options.metadata },
    priority: options.priority ?? 0,
    idempotencyKey: options.idempotencyKey ?? "",
    orderingKey: options.orderingKey ?? "",
    correlationId: options.correlationId ?? "",
    causation: options.causation ?? "",
    replyTo: options.replyTo ?? "",
    traceparent: options.traceparent ?? "",
    sessionId: options.sessionId ?? "",
    schema: options.schema ?? "",
  });
  if (options.to !== undefined) message.to = recipientsToProto(options.to);
  if (options.timeToLiveMs !== undefined) message.timeToLive = durationFromMs(options.timeToLiveMs);
  const address = destinationOf(options, message.to, defaultChannel);
  return { message, ...address, bytes: sizeBound(message) };
}

function destinationOf(
  { channel }: SendOptions,
  to: RecipientsProto | undefined,
  defaultChannel: () => string,
): Address & { destination: string } {
  const text = channel ?? (to === undefined ? defaultChannel() : undefined);
  // An inbox is written to by naming its agent, never by its channel; replies to one come with such an address.
  if (text?.startsWith(`${INBOX_ROOM}:`))
    throw new TypeError(`channel ${JSON.stringify(text)}: write to an inbox with \`to\` and without a channel`);
  if (text !== undefined) return { ...parseAddress(text), destination: text };
  return { room: "", channel: "", destination: `${INBOX_ROOM}:${to?.agents[0] ?? ""}` };
}

export function recipientsToProto(to: NonNullable<SendOptions["to"]>): RecipientsProto {
  if (typeof to === "string") return create(RecipientsSchema, { agents: [to] });
  if (isList(to)) return create(RecipientsSchema, { agents: [...to] });
  const init: MessageInitShape<typeof RecipientsSchema> = {
    agents: [...(to.agents ?? [])],
    groups: [...(to.groups ?? [])],
  };
  if (to.select === undefined) return create(RecipientsSchema, init);
  const { kinds = [], labels = {}, capabilities = [], limit = 0 } = to.select;
  return create(RecipientsSchema, {
    ...init,
    select: { kinds: kinds.map(agentKinds.toProto), labels: { ...labels }, capabilities: [...capabilities], limit },
  });
}

function isList(to: readonly string[] | Recipients): to is readonly string[] {
  return Array.isArray(to);
}

// A UTF-16 unit takes at most three bytes of UTF-8. Exact sizes would cost an encoding of each message, and are needed
// for nothing: the bound only cuts batches and holds the outbox's memory.
const BYTES_PER_UNIT = 3;
const TAGS_AND_LENGTHS_BYTES = 128;

function sizeBound(message: MessageProto): number {
  const { payload, metadata, to } = message;
  let units = message.id.length + message.name.length + message.contentType.length + message.schema.length;
  units += message.idempotencyKey.length + message.orderingKey.length + message.correlationId.length;
  units += message.causation.length + message.replyTo.length + message.traceparent.length + message.sessionId.length;
  let bytes = TAGS_AND_LENGTHS_BYTES;
  if (payload.case === "text") units += payload.value.length;
  if (payload.case === "data") bytes += payload.value.byteLength;
  for (const [key, value] of Object.entries(metadata)) {
    units += key.length + value.length;
    bytes += 12;
  }
  for (const name of to === undefined ? [] : recipientNames(to)) {
    units += name.length;
    bytes += 4;
  }
  return bytes + units * BYTES_PER_UNIT;
}

function recipientNames({ agents, groups, select }: RecipientsProto): string[] {
  return [...agents, ...groups, ...(select?.capabilities ?? []), ...Object.entries(select?.labels ?? {}).flat()];
}
