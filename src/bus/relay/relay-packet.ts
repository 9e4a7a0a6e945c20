import type { Audience } from "../../core/message.ts";
import { type ChannelName, channelName } from "../../core/names.ts";
import type { AppendRecord } from "../../storage/message-log.ts";

/** What one node stored in one channel, in order. */
export interface RelayedBatch {
  readonly name: ChannelName;
  readonly incarnation: string;
  /** The configuration version by which the records were routed. */
  readonly version: number;
  readonly records: readonly AppendRecord[];
}

export interface RelayPacket {
  /** One life of one node. */
  readonly origin: string;
  /** Counts the origin's packets, from 1. A packet without batches has the number of the last one that had some. */
  readonly number: number;
  readonly batches: readonly RelayedBatch[];
}

/** Nodes of another version of the format do not understand each other's packets, and say so. */
const FORMAT = 1;
const NO_AUDIENCE = 0xffff_ffff;

/** Bytes that a record takes in a packet, at most. */
export function relayedBytes({ id, sender, idempotencyKey, audience, body }: AppendRecord): number {
  let characters = id.length + sender.length + idempotencyKey.length;
  // UTF-16 to UTF-8 makes three bytes of one unit at most.
  for (const agent of audience ?? []) characters += agent.length + 2;
  return 64 + 3 * characters + body.length;
}

/** Numbers are big-endian; strings are UTF-8 behind their length. */
export function encodeRelayPacket({ origin, number, batches }: RelayPacket): Uint8Array {
  let size = 64 + 3 * origin.length;
  for (const { name, incarnation, records } of batches) {
    size += 64 + 3 * (name.key.length + incarnation.length);
    for (const record of records) size += relayedBytes(record);
  }
  const writer = new Writer(size);
  writer.uint32(FORMAT);
  writer.string(origin);
  writer.double(number);
  writer.uint32(batches.length);
  for (const { name, incarnation, version, records } of batches) {
    writer.string(name.room);
    writer.string(name.channel);
    writer.string(incarnation);
    writer.double(version);
    writer.uint32(records.length);
    for (const record of records) writer.record(record);
  }
  return writer.finish();
}

/** Throws a RangeError for what is not a packet of this format. The records share the packet's memory. */
export function decodeRelayPacket(bytes: Uint8Array): RelayPacket {
  const reader = new Reader(bytes);
  const format = reader.uint32();
  if (format !== FORMAT) throw new RangeError(`a packet of format ${format}; this node reads format ${FORMAT}`);
  const origin = reader.string();
  const number = reader.double();
  const batches: RelayedBatch[] = [];
  for (let left = reader.uint32(); left > 0; left--) {
    const name = channelName(reader.string(), reader.string());
    const incarnation = reader.string();
    const version = reader.double();
    const records: AppendRecord[] = [];
    for (let more = reader.uint32(); more > 0; more--) records.push(reader.record());
    batches.push({ name, incarnation, version, records });
  }
  reader.end();
  return { origin, number, batches };
}

class Writer {
  readonly #buffer: Buffer;
  #at = 0;

  constructor(size: number) {
    this.#buffer = Buffer.allocUnsafe(size);
  }

  uint32(value: number): void {
    this.#at = this.#buffer.writeUInt32BE(value, this.#at);
  }

  double(value: number): void {
    this.#at = this.#buffer.writeDoubleBE(value, this.#at);
  }

  string(value: string): void {
    const length = this.#buffer.write(value, this.#at + 4);
    this.uint32(length);
    this.#at += length;
  }

  bytes(value: Uint8Array): void {
    this.uint32(value.length);
    this.#buffer.set(value, this.#at);
    this.#at += value.length;
  }

  record({ id, sender, idempotencyKey, contentDigest, audience, timeToLiveMs, body }: AppendRecord): void {
    this.string(id);
    this.string(sender);
    this.string(idempotencyKey);
    this.double(contentDigest);
    this.double(timeToLiveMs);
    this.uint32(audience === null ? NO_AUDIENCE : audience.length);
    for (const agent of audience ?? []) this.string(agent);
    this.bytes(body);
  }

  finish(): Uint8Array {
    return this.#buffer.subarray(0, this.#at);
  }
}

class Reader {
  readonly #buffer: Buffer;
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  // Reading past the end throws a RangeError by itself.

  uint32(): number {
    const value = this.#buffer.readUInt32BE(this.#at);
    this.#at += 4;
    return value;
  }

  double(): number {
    const value = this.#buffer.readDoubleBE(this.#at);
    this.#at += 8;
    return value;
  }

  string(): string {
    const { at, end } = this.#next();
    return this.#buffer.toString("utf8", at, end);
  }

  record(): AppendRecord {
    const id = this.string();
    const sender = this.string();
    const idempotencyKey = this.string();
    const contentDigest = this.double();
    const timeToLiveMs = this.double();
    const audience = this.#audience();
    const { at, end } = this.#next();
    return { id, sender, idempotencyKey, contentDigest, audience, timeToLiveMs, body: this.#buffer.subarray(at, end) };
  }

  end(): void {
    if (this.#at !== this.#buffer.length) throw new RangeError("a packet with something behind its end");
  }

  #audience(): Audience {
    const count = this.uint32();
    if (count === NO_AUDIENCE) return null;
    const audience: string[] = [];
    for (let left = count; left > 0; left--) audience.push(this.string());
    return audience;
  }

  #next(): { at: number; end: number } {
    const length = this.uint32();
    const at = this.#at;
    if (length > this.#buffer.length - at) throw new RangeError("a packet that ends too early");
    this.#at = at + length;
    return { at, end: this.#at };
  }
}
