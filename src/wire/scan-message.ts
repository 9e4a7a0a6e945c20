import { crc32 } from "node:zlib";
import { BusError } from "../core/errors.ts";
import { type Draft, MESSAGE_TYPES, type MessageType } from "../core/message.ts";
import { quote } from "../core/names.ts";
import { parsePosition } from "../core/position.ts";
import { asBuffer, BYTES, VARINT, WireReader } from "./reader.ts";
import { invalid, RecipientsScan } from "./scan-recipients.ts";

/** Numbers of Message's fields. */
export const FIELD = {
  version: 1,
  id: 2,
  type: 3,
  name: 4,
  to: 5,
  text: 6,
  data: 7,
  contentType: 8,
  metadata: 9,
  priority: 10,
  idempotencyKey: 11,
  orderingKey: 12,
  correlationId: 13,
  causation: 14,
  replyTo: 15,
  timeToLive: 16,
  timestamp: 17,
  traceparent: 18,
  sessionId: 19,
  schema: 20,
  firstOfServer: 32,
  room: 32,
  channel: 33,
  sender: 34,
  sequence: 35,
  epoch: 36,
  acceptTime: 37,
  hopCount: 38,
} as const;

const MAX_ID_BYTES = 128;
const MAX_POSITION_BYTES = 320;
const MAX_TIME_TO_LIVE_MS = 366 * 86_400_000;
/** 0001-01-01 and 9999-12-31 in seconds since 1970: outside, a Timestamp has no JSON form. */
const MIN_TIMESTAMP_SECONDS = -62_135_596_800;
const MAX_TIMESTAMP_SECONDS = 253_402_300_799;
const VERSION = /^(1\.[0-9]{1,6})?$/;

/** Texts of which only the length and the encoding matter, by field number. */
const PLAIN_TEXT: Readonly<Record<number, { readonly name: string; readonly maxBytes: number }>> = {
  [FIELD.contentType]: { name: "content_type", maxBytes: 128 },
  [FIELD.orderingKey]: { name: "ordering_key", maxBytes: 128 },
  [FIELD.correlationId]: { name: "correlation_id", maxBytes: 128 },
  [FIELD.replyTo]: { name: "reply_to", maxBytes: 260 },
  [FIELD.traceparent]: { name: "traceparent", maxBytes: 128 },
  [FIELD.sessionId]: { name: "session_id", maxBytes: 128 },
  [FIELD.schema]: { name: "schema", maxBytes: 256 },
};

export interface ScanLimits {
  readonly messageBytes: number;
  readonly metadataKeys: number;
  readonly metadataBytes: number;
}

/**
 * Checks a client's message in one pass over its bytes, in the rules of message.proto. By hand because protovalidate
 * costs 3 µs a message and this 0.3; a property test holds both together.
 */
export function scanMessage(bytes: Uint8Array, limits: ScanLimits): Draft {
  const buffer = asBuffer(bytes);
  // What the server adds is counted when it is added; what is too large by itself leaves no trace.
  if (buffer.length > limits.messageBytes) throw tooLarge(buffer.length, limits.messageBytes);
  const reader = new WireReader(buffer, 0, buffer.length);
  let id = "";
  let type: MessageType = "MESSAGE";
  let hasType = false;
  let name = "";
  let recipients: RecipientsScan | undefined;
  let key = "";
  let causation = "";
  let timeToLive: SecondsAndNanos | undefined;
  let timestamp: SecondsAndNanos | undefined;
  let metadataKeys = 0;
  let metadataBytes = 0;
  while (reader.next()) {
    switch (reader.field) {
      case FIELD.version:
        checkVersion(reader);
        break;
      case FIELD.id:
        id = readToken(reader, "id");
        break;
      case FIELD.type:
        type = readType(reader);
        hasType = reader.int32() !== 0;
        break;
      case FIELD.name:
        name = readText(reader, "name", 128);
        break;
      case FIELD.to:
        reader.expect(BYTES, "to");
        recipients ??= new RecipientsScan();
        recipients.add(buffer, reader.start, reader.end);
        break;
      case FIELD.text:
        reader.expect(BYTES, "text");
        reader.checkUtf8("text");
        break;
      case FIELD.data:
        reader.expect(BYTES, "data");
        break;
      case FIELD.metadata:
        metadataKeys++;
        metadataBytes += checkMetadataEntry(reader);
        break;
      case FIELD.priority:
        reader.expect(VARINT, "priority");
        if (reader.int32() < 0 || reader.int32() > 9) throw invalid("priority", "must be 0 to 9");
        break;
      case FIELD.idempotencyKey:
        key = readToken(reader, "idempotency_key");
        break;
      case FIELD.causation:
        causation = readText(reader, "causation", MAX_POSITION_BYTES);
        if (causation !== "") parsePosition(causation);
        break;
      case FIELD.timeToLive:
        timeToLive = readSecondsAndNanos(reader, "time_to_live", timeToLive);
        break;
      case FIELD.timestamp:
        timestamp = readSecondsAndNanos(reader, "timestamp", timestamp);
        break;
      default:
        checkOther(reader);
    }
  }
  if (metadataKeys > limits.metadataKeys) throw invalid("metadata", `has more than ${limits.metadataKeys} keys`);
  if (metadataBytes > limits.metadataBytes) throw invalid("metadata", `has more than ${limits.metadataBytes} bytes`);
  if (timestamp !== undefined) checkTimestamp(timestamp);
  const idempotencyKey = key === "" ? id : key;
  return {
    bytes: buffer,
    id,
    type,
    hasType,
    name,
    to: recipients?.finish(),
    idempotencyKey,
    causation,
    timeToLiveMs: timeToLive === undefined ? 0 : millisToLive(timeToLive),
    contentDigest: idempotencyKey === "" ? 0 : digestContent(reader),
  };
}

export function tooLarge(bytes: number, maxBytes: number): BusError {
  return new BusError(
    "MESSAGE_TOO_LARGE",
    `the message has ${bytes} bytes, more than ${maxBytes} (limits.messageBytes)`,
  );
}

function checkOther(reader: WireReader): void {
  const rule = PLAIN_TEXT[reader.field];
  if (rule !== undefined) {
    reader.expect(BYTES, rule.name);
    if (reader.length > rule.maxBytes) throw invalid(rule.name, `is longer than ${rule.maxBytes} bytes`);
    reader.checkUtf8(rule.name);
  } else if (reader.field >= FIELD.firstOfServer) {
    throw new BusError("SERVER_FIELD", `field ${reader.field} of a message is set by the server; leave it unset`);
  }
}

function checkVersion(reader: WireReader): void {
  reader.expect(BYTES, "version");
  const version = reader.string("version");
  if (!VERSION.test(version)) {
    throw new BusError("UNSUPPORTED_VERSION", `version ${quote(version)}: this server speaks "1.x"`);
  }
}

function readToken(reader: WireReader, name: string): string {
  reader.expect(BYTES, name);
  if (reader.length > MAX_ID_BYTES) throw invalid(name, `is longer than ${MAX_ID_BYTES} bytes`);
  const token = reader.token();
  if (token === undefined) {
    reader.checkUtf8(name);
    throw invalid(name, "must be printable ASCII without spaces");
  }
  return token;
}

function readText(reader: WireReader, name: string, maxBytes: number): string {
  reader.expect(BYTES, name);
  if (reader.length > maxBytes) throw invalid(name, `is longer than ${maxBytes} bytes`);
  return reader.string(name);
}

function readType(reader: WireReader): MessageType {
  reader.expect(VARINT, "type");
  const value = reader.int32();
  const type = value === 0 ? "MESSAGE" : MESSAGE_TYPES[value - 1];
  if (type === undefined) throw invalid("type", `${value} is not a type of message`);
  return type;
}

/** Answers how many bytes of key and value the entry has. */
function checkMetadataEntry(reader: WireReader): number {
  reader.expect(BYTES, "metadata");
  const entry = new WireReader(reader.buffer, reader.start, reader.end);
  let keyBytes = 0;
  let valueBytes = 0;
  while (entry.next()) {
    if (entry.field > 2) continue;
    entry.expect(BYTES, "metadata");
    entry.checkUtf8("metadata");
    if (entry.field === 1) keyBytes = entry.length;
    else valueBytes = entry.length;
  }
  if (keyBytes < 1 || keyBytes > 128) throw invalid("metadata", "has a key that is not 1 to 128 bytes long");
  return keyBytes + valueBytes;
}

interface SecondsAndNanos {
  readonly seconds: number;
  readonly nanos: number;
}

/** A Duration or Timestamp. One that comes twice is merged, as protobuf merges every message field. */
function readSecondsAndNanos(reader: WireReader, name: string, earlier: SecondsAndNanos | undefined): SecondsAndNanos {
  reader.expect(BYTES, name);
  const inner = new WireReader(reader.buffer, reader.start, reader.end);
  let seconds = earlier?.seconds ?? 0;
  let nanos = earlier?.nanos ?? 0;
  while (inner.next()) {
    if (inner.field > 2) continue;
    inner.expect(VARINT, name);
    if (inner.field === 1) seconds = inner.int64();
    else nanos = inner.int32();
  }
  return { seconds, nanos };
}

function millisToLive({ seconds, nanos }: SecondsAndNanos): number {
  // A float would round a nanosecond beyond the longest life away.
  const ms = seconds * 1_000 + Math.ceil(nanos / 1e6);
  const valid = nanos >= 0 && nanos < 1e9 && seconds * 1_000 + nanos / 1e6 >= 1 && ms <= MAX_TIME_TO_LIVE_MS;
  if (!valid) throw invalid("time_to_live", "must be 1 ms to 366 days");
  return seconds * 1_000 + Math.floor(nanos / 1e6);
}

function checkTimestamp({ seconds, nanos }: SecondsAndNanos): void {
  const valid = seconds >= MIN_TIMESTAMP_SECONDS && seconds <= MAX_TIMESTAMP_SECONDS && nanos >= 0 && nanos < 1e9;
  if (!valid) throw invalid("timestamp", "must lie within the years 1 to 9999");
}

/**
 * A number that is the same for the same content. A retry may carry another id, clock and trace, and a map has no order:
 * those do not count. 32 bits are enough: it only has to tell a retry from a mistake within one sender's own key.
 */
function digestContent(reader: WireReader): number {
  const { buffer } = reader;
  let digest = 0;
  let metadata = 0;
  let from = 0;
  const skipTo = (end: number, next: number) => {
    if (end > from) digest = crc32(buffer.subarray(from, end), digest);
    from = next;
  };
  reader.reset(0, buffer.length);
  while (reader.next()) {
    switch (reader.field) {
      case FIELD.metadata:
        metadata = (metadata + crc32(buffer.subarray(reader.start, reader.end))) >>> 0;
        skipTo(reader.tagStart, reader.end);
        break;
      case FIELD.id:
      case FIELD.idempotencyKey:
      case FIELD.timestamp:
      case FIELD.traceparent:
        skipTo(reader.tagStart, reader.end);
        break;
    }
  }
  skipTo(buffer.length, buffer.length);
  return (digest ^ metadata) >>> 0;
}
