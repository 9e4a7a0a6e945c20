import { create } from "@bufbuild/protobuf";
import { durationFromMs, timestampFromDate } from "@bufbuild/protobuf/wkt";
import type { Filter } from "./filter.ts";
import { filterToProto } from "./filter.ts";
import { OnGap, type SubscribeRequest, SubscribeRequestSchema } from "./gen/agentbus/v1/bus_service_pb.ts";
import type { PositionStore } from "./position-store.ts";
import type { Gap } from "./subscription-event.ts";

/**
 * Where to start: with what is published from now on, with the oldest retained message, with the last so many of each
 * channel (1 to 1,000), with the first message accepted at or after an instant, or after stored positions. A channel
 * without a position among those starts with its first message.
 */
export type Start =
  | "new"
  | "earliest"
  | { readonly last: number }
  | { readonly since: Date }
  | { readonly resume: readonly string[] };

export interface SubscribeOptions {
  /** Channels as "room:channel". With none and no patterns: the agent's inbox and every channel that it joined. */
  readonly channels?: readonly string[];
  /** For example "science:*", "science.*:general", "**". They never match inboxes. */
  readonly patterns?: readonly string[];
  /** Default "new". A position saved under `name` wins. */
  readonly start?: Start;
  readonly filter?: Filter;
  /** True: also what this agent says itself. Default false. */
  readonly echo?: boolean;
  /** True: read without being present and without being a candidate for routing. Default false. */
  readonly observe?: boolean;
  /** True: also the answers that `ask` of the same Agent object waits for. Default false: those go to `ask` alone. */
  readonly answers?: boolean;
  /** Makes this the only stream of (agent, this name): the older one ends with TAKEN_OVER. At most 128 bytes. */
  readonly exclusive?: string;
  /**
   * What happens when messages cannot be replayed. "tell" (default): reading goes on behind them, and who reads
   * messages only is told by a warning; a function is called with the gap instead; "fail": the iterator throws
   * a BusError with reason GAP.
   */
  readonly onGap?: "tell" | "fail" | ((gap: Gap) => void);
  /** Called once, when everything that was stored when the stream first opened was read. */
  readonly onCaughtUp?: () => void;
  /** Called when the stream was cut, before it is opened again. */
  readonly onCut?: (error: Error) => void;
  /** Keeps how far it has read under "<agent id>/<name>" in the position store, and goes on from there the next time. */
  readonly name?: string;
  /** Where `name` is kept. Default: the bus's `positions`, which is memory by default. */
  readonly positions?: PositionStore;
  /** At most so many messages in one response. Default 0: as many as fit 256 KiB. 0 to 10,000. */
  readonly maxMessages?: number;
  /** How often the bus sends a sign of life, in milliseconds. Default 15,000; 1,000 to 300,000. A stream that is silent for 2.5 times as long counts as cut. */
  readonly heartbeatIntervalMs?: number;
  /** Ends the subscription: the iterator throws its reason. */
  readonly signal?: AbortSignal;
}

/** `resume`: positions to go on from, or undefined to start as the options say. */
export function subscribeRequest(
  agentId: string,
  options: SubscribeOptions,
  resume: readonly string[] | undefined,
): SubscribeRequest {
  const request = create(SubscribeRequestSchema, {
    agentId,
    channels: [...(options.channels ?? [])],
    patterns: [...(options.patterns ?? [])],
    start:
      resume === undefined
        ? startToProto(options.start ?? "new")
        : { case: "resume", value: { positions: [...resume] } },
    echo: options.echo ?? false,
    observe: options.observe ?? false,
    exclusive: options.exclusive ?? "",
    onGap: options.onGap === "fail" ? OnGap.FAIL : OnGap.TELL,
    maxMessages: options.maxMessages ?? 0,
  });
  if (options.filter !== undefined) request.filter = filterToProto(options.filter);
  if (options.heartbeatIntervalMs !== undefined)
    request.heartbeatInterval = durationFromMs(options.heartbeatIntervalMs);
  return request;
}

function startToProto(start: Start) {
  if (start === "new") return { case: undefined };
  if (start === "earliest") return { case: "earliest" as const, value: true };
  if ("last" in start) return { case: "last" as const, value: start.last };
  if ("since" in start) return { case: "since" as const, value: timestampFromDate(start.since) };
  return { case: "resume" as const, value: { positions: [...start.resume] } };
}
