import { BYTES, VARINT, WireReader } from "./reader.ts";

/** A PublishRequest with its messages still encoded. */
export interface ScannedPublish {
  readonly agentId: string;
  readonly room: string;
  readonly channel: string;
  readonly messages: readonly Uint8Array[];
}

/** Reads a PublishRequest without decoding its messages. Fields of newer clients are passed over. */
export function scanPublish(buffer: Buffer, start = 0, end = buffer.length): ScannedPublish {
  const reader = new WireReader(buffer, start, end);
  let agentId = "";
  let room = "";
  let channel = "";
  const messages: Uint8Array[] = [];
  while (reader.next()) {
    if (reader.field > 4) continue;
    reader.expect(BYTES, "PublishRequest");
    if (reader.field === 4) messages.push(buffer.subarray(reader.start, reader.end));
    else if (reader.field === 1) agentId = reader.string("agent_id");
    else if (reader.field === 2) room = reader.string("room");
    else channel = reader.string("channel");
  }
  return { agentId, room, channel, messages };
}

/** A PublishStreamRequest. */
export interface ScannedStreamPublish {
  readonly requestId: number;
  /** Undefined: the client left it out. */
  readonly publish: ScannedPublish | undefined;
}

export function scanStreamPublish(buffer: Buffer): ScannedStreamPublish {
  const reader = new WireReader(buffer, 0, buffer.length);
  let requestId = 0;
  let publish: ScannedPublish | undefined;
  while (reader.next()) {
    if (reader.field === 1) {
      reader.expect(VARINT, "request_id");
      requestId = reader.int32() >>> 0;
    } else if (reader.field === 2) {
      reader.expect(BYTES, "publish");
      publish = mergePublish(publish, scanPublish(buffer, reader.start, reader.end));
    }
  }
  return { requestId, publish };
}

/** Protobuf merges a message field that comes twice. */
function mergePublish(first: ScannedPublish | undefined, second: ScannedPublish): ScannedPublish {
  if (first === undefined) return second;
  return {
    agentId: second.agentId || first.agentId,
    room: second.room || first.room,
    channel: second.channel || first.channel,
    messages: [...first.messages, ...second.messages],
  };
}

/** Field `publish` of ConnectRequest. */
const CONNECT_PUBLISH = 3;

/** A ConnectRequest, when it is a publish and nothing else; undefined: decode it. */
export function scanConnectPublish(buffer: Buffer): { requestId: number; publish: ScannedPublish } | undefined {
  const reader = new WireReader(buffer, 0, buffer.length);
  let requestId = 0;
  let publish: ScannedPublish | undefined;
  while (reader.next()) {
    if (reader.field === 1 && reader.type === VARINT) requestId = reader.int32() >>> 0;
    else if (reader.field === CONNECT_PUBLISH && reader.type === BYTES && publish === undefined) {
      publish = scanPublish(buffer, reader.start, reader.end);
    } else return undefined;
  }
  return publish && { requestId, publish };
}
