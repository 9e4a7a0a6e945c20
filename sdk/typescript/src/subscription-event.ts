import { timestampDate } from "@bufbuild/protobuf/wkt";
import { type GapCauseName, gapCauses } from "./enums.ts";
import type { Gap as GapProto, SubscribeResponse } from "./gen/agentbus/v1/bus_service_pb.ts";
import type { Message as MessageProto } from "./gen/agentbus/v1/message_pb.ts";
import type { Message } from "./message.ts";

/** Messages that cannot be delivered to this reader. */
export interface Gap {
  /** "room:channel". */
  readonly channel: string;
  /** The first sequence that is missing, in the log that the reader knew. */
  readonly firstSequence: number;
  /** The last one; undefined: not known. */
  readonly lastSequence: number | undefined;
  /** "retention": trimmed before they were read. "new_epoch": the log lost its end, or is another one. "damaged". */
  readonly cause: GapCauseName | "unknown";
}

/** Everything that a subscription tells, in order. */
export type SubscriptionEvent =
  | { readonly type: "message"; readonly message: Message }
  | { readonly type: "gap"; readonly gap: Gap }
  /** The stream is open, for the first time or again. */
  | { readonly type: "opened"; readonly nodeId: string }
  /** Once: everything that was stored when the stream first opened was told. */
  | { readonly type: "caught_up" }
  | { readonly type: "heartbeat"; readonly serverTime: Date }
  /** The stream was cut; it is being opened again. */
  | { readonly type: "cut"; readonly error: Error };

/** The events of one response in the order in which a reader wants them; `wrap` may leave a message out. */
export function eventsOf(
  response: SubscribeResponse,
  wrap: (raw: MessageProto) => Message | undefined,
): SubscriptionEvent[] {
  const events: SubscriptionEvent[] = [];
  if (response.opened !== undefined) events.push({ type: "opened", nodeId: response.opened.nodeId });
  for (const gap of response.gaps) events.push({ type: "gap", gap: gapFromProto(gap) });
  for (const raw of response.messages) {
    const message = wrap(raw);
    if (message !== undefined) events.push({ type: "message", message });
  }
  if (response.caughtUp) events.push({ type: "caught_up" });
  if (response.serverTime !== undefined && response.opened === undefined) {
    events.push({ type: "heartbeat", serverTime: timestampDate(response.serverTime) });
  }
  return events;
}

export function gapFromProto({ room, channel, firstSequence, lastSequence, cause }: GapProto): Gap {
  return {
    channel: `${room}:${channel}`,
    firstSequence: Number(firstSequence),
    lastSequence: lastSequence === 0n ? undefined : Number(lastSequence),
    cause: gapCauses.fromProto(cause),
  };
}

export function describeGap({ channel, firstSequence, lastSequence, cause }: Gap): string {
  return `messages ${firstSequence} to ${lastSequence ?? "an unknown one"} of ${channel} cannot be delivered (${cause})`;
}
