import type { Draft, LogEntry } from "../core/message.ts";
import type { Encoded } from "../core/message-codec.ts";
import type { ChannelName } from "../core/names.ts";
import { FIELD, tooLarge } from "./scan-message.ts";
import type { Slab } from "./slab.ts";
import { stringField, tagOf, varintSize, writeVarint } from "./writer.ts";

/** SubscribeResponse.messages and FetchResponse.messages. */
const MESSAGES_TAG = tagOf(1, 2);
const TYPE_MESSAGE = Buffer.from([tagOf(FIELD.type, 0), 1]);
const ID_TAG = tagOf(FIELD.id, 2);
const HOP_COUNT_TAG = tagOf(FIELD.hopCount, 0);
const SEQUENCE_TAG = tagOf(FIELD.sequence, 0);
const EPOCH_TAG = tagOf(FIELD.epoch, 5);
const ACCEPT_TIME_TAG = tagOf(FIELD.acceptTime, 2);
const SECONDS_TAG = tagOf(1, 0);
const NANOS_TAG = tagOf(2, 0);

/** What `seal` adds at most: sequence 10, epoch 6, accept_time 16 bytes, and then some. */
export const SEAL_BYTES = 40;

/** So many senders' bytes are kept for one channel. */
const MAX_SENDERS = 1_000;

/** Room, channel and sender as each message of theirs carries them, made once. */
export class StampBytes {
  readonly #known = new WeakMap<ChannelName, Map<string, Uint8Array>>();

  /** `name` is the channel's own object, the same for as long as the channel is known. */
  of(name: ChannelName, sender: string): Uint8Array {
    let senders = this.#known.get(name);
    if (senders === undefined) {
      senders = new Map();
      this.#known.set(name, senders);
    }
    let bytes = senders.get(sender);
    if (bytes === undefined) {
      bytes = Buffer.concat([
        stringField(FIELD.room, name.room),
        stringField(FIELD.channel, name.channel),
        stringField(FIELD.sender, sender),
      ]);
      if (senders.size >= MAX_SENDERS) senders.clear();
      senders.set(sender, bytes);
    }
    return bytes;
  }
}

/**
 * Client bytes first, then what only the server sets: protobuf reads concatenated encodings as one message, so nothing
 * is decoded and encoded again. `type` and `id` are added only where the client left them unset.
 */
export function encodeBodies(
  drafts: readonly Draft[],
  hopCounts: readonly number[],
  stamp: { readonly shared: Uint8Array; readonly newId: () => string },
  maxBytes: number,
  slab: Slab,
): Encoded[] {
  const { shared } = stamp;
  const ids = drafts.map((draft) => draft.id || stamp.newId());
  let total = 0;
  const sizes = drafts.map((draft, i) => {
    const hops = hopCounts[i]!;
    const size =
      draft.bytes.length +
      (draft.hasType ? 0 : TYPE_MESSAGE.length) +
      (draft.id === "" ? 2 + ids[i]!.length : 0) +
      shared.length +
      (hops > 0 ? 2 + varintSize(hops) : 0);
    if (size + SEAL_BYTES > maxBytes) throw tooLarge(size + SEAL_BYTES, maxBytes).at(i);
    total += size;
    return size;
  });
  const target = slab.take(total);
  let at = 0;
  return drafts.map((draft, i) => {
    const start = at;
    target.set(draft.bytes, at);
    at += draft.bytes.length;
    if (!draft.hasType) {
      target.set(TYPE_MESSAGE, at);
      at += TYPE_MESSAGE.length;
    }
    const id = ids[i]!;
    if (draft.id === "") {
      target[at++] = ID_TAG;
      target[at++] = id.length;
      at += target.write(id, at, "latin1");
    }
    target.set(shared, at);
    at += shared.length;
    const hops = hopCounts[i]!;
    if (hops > 0) at = writeVarint(target, writeVarint(target, at, HOP_COUNT_TAG), hops);
    return { id, body: target.subarray(start, start + sizes[i]!) };
  });
}

/** Adds sequence, epoch and accept_time, and makes each a whole `messages` field. All share one allocation. */
export function sealEntries(entries: readonly LogEntry[], slab: Slab): Uint8Array[] {
  let total = 0;
  for (const entry of entries) total += entry.body.length + SEAL_BYTES + 8;
  const target = slab.take(total);
  const sealed = new Array<Uint8Array>(entries.length);
  let at = 0;
  for (let i = 0; i < entries.length; i++) {
    const { sequence, epoch, acceptedAtMs, body } = entries[i]!;
    const seconds = Math.floor(acceptedAtMs / 1_000);
    const nanos = (acceptedAtMs - seconds * 1_000) * 1_000_000;
    const timeSize = 1 + varintSize(seconds) + (nanos > 0 ? 1 + varintSize(nanos) : 0);
    const size = body.length + 2 + varintSize(sequence) + 6 + 2 + 1 + timeSize;
    const start = at;
    target[at++] = MESSAGES_TAG;
    at = writeVarint(target, at, size);
    target.set(body, at);
    at = writeVarint(target, at + body.length, SEQUENCE_TAG);
    at = writeVarint(target, at, sequence);
    at = target.writeUInt32LE(epoch, writeVarint(target, at, EPOCH_TAG));
    at = writeVarint(target, at, ACCEPT_TIME_TAG);
    target[at++] = timeSize;
    target[at++] = SECONDS_TAG;
    at = writeVarint(target, at, seconds);
    if (nanos > 0) {
      target[at++] = NANOS_TAG;
      at = writeVarint(target, at, nanos);
    }
    sealed[i] = target.subarray(start, at);
  }
  return sealed;
}
