import { create } from "@bufbuild/protobuf";
import { type PublishRequest, PublishRequestSchema } from "./gen/agentbus/v1/bus_service_pb.ts";
import type { OutboxEntry } from "./outbox-entry.ts";

// The bus takes at most 100 messages and 2 MiB in one request. Half of that keeps answers quick and memory small.
const MAX_BATCH_MESSAGES = 100;
const MAX_BATCH_BYTES = 1024 * 1024;

// What is on its way has to be kept for a resend, here, and read ahead, there.
const MAX_OUTSTANDING_MESSAGES = 1_000;
const MAX_OUTSTANDING_BYTES = 8 * 1024 * 1024;

/** Messages of one destination that go out in one request: all of them are stored, or none is. */
export interface PublishBatch {
  readonly requestId: number;
  readonly destination: string;
  readonly entries: readonly OutboxEntry[];
  readonly bytes: number;
  readonly request: PublishRequest;
  /** True: refused with retry SAME; it goes out again, under the same number, before anything else. */
  refused: boolean;
}

/**
 * Takes the first messages off the queue that may share a request, at most `maxMessages`; messages that nobody waits
 * for any more are dropped. Undefined: none is left.
 */
export function takeBatch(
  queue: OutboxEntry[],
  agentId: string,
  requestId: number,
  maxMessages = MAX_BATCH_MESSAGES,
): PublishBatch | undefined {
  const entries: OutboxEntry[] = [];
  let bytes = 0;
  let taken = 0;
  for (const entry of queue) {
    if (!entry.settled) {
      const { destination, bytes: size } = entry.outgoing;
      const first = entries[0];
      const fits =
        first === undefined || (destination === first.outgoing.destination && bytes + size <= MAX_BATCH_BYTES);
      if (!fits || entries.length === maxMessages) break;
      entries.push(entry);
      bytes += size;
    }
    taken++;
  }
  queue.splice(0, taken);
  const first = entries[0];
  if (first === undefined) return undefined;
  const { room, channel, destination } = first.outgoing;
  const messages = entries.map((entry) => entry.outgoing.message);
  const request = create(PublishRequestSchema, { agentId, room, channel, messages });
  return { requestId, destination, entries, bytes, request, refused: false };
}

/** Whether another request may go out behind these, of which there may be so many. */
export function hasRoom(outstanding: readonly PublishBatch[], maxBatches: number): boolean {
  let messages = 0;
  let bytes = 0;
  for (const batch of outstanding) {
    messages += batch.entries.length;
    bytes += batch.bytes;
  }
  return outstanding.length < maxBatches && messages < MAX_OUTSTANDING_MESSAGES && bytes < MAX_OUTSTANDING_BYTES;
}

/**
 * Whether a message has to wait until these are answered. When a batch is refused because of one of its messages, the
 * others go out again, and nothing for the same destination may have overtaken them.
 */
export function mustWait(outstanding: readonly PublishBatch[], destination: string): boolean {
  return outstanding.some((batch) => batch.destination === destination && batch.entries.length > 1);
}
