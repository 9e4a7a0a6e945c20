/**
 * grpc-js as a careful engineer would use it: protobuf-es decodes what comes in, each message is encoded once and the
 * finished bytes are shared by all subscribers.
 */
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import {
  Server,
  ServerCredentials,
  type ServerDuplexStream,
  type ServerUnaryCall,
  type ServerWritableStream,
  type sendUnaryData,
} from "@grpc/grpc-js";
import {
  type PublishRequest,
  PublishRequestSchema,
  type PublishResponse,
  PublishResponseSchema,
  type PublishStreamRequest,
  PublishStreamRequestSchema,
  type PublishStreamResponse,
  PublishStreamResponseSchema,
  SubscribeResponseSchema,
} from "../../gen/agentbus/v1/bus_service_pb.ts";
import { PATH } from "../clients/bus-requests.ts";
import { acceptMessages, publishResponse } from "./accepted-message.ts";
import { readServerArguments } from "./listen.ts";
import { openedResponse } from "./reference-log.ts";

const { port, batchFrames } = readServerArguments();
const subscribers = new Set<ServerWritableStream<Buffer, Buffer>>();
const identity = (bytes: Buffer) => bytes;
const bytesOf = (bytes: Uint8Array) => Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);

function fanOut(request: PublishRequest): PublishResponse {
  const messages = acceptMessages(request);
  if (subscribers.size > 0) {
    const responses = batchFrames ? [{ messages }] : messages.map((message) => ({ messages: [message] }));
    for (const response of responses) {
      const frame = bytesOf(toBinary(SubscribeResponseSchema, create(SubscribeResponseSchema, response)));
      for (const call of subscribers) call.write(frame);
    }
  }
  return publishResponse(messages);
}

const server = new Server({ "grpc.max_concurrent_streams": 100_000 });
server.addService(
  {
    subscribe: {
      path: PATH.subscribe,
      requestStream: false,
      responseStream: true,
      requestDeserialize: identity,
      requestSerialize: identity,
      responseDeserialize: identity,
      responseSerialize: identity,
    },
    publishStream: {
      path: PATH.publishStream,
      requestStream: true,
      responseStream: true,
      requestDeserialize: (bytes: Buffer) => fromBinary(PublishStreamRequestSchema, bytes),
      requestSerialize: identity,
      responseDeserialize: identity,
      responseSerialize: (answer: PublishStreamResponse) => bytesOf(toBinary(PublishStreamResponseSchema, answer)),
    },
    publish: {
      path: PATH.publish,
      requestStream: false,
      responseStream: false,
      requestDeserialize: (bytes: Buffer) => fromBinary(PublishRequestSchema, bytes),
      requestSerialize: identity,
      responseDeserialize: identity,
      responseSerialize: (answer: PublishResponse) => bytesOf(toBinary(PublishResponseSchema, answer)),
    },
  },
  {
    subscribe(call: ServerWritableStream<Buffer, Buffer>) {
      call.write(openedResponse);
      subscribers.add(call);
      call.on("cancelled", () => subscribers.delete(call));
      call.on("error", () => subscribers.delete(call));
    },
    publishStream(call: ServerDuplexStream<PublishStreamRequest, PublishStreamResponse>) {
      call.on("data", ({ requestId, publish }: PublishStreamRequest) => {
        const published = fanOut(publish ?? create(PublishRequestSchema));
        call.write(create(PublishStreamResponseSchema, { requestId, result: { case: "published", value: published } }));
      });
      call.on("end", () => call.end());
      call.on("error", () => {});
    },
    publish(call: ServerUnaryCall<PublishRequest, PublishResponse>, callback: sendUnaryData<PublishResponse>) {
      callback(null, fanOut(call.request));
    },
  },
);
server.bindAsync(`127.0.0.1:${port}`, ServerCredentials.createInsecure(), (error) => {
  if (error) throw error;
});
