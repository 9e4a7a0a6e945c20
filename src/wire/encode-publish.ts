import type { Audience } from "../core/message.ts";
import { DURABILITIES, type Durability } from "../core/room.ts";
import { messageField, stringField, varintField, varintSize, writeVarint } from "./writer.ts";

/** PublishResult as the wire has it. */
export interface ResultFields {
  readonly id: string;
  readonly position: string;
  readonly duplicate: boolean;
  readonly audience: Audience;
}

/** Agents of an audience that are told by name. */
const TOLD_AGENTS = 100;
const RESULT_TAG = 0x0a;
const ID_TAG = 0x0a;
const POSITION_TAG = 0x12;
const DUPLICATE_TAG = 0x18;
const DURABILITY_TAG = 0x10;

/** A PublishResponse. Ids and positions are ASCII, so their lengths are known without encoding them. */
export function encodePublishResponse(results: readonly ResultFields[], durability: Durability): Buffer {
  const audiences = results.map(({ audience }) => (audience === null ? undefined : encodeAudience(audience)));
  let total = 2;
  const sizes = results.map(({ id, position, duplicate }, i) => {
    const size =
      1 +
      varintSize(id.length) +
      id.length +
      1 +
      varintSize(position.length) +
      position.length +
      (duplicate ? 2 : 0) +
      (audiences[i]?.length ?? 0);
    total += 1 + varintSize(size) + size;
    return size;
  });
  const bytes = Buffer.allocUnsafe(total);
  let at = 0;
  for (let i = 0; i < results.length; i++) {
    const { id, position, duplicate } = results[i]!;
    bytes[at++] = RESULT_TAG;
    at = writeVarint(bytes, at, sizes[i]!);
    bytes[at++] = ID_TAG;
    at = writeVarint(bytes, at, id.length);
    at += bytes.write(id, at, "latin1");
    bytes[at++] = POSITION_TAG;
    at = writeVarint(bytes, at, position.length);
    at += bytes.write(position, at, "latin1");
    if (duplicate) {
      bytes[at++] = DUPLICATE_TAG;
      bytes[at++] = 1;
    }
    const audience = audiences[i];
    if (audience !== undefined) at += audience.copy(bytes, at);
  }
  bytes[at++] = DURABILITY_TAG;
  bytes[at++] = DURABILITIES.indexOf(durability) + 1;
  return bytes;
}

function encodeAudience(audience: readonly string[]): Buffer {
  const fields = [varintField(1, audience.length)];
  for (const agentId of audience.slice(0, TOLD_AGENTS)) fields.push(stringField(2, agentId));
  return messageField(4, fields);
}

/** A PublishStreamResponse or ConnectResponse around one finished message: request_id is field 1 in both. */
export function encodeAnswer(requestId: number, field: number, message: Uint8Array): Buffer {
  return Buffer.concat([answerHead(requestId, field, message.length), message]);
}

/** The bytes that go before a finished message to make it a field of an answer. */
export function answerHead(requestId: number, field: number, messageBytes: number): Buffer {
  const tag = field * 8 + 2;
  const idBytes = requestId === 0 ? 0 : 1 + varintSize(requestId);
  const head = Buffer.allocUnsafe(idBytes + varintSize(tag) + varintSize(messageBytes));
  let at = 0;
  if (requestId !== 0) {
    head[at++] = 0x08;
    at = writeVarint(head, at, requestId);
  }
  writeVarint(head, writeVarint(head, at, tag), messageBytes);
  return head;
}
