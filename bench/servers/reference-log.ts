import { randomUUID } from "node:crypto";
import { create, toBinary } from "@bufbuild/protobuf";
import { timestampFromDate } from "@bufbuild/protobuf/wkt";
import { OpenedSchema, SubscribeResponseSchema } from "../../gen/agentbus/v1/bus_service_pb.ts";
import { MessageSchema, MessageType } from "../../gen/agentbus/v1/message_pb.ts";
import { encodeVarint, forEachField, varintAt } from "../clients/protobuf-fields.ts";

/**
 * What the reference servers share: they speak the bus's contract, but do only what fan-out takes. No validation, no
 * storage, no routing, no identity: a published message gets the fields that the bus would set, so that the same number
 * of bytes travels, and goes to everyone who subscribed to anything.
 */

const STREAM_REQUEST_ID = 1;
const STREAM_PUBLISH = 2;
const PUBLISH_MESSAGES = 4;
const DELIVERY_TAG = 0x0a;
const SEQUENCE_TAG = Buffer.from([0x98, 0x02]); // field 35, varint

const serverFields = Buffer.from(
  toBinary(
    MessageSchema,
    create(MessageSchema, {
      id: randomUUID(),
      type: MessageType.MESSAGE,
      room: "bench",
      channel: "reference",
      sender: "bench-publisher",
      epoch: 0x12345678,
      acceptTime: timestampFromDate(new Date()),
    }),
  ),
);
let sequence = 0;

/** A published message as an entry of SubscribeResponse: tag, length, the client's bytes, the server's fields. */
function encodeEntry(bytes: Buffer, start: number, end: number): Buffer {
  const number = encodeVarint(++sequence);
  const size = end - start + serverFields.length + SEQUENCE_TAG.length + number.length;
  const length = encodeVarint(size);
  const entry = Buffer.allocUnsafe(1 + length.length + size);
  entry[0] = DELIVERY_TAG;
  let offset = 1 + length.copy(entry, 1);
  offset += bytes.copy(entry, offset, start, end);
  offset += serverFields.copy(entry, offset);
  offset += SEQUENCE_TAG.copy(entry, offset);
  number.copy(entry, offset);
  return entry;
}

/** The entries of one encoded PublishRequest. */
export function entriesOfPublish(bytes: Buffer, start = 0, end = bytes.length): Buffer[] {
  const entries: Buffer[] = [];
  forEachField(bytes, start, end, (field) => {
    if (field.number === PUBLISH_MESSAGES) entries.push(encodeEntry(bytes, field.start, field.end));
  });
  return entries;
}

/** The request id and the entries of one encoded PublishStreamRequest. */
export function readStreamRequest(bytes: Buffer): { requestId: number; entries: Buffer[] } {
  let requestId = 0;
  let entries: Buffer[] = [];
  forEachField(bytes, 0, bytes.length, (field) => {
    if (field.number === STREAM_REQUEST_ID) requestId = varintAt(bytes, field.start);
    if (field.number === STREAM_PUBLISH) entries = entriesOfPublish(bytes, field.start, field.end);
  });
  return { requestId, entries };
}

const position = Buffer.from("bench:reference@12345678.1000000");
const id = randomUUID();
const result = Buffer.concat([
  Buffer.from([0x0a, 2 + id.length + 2 + position.length, 0x0a, id.length]),
  Buffer.from(id),
  Buffer.from([0x12, position.length]),
  position,
]);

/** A PublishResponse with a result of the usual size for each message. */
export function encodePublishResponse(messages: number): Buffer {
  return Buffer.concat(Array.from({ length: messages }, () => result));
}

/** The answer to a PublishStreamRequest. */
export function encodeStreamAnswer(requestId: number, messages: number): Buffer {
  const published = encodePublishResponse(messages);
  return Buffer.concat([
    Buffer.from([0x08]),
    encodeVarint(requestId),
    Buffer.from([0x12]),
    encodeVarint(published.length),
    published,
  ]);
}

/** The first response of a subscription. */
export const openedResponse: Buffer = Buffer.from(
  toBinary(
    SubscribeResponseSchema,
    create(SubscribeResponseSchema, { opened: create(OpenedSchema, { nodeId: "reference" }) }),
  ),
);
