import assert from "node:assert/strict";
import { BusError, type Reason } from "../../src/core/errors.ts";
import type { LogEntry } from "../../src/core/message.ts";
import { type ChannelName, channelName } from "../../src/core/names.ts";
import type {
  AppendBatch,
  AppendedEntry,
  AppendOutcome,
  AppendRecord,
  MessageLog,
  ReadRequest,
} from "../../src/storage/message-log.ts";

export const NAME = channelName("science", "explore");
export const INCARNATION = "first";
export const WINDOW_MS = 120_000;

let ids = 0;

/** A record with an id of its own, which is its idempotency key, too. */
export function record(over: Partial<AppendRecord> = {}): AppendRecord {
  const id = over.id ?? `id-${++ids}`;
  return {
    id,
    sender: "alice",
    idempotencyKey: id,
    contentDigest: 7,
    audience: null,
    timeToLiveMs: 0,
    body: Buffer.from(`body of ${id}`),
    ...over,
  };
}

export function records(count: number, over: Partial<AppendRecord> = {}): AppendRecord[] {
  return Array.from({ length: count }, () => record(over));
}

export function batch(records: readonly AppendRecord[], over: Partial<AppendBatch> = {}): AppendBatch {
  return { name: NAME, incarnation: INCARNATION, version: 1, dedupWindowMs: WINDOW_MS, records, ...over };
}

/** Appends what must be stored. */
export async function append(
  log: MessageLog,
  records: readonly AppendRecord[],
  over: Partial<AppendBatch> = {},
): Promise<readonly AppendedEntry[]> {
  return entriesOf(await log.append(batch(records, over)));
}

export function entriesOf(outcome: AppendOutcome): readonly AppendedEntry[] {
  if (outcome.kind !== "appended") assert.fail(`not appended: ${JSON.stringify(outcome)}`);
  return outcome.entries;
}

export function sequencesOf(entries: readonly { readonly sequence: number }[]): number[] {
  return entries.map((entry) => entry.sequence);
}

export function readRequest(over: Partial<ReadRequest> = {}): ReadRequest {
  return { name: NAME, from: 0, backward: false, maxEntries: 10_000, maxBytes: 1_048_576, ...over };
}

/** Everything that is retained, read in pages. */
export async function readAll(log: MessageLog, name: ChannelName = NAME): Promise<LogEntry[]> {
  const entries: LogEntry[] = [];
  for (;;) {
    const from = entries.at(-1)?.sequence ?? 0;
    const page = await log.read(readRequest({ name, from, maxEntries: 100 }));
    assert.deepEqual(page.damaged, []);
    if (page.entries.length === 0) return entries;
    entries.push(...page.entries);
  }
}

export function range(first: number, last: number): number[] {
  return Array.from({ length: Math.max(0, last - first + 1) }, (_, i) => first + i);
}

export const isBusError = (reason: Reason) => (error: unknown) => error instanceof BusError && error.reason === reason;
