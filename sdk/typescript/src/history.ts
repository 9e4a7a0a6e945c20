import { create } from "@bufbuild/protobuf";
import { durationFromMs, timestampFromDate } from "@bufbuild/protobuf/wkt";
import { type Address, addressOfPosition, parseAddress } from "./address.ts";
import type { CallOptions, Connection } from "./connection.ts";
import { present } from "./errors.ts";
import { type Filter, filterToProto } from "./filter.ts";
import { type FetchRequest, FetchRequestSchema } from "./gen/agentbus/v1/bus_service_pb.ts";
import { Message, type Replier } from "./message.ts";
import { type Gap, gapFromProto } from "./subscription-event.ts";

export interface FetchOptions extends CallOptions {
  /**
   * Where to start: after a position or a message (backward: before it), or with the first message accepted at or after
   * an instant (backward: with the last one before it). Default: forward from the oldest retained message, backward from
   * the newest.
   */
  readonly start?: { readonly position: string } | { readonly messageId: string } | { readonly time: Date };
  /** True: from new to old. Default false. */
  readonly backward?: boolean;
  readonly filter?: Filter;
  /** At most so many messages a page. Default 0: 100. 0 to 1,000; fewer come when they are large. */
  readonly maxMessages?: number;
  /** Forward only: when there is nothing yet, wait so long for the first message, in milliseconds. Default 0; up to 60,000. */
  readonly waitMs?: number;
}

/** A piece of a channel's history: what this agent may see of it. */
export interface Page {
  /** In the order asked for. */
  readonly messages: readonly Message[];
  /** Where the next page starts: give it as `start.position`. */
  readonly position: string;
  /** True when there is nothing more now in this direction. */
  readonly caughtUp: boolean;
  /** What cannot be read any more. */
  readonly gaps: readonly Gap[];
}

/** Which message: its position, or its id in a channel. */
export type MessageReference = string | { readonly channel: string; readonly id: string };

export interface Reader extends Replier {
  readonly id: string;
}

export async function fetchPage(
  connection: Connection,
  reader: Reader,
  channel: string,
  options: FetchOptions,
): Promise<Page> {
  const request = fetchRequest(reader.id, parseAddress(channel), options);
  const { waitMs = 0 } = options;
  const timeoutMs = (options.timeoutMs ?? connection.callTimeoutMs) + waitMs;
  const response = await connection.call(
    (call) => connection.clients.bus.fetch(request, call),
    { ...options, timeoutMs },
    { waitMs },
  );
  return {
    messages: response.messages.map((raw) => new Message(raw, reader)),
    position: response.position,
    caughtUp: response.caughtUp,
    gaps: response.gaps.map(gapFromProto),
  };
}

/** Page after page, each fetched when it is asked for, until there is nothing more. */
export async function* readPages(
  connection: Connection,
  reader: Reader,
  channel: string,
  options: FetchOptions,
): AsyncGenerator<Page, undefined, undefined> {
  let next = options;
  for (;;) {
    const page = await fetchPage(connection, reader, channel, next);
    yield page;
    if (page.caughtUp) return;
    next = { ...options, start: { position: page.position } };
  }
}

export async function getMessage(
  connection: Connection,
  reader: Reader,
  which: MessageReference,
  options: CallOptions,
): Promise<Message> {
  const request =
    typeof which === "string"
      ? { ...parseAddress(addressOfPosition(which)), which: { case: "position" as const, value: which } }
      : { ...parseAddress(which.channel), which: { case: "messageId" as const, value: which.id } };
  const { message } = await connection.call(
    (call) => connection.clients.bus.getMessage({ agentId: reader.id, ...request }, call),
    options,
  );
  return new Message(present(message, "getMessage"), reader);
}

function fetchRequest(agentId: string, { room, channel }: Address, options: FetchOptions): FetchRequest {
  const { backward = false, filter, maxMessages = 0, start, waitMs } = options;
  const request = create(FetchRequestSchema, { agentId, room, channel, backward, maxMessages });
  if (start !== undefined && "position" in start) request.start = { case: "position", value: start.position };
  else if (start !== undefined && "messageId" in start) request.start = { case: "messageId", value: start.messageId };
  else if (start !== undefined) request.start = { case: "time", value: timestampFromDate(start.time) };
  if (filter !== undefined) request.filter = filterToProto(filter);
  if (waitMs !== undefined) request.waitDuration = durationFromMs(waitMs);
  return request;
}
