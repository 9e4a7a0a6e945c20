import type { GapCause } from "../core/epoch-chain.ts";
import { type ChannelGap, type Delivery, type EndReason, FRAME_HEADER_BYTES } from "../core/message-codec.ts";
import type { Slab } from "./slab.ts";
import { messageField, millisField, stringField, varintField } from "./writer.ts";

/** Numbers of SubscribeResponse's fields. */
const RESPONSE = { positions: 2, gaps: 3, opened: 4, caughtUp: 5, serverTime: 6, goAway: 7, end: 8 } as const;
const GAP_CAUSE: Readonly<Record<GapCause, number>> = { RETENTION: 1, NEW_EPOCH: 2, DAMAGED: 3, LOST: 4 };
const END_REASON: Readonly<Record<EndReason, number>> = {
  TAKEN_OVER: 1,
  CHANNEL_DELETED: 2,
  AGENT_GONE: 3,
  UNSUBSCRIBED: 4,
};

/** A finished frame: log entries as they are, then the few fields behind them. */
export function encodeDelivery(delivery: Delivery, slab: Slab): Uint8Array {
  const trailing = encodeTrailing(delivery);
  let length = 0;
  if (delivery.sealed !== undefined) for (const entry of delivery.sealed) length += entry.length;
  for (const part of trailing) length += part.length;
  const frame = slab.take(FRAME_HEADER_BYTES + length);
  frame[0] = 0;
  frame.writeUInt32BE(length, 1);
  let at = FRAME_HEADER_BYTES;
  if (delivery.sealed !== undefined) {
    for (const entry of delivery.sealed) {
      frame.set(entry, at);
      at += entry.length;
    }
  }
  for (const part of trailing) {
    frame.set(part, at);
    at += part.length;
  }
  return frame;
}

function encodeTrailing(delivery: Delivery): Buffer[] {
  const parts: Buffer[] = [];
  for (const position of delivery.positions ?? []) parts.push(stringField(RESPONSE.positions, position));
  for (const gap of delivery.gaps ?? []) parts.push(messageField(RESPONSE.gaps, encodeGap(gap)));
  const { opened, end } = delivery;
  if (opened !== undefined) {
    parts.push(
      messageField(RESPONSE.opened, [
        stringField(1, opened.nodeId),
        stringField(2, opened.agentId),
        millisField(3, opened.heartbeatMs),
      ]),
    );
  }
  if (delivery.caughtUp === true) parts.push(varintField(RESPONSE.caughtUp, 1));
  if (delivery.serverTimeMs !== undefined) parts.push(millisField(RESPONSE.serverTime, delivery.serverTimeMs));
  if (delivery.goAwayMs !== undefined) {
    parts.push(messageField(RESPONSE.goAway, [millisField(1, delivery.goAwayMs)]));
  }
  if (end !== undefined) {
    const fields = [varintField(1, END_REASON[end.reason])];
    if (end.message !== "") fields.push(stringField(2, end.message));
    if (end.channel !== "") fields.push(stringField(3, end.channel));
    parts.push(messageField(RESPONSE.end, fields));
  }
  return parts;
}

/** The fields of a Gap. */
export function encodeGap(gap: ChannelGap): Buffer[] {
  const fields = [stringField(1, gap.name.room), stringField(2, gap.name.channel), varintField(3, gap.first)];
  if (gap.last > 0) fields.push(varintField(4, gap.last));
  fields.push(varintField(5, GAP_CAUSE[gap.cause]));
  return fields;
}
