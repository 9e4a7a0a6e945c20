import { durationMs, timestampDate } from "@bufbuild/protobuf/wkt";
import { formatPosition, INBOX_ROOM } from "./address.ts";
import { type Content, isJson } from "./content.ts";
import { type MessageTypeName, messageTypes } from "./enums.ts";
import type { Message as MessageProto } from "./gen/agentbus/v1/message_pb.ts";
import type { SendOptions } from "./outgoing.ts";
import type { Receipt } from "./receipt.ts";

/** Sends for the agent that read a message. */
export interface Replier {
  send(content: Content, options: SendOptions): Promise<Receipt>;
}

/** A message as it was read. */
export class Message {
  /** As it came over the wire. */
  readonly raw: MessageProto;
  readonly #replier: Replier;

  constructor(raw: MessageProto, replier: Replier) {
    this.raw = raw;
    this.#replier = replier;
  }

  get id(): string {
    return this.raw.id;
  }

  /** "after this message": what to store in order to read on behind it. */
  get position(): string {
    return formatPosition(this.raw.room, this.raw.channel, this.raw.epoch, this.raw.sequence);
  }

  /** Who said it: the identity that the bus vouches for. */
  get sender(): string {
    return this.raw.sender;
  }

  get room(): string {
    return this.raw.room;
  }

  get channel(): string {
    return this.raw.channel;
  }

  /** "room:channel"; "_inbox:agent" when it came by inbox. */
  get address(): string {
    return `${this.raw.room}:${this.raw.channel}`;
  }

  /** True when it came by inbox. */
  get direct(): boolean {
    return this.raw.room === INBOX_ROOM;
  }

  /** `unknown`: a type of a newer bus. */
  get type(): MessageTypeName | "unknown" {
    return messageTypes.fromProto(this.raw.type);
  }

  /** Of the event, command or result; empty: none. */
  get name(): string {
    return this.raw.name;
  }

  /** The text; bytes are read as UTF-8. Empty when there is no payload. */
  get text(): string {
    const { payload } = this.raw;
    if (payload.case === "text") return payload.value;
    return payload.case === "data" ? new TextDecoder().decode(payload.value) : "";
  }

  /** The bytes; text is encoded as UTF-8. */
  get data(): Uint8Array {
    const { payload } = this.raw;
    if (payload.case === "data") return payload.value;
    return new TextEncoder().encode(payload.case === "text" ? payload.value : "");
  }

  /** The payload as JSON, whatever its content type. Not checked against T. Throws SyntaxError when it is not JSON. */
  json<T = unknown>(): T {
    try {
      return JSON.parse(this.text) as T;
    } catch (cause) {
      throw new SyntaxError(
        `message ${this.position} from ${this.sender} is not JSON (content type ${JSON.stringify(this.contentType)})`,
        { cause },
      );
    }
  }

  /** What was given to `send`: JSON is parsed, text is a string, other bytes are bytes, no payload is undefined. */
  get content(): unknown {
    if (this.raw.payload.case === undefined) return undefined;
    return isJson(this.contentType) ? this.json() : this.raw.payload.value;
  }

  /** The media type; the default of the payload when the sender gave none. */
  get contentType(): string {
    const { payload, contentType } = this.raw;
    if (contentType !== "" || payload.case === undefined) return contentType;
    return payload.case === "text" ? "text/plain" : "application/octet-stream";
  }

  get metadata(): Readonly<Record<string, string>> {
    return this.raw.metadata;
  }

  /** 0 to 9 (most urgent). */
  get priority(): number {
    return this.raw.priority;
  }

  /** Names the conversation; empty: none. */
  get correlationId(): string {
    return this.raw.correlationId;
  }

  /** The position of the message that made its sender say it; empty: none. */
  get causation(): string {
    return this.raw.causation;
  }

  /** Where answers shall go; empty: not said. */
  get replyTo(): string {
    return this.raw.replyTo;
  }

  get orderingKey(): string {
    return this.raw.orderingKey;
  }

  get sessionId(): string {
    return this.raw.sessionId;
  }

  get schema(): string {
    return this.raw.schema;
  }

  get traceparent(): string {
    return this.raw.traceparent;
  }

  /** Its place in the channel: from 1, without holes. */
  get sequence(): number {
    return Number(this.raw.sequence);
  }

  /** Which incarnation of the log it belongs to; compare for equality only. */
  get epoch(): number {
    return this.raw.epoch;
  }

  /** When the bus took it, by the store's clock. */
  get acceptedAt(): Date | undefined {
    return this.raw.acceptTime && timestampDate(this.raw.acceptTime);
  }

  /** In milliseconds from `acceptedAt` on. */
  get timeToLiveMs(): number | undefined {
    return this.raw.timeToLive && durationMs(this.raw.timeToLive);
  }

  /** How many messages led to it: 0 for a root. */
  get hopCount(): number {
    return this.raw.hopCount;
  }

  /**
   * Answers it: to `replyTo` when the sender named one, to the sender's inbox when it came by inbox, else in the same
   * channel, to the sender alone when the message was for chosen readers. The answer carries this message's position as
   * its cause, so that the bus can stop loops, and repeats the correlation id (the message's id when it had none).
   */
  reply(content: Content, options: SendOptions = {}): Promise<Receipt> {
    return this.#replier.send(content, { ...this.#replyOptions(options), ...options });
  }

  #replyOptions({ channel, to }: SendOptions): SendOptions {
    const { raw } = this;
    const thread: SendOptions = {
      causation: this.position,
      correlationId: raw.correlationId === "" ? raw.id : raw.correlationId,
      ...(this.type === "command" ? { type: "result" } : {}),
    };
    if (channel !== undefined || to !== undefined) {
      // An inbox cannot be written to as a channel: with other readers chosen, the answer goes to their inboxes.
      const elsewhere = channel === undefined && !this.direct ? { channel: this.address } : {};
      return { ...thread, ...elsewhere };
    }
    if (raw.replyTo.startsWith(`${INBOX_ROOM}:`)) return { ...thread, to: raw.replyTo.slice(INBOX_ROOM.length + 1) };
    if (raw.replyTo !== "") return { ...thread, channel: raw.replyTo };
    if (this.direct) return { ...thread, to: raw.sender };
    return { ...thread, channel: this.address, ...(raw.to === undefined ? {} : { to: raw.sender }) };
  }
}
