import type { HistoryEvent } from "../../test/support/history.ts";

export interface FleetingFindings {
  readonly violations: readonly { readonly rule: FleetingRule; readonly text: string }[];
  readonly acked: number;
  readonly deliveries: number;
  readonly gaps: number;
}

/** What a VOLATILE channel over several nodes can do wrong: each node has a log of its own, and may lose it. */
export const FLEETING_RULES = {
  PHANTOM: "A message appeared that nobody sent, or with other bytes.",
  STREAM_DUPLICATE: "A stream brought a message twice, and told no Gap in between.",
  PRODUCER_ORDER: "A stream brought messages of one producer in another order than they were sent, and told no Gap.",
} as const;
export type FleetingRule = keyof typeof FLEETING_RULES;

interface Sent {
  readonly digest: string;
  readonly producer: string;
  readonly order: number;
}

/** Judges the history of one VOLATILE channel, whose messages were each sent once: at most once, in order. */
export function checkFleeting(events: readonly HistoryEvent[]): FleetingFindings {
  const violations: { rule: FleetingRule; text: string }[] = [];
  const sent = new Map<string, Sent>();
  let acked = 0;
  let deliveries = 0;
  let gaps = 0;
  events.forEach((event, order) => {
    if (event.kind === "attempted") sent.set(event.id, { digest: event.digest, producer: event.producer, order });
    if (event.kind === "acked") acked++;
  });
  /** By stream: what it brought since its last Gap. */
  const seen = new Map<string, { ids: Set<string>; newest: Map<string, number> }>();
  for (const event of events) {
    if (event.kind === "gap") {
      gaps++;
      seen.delete(event.stream);
    }
    if (event.kind !== "delivered") continue;
    deliveries++;
    const { stream, id } = event;
    const message = sent.get(id);
    if (message === undefined || message.digest !== event.digest) {
      violations.push({ rule: "PHANTOM", text: `${stream} shows ${id}, which nobody sent so` });
      continue;
    }
    const state = seen.get(stream) ?? { ids: new Set(), newest: new Map() };
    seen.set(stream, state);
    if (state.ids.has(id)) violations.push({ rule: "STREAM_DUPLICATE", text: `${stream} shows ${id} again` });
    else if ((state.newest.get(message.producer) ?? -1) > message.order) {
      violations.push({ rule: "PRODUCER_ORDER", text: `${stream} shows ${id} behind what was sent after it` });
    }
    state.ids.add(id);
    state.newest.set(message.producer, Math.max(message.order, state.newest.get(message.producer) ?? -1));
  }
  return { violations, acked, deliveries, gaps };
}
