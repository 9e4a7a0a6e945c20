/**
 * grpc-js without a protobuf library: requests stay bytes and are walked by hand, answers are put together from bytes.
 * The harder peer for publishing, since decoding a whole Message with protobuf-es costs more than grpc-js itself.
 */
import {
  Server,
  ServerCredentials,
  type ServerDuplexStream,
  type ServerUnaryCall,
  type sendUnaryData,
} from "@grpc/grpc-js";
import { PATH } from "../clients/bus-requests.ts";
import { readServerArguments } from "./listen.ts";
import { encodePublishResponse, encodeStreamAnswer, entriesOfPublish, readStreamRequest } from "./reference-log.ts";

const { port } = readServerArguments();
const identity = (bytes: Buffer) => bytes;
const bytesOnly = {
  requestDeserialize: identity,
  requestSerialize: identity,
  responseDeserialize: identity,
  responseSerialize: identity,
};

const server = new Server();
server.addService(
  {
    publishStream: { path: PATH.publishStream, requestStream: true, responseStream: true, ...bytesOnly },
    publish: { path: PATH.publish, requestStream: false, responseStream: false, ...bytesOnly },
  },
  {
    publishStream(call: ServerDuplexStream<Buffer, Buffer>) {
      call.on("data", (request: Buffer) => {
        const { requestId, entries } = readStreamRequest(request);
        call.write(encodeStreamAnswer(requestId, entries.length));
      });
      call.on("end", () => call.end());
      call.on("error", () => {});
    },
    publish(call: ServerUnaryCall<Buffer, Buffer>, callback: sendUnaryData<Buffer>) {
      callback(null, encodePublishResponse(entriesOfPublish(call.request).length));
    },
  },
);
server.bindAsync(`127.0.0.1:${port}`, ServerCredentials.createInsecure(), (error) => {
  if (error) throw error;
});
