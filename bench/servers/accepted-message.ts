import { randomUUID } from "node:crypto";
import { create } from "@bufbuild/protobuf";
import { timestampFromDate } from "@bufbuild/protobuf/wkt";
import {
  type PublishRequest,
  type PublishResponse,
  PublishResponseSchema,
} from "../../gen/agentbus/v1/bus_service_pb.ts";
import { type Message, MessageType } from "../../gen/agentbus/v1/message_pb.ts";

let sequence = 0n;

/** Sets the fields that the bus would set, for the reference servers that work with generated messages. */
export function acceptMessages(request: PublishRequest): Message[] {
  const acceptTime = timestampFromDate(new Date());
  for (const message of request.messages) {
    message.id ||= randomUUID();
    message.type = MessageType.MESSAGE;
    message.room = request.room;
    message.channel = request.channel;
    message.sender = request.agentId;
    message.sequence = ++sequence;
    message.epoch = 0x12345678;
    message.acceptTime = acceptTime;
  }
  return request.messages;
}

export function publishResponse(messages: readonly Message[]): PublishResponse {
  const results = messages.map(({ id, room, channel, sequence: number }) => ({
    id,
    position: `${room}:${channel}@12345678.${number}`,
  }));
  return create(PublishResponseSchema, { results });
}
