import { crc32 } from "node:zlib";
import type { Audience, LogEntry } from "../../core/message.ts";
import type { AppendRecord } from "../message-log.ts";

/** An entry as a table has it. Numbers are safe integers. */
export interface EntryRow {
  readonly sequence: number;
  readonly epoch: number;
  readonly acceptedAtMs: number;
  /** 0: none. */
  readonly timeToLiveMs: number;
  readonly id: string;
  readonly sender: string;
  /** As audienceToText() made it. */
  readonly audience: string | null;
  readonly body: Uint8Array;
  readonly checksum: number;
}

/** Agent ids have no line feed; null: open to all readers, "": to nobody but the sender. */
export function audienceToText(audience: Audience): string | null {
  return audience === null ? null : audience.join("\n");
}

export function audienceFromText(text: string | null): Audience {
  if (text === null) return null;
  return text === "" ? [] : text.split("\n");
}

/** Over what the client gave. Known before the sequence is; `entryChecksum` adds what the store gives. */
export function recordChecksum(
  { id, sender, timeToLiveMs, body }: Pick<AppendRecord, "id" | "sender" | "timeToLiveMs" | "body">,
  audience: string | null,
): number {
  // Lengths part the fields, and null from "".
  const head = `${id.length} ${sender.length} ${audience?.length ?? "-"} ${timeToLiveMs} ${id}${sender}${audience ?? ""}`;
  return crc32(body, crc32(head));
}

/** A safe integer, and plain arithmetic that SQL can do, too: `checksum + sequence + 3 * epoch + 5 * accepted_at`. */
export function entryChecksum(
  recordChecksum: number,
  at: Pick<EntryRow, "sequence" | "epoch" | "acceptedAtMs">,
): number {
  return recordChecksum + at.sequence + 3 * at.epoch + 5 * at.acceptedAtMs;
}

/** Undefined: the row fails its checksum. */
export function toLogEntry(row: EntryRow): LogEntry | undefined {
  if (entryChecksum(recordChecksum(row, row.audience), row) !== row.checksum) return undefined;
  const { sequence, epoch, acceptedAtMs, timeToLiveMs, id, sender, body } = row;
  const expiresAtMs = timeToLiveMs > 0 ? acceptedAtMs + timeToLiveMs : 0;
  return { sequence, epoch, acceptedAtMs, expiresAtMs, id, sender, audience: audienceFromText(row.audience), body };
}
