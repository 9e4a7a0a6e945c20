import { BusError, isBusError } from "../../core/errors.ts";
import type { Audience, Draft, LogEntry } from "../../core/message.ts";
import type { MessageCodec } from "../../core/message-codec.ts";
import { decideAudience } from "../../routing/audience.ts";
import type { Candidates } from "../../routing/routing-strategy.ts";
import type { Turns } from "../../routing/turns.ts";
import type { AppendBatch, AppendedEntry, AppendOutcome, AppendRecord } from "../../storage/message-log.ts";
import type { ChannelView, PlannedChannel } from "../directory/registry.ts";
import type { Hub } from "../reading/hub.ts";

// The four stages of a message, in their order. Each is timed and counted by the publisher that runs them.

/** Reads and checks what the client sent. Throws the first message's error, with its index. */
export function validate(messages: readonly Uint8Array[], maxMessages: number, codec: MessageCodec): readonly Draft[] {
  if (messages.length === 0 || messages.length > maxMessages) {
    const description = `has ${messages.length} messages; 1 to ${maxMessages} are allowed`;
    throw new BusError("INVALID_FIELD", `messages ${description}`, {
      violations: [{ field: "messages", description }],
    });
  }
  return eachAt(messages, (bytes) => codec.scan(bytes));
}

export interface RouteContext {
  readonly agents: Candidates;
  readonly turns: Turns;
  readonly maxAudience: number;
}

/** Decides who may read each message, as the channel is configured now and agents and groups are now. */
export function route(
  drafts: readonly Draft[],
  sender: string,
  channel: PlannedChannel,
  { agents, turns, maxAudience }: RouteContext,
): readonly Audience[] {
  const { name, members, strategy } = channel;
  const { routing } = channel.config;
  const context = { sender, channel: name, routing, members, agents, maxAudience };
  return eachAt(drafts, (draft) => decideAudience(draft, context, strategy, turns));
}

/** One atomic step of the store: all of the batch, or nothing. */
export function append(channel: ChannelView, records: readonly AppendRecord[]): AppendOutcome | Promise<AppendOutcome> {
  const batch: AppendBatch = {
    name: channel.name,
    incarnation: channel.incarnation,
    version: channel.version,
    dedupWindowMs: channel.config.dedupWindowMs,
    records,
  };
  return channel.log.append(batch);
}

/** Hands what was stored now to those who read live. */
export function deliver(
  channel: ChannelView,
  records: readonly AppendRecord[],
  appended: readonly AppendedEntry[],
  hub: Hub,
): void {
  if (!hub.isRead(channel)) return;
  const entries: LogEntry[] = [];
  for (let i = 0; i < appended.length; i++) {
    const { sequence, epoch, acceptedAtMs, duplicate } = appended[i]!;
    if (duplicate) continue;
    const { id, sender, audience, timeToLiveMs, body } = records[i]!;
    const expiresAtMs = timeToLiveMs === 0 ? 0 : acceptedAtMs + timeToLiveMs;
    entries.push({ sequence, epoch, acceptedAtMs, expiresAtMs, id, sender, audience, body });
  }
  hub.appended(channel, entries);
}

/** An error within a batch tells which message it is about. */
function eachAt<T, R>(items: readonly T[], task: (item: T) => R): R[] {
  const results = new Array<R>(items.length);
  for (let i = 0; i < items.length; i++) {
    try {
      results[i] = task(items[i]!);
    } catch (error) {
      throw isBusError(error) ? error.at(i) : error;
    }
  }
  return results;
}
