/** The floor that Node allows: `node:http2` with nothing on top, one gRPC message a delivery, or one a batch. */
import { createServer, type ServerHttp2Stream } from "node:http2";
import { frameGrpc, PATH } from "../clients/bus-requests.ts";
import { GrpcMessageReader } from "../clients/grpc-message-reader.ts";
import { readServerArguments } from "./listen.ts";
import {
  encodePublishResponse,
  encodeStreamAnswer,
  entriesOfPublish,
  openedResponse,
  readStreamRequest,
} from "./reference-log.ts";

const { port, batchFrames } = readServerArguments();
const subscribers = new Set<ServerHttp2Stream>();
const HEADERS = { ":status": 200, "content-type": "application/grpc+proto" };
const TRAILERS = { "grpc-status": "0" };

// The windows that the bus uses, so that publishers wait for neither more than for the other.
const server = createServer({ settings: { initialWindowSize: 1_048_576 } });
server.on("session", (session) => session.setLocalWindowSize(4_194_304));
server.on("stream", (stream, headers) => {
  stream.on("error", () => {});
  switch (headers[":path"]) {
    case PATH.subscribe:
      serveSubscribe(stream);
      break;
    case PATH.publishStream:
      servePublishStream(stream);
      break;
    case PATH.publish:
      servePublish(stream);
      break;
    default:
      stream.respond({ ":status": 404 }, { endStream: true });
  }
});
server.listen(port, "127.0.0.1", 4096);

function fanOut(entries: readonly Buffer[]): void {
  const frames = batchFrames ? [frameGrpc(Buffer.concat(entries))] : entries.map(frameGrpc);
  for (const frame of frames) for (const stream of subscribers) stream.write(frame);
}

function serveSubscribe(stream: ServerHttp2Stream): void {
  stream.respond(HEADERS);
  stream.write(frameGrpc(openedResponse));
  stream.resume();
  subscribers.add(stream);
  stream.once("close", () => subscribers.delete(stream));
}

function servePublishStream(stream: ServerHttp2Stream): void {
  stream.respond(HEADERS, { waitForTrailers: true });
  stream.on("wantTrailers", () => stream.sendTrailers(TRAILERS));
  const reader = new GrpcMessageReader((message) => {
    const { requestId, entries } = readStreamRequest(message);
    fanOut(entries);
    stream.write(frameGrpc(encodeStreamAnswer(requestId, entries.length)));
  });
  stream.on("data", (chunk: Buffer) => reader.read(chunk, 0, chunk.length));
  stream.on("end", () => stream.end());
}

function servePublish(stream: ServerHttp2Stream): void {
  const reader = new GrpcMessageReader((message) => {
    const entries = entriesOfPublish(message);
    fanOut(entries);
    stream.respond(HEADERS, { waitForTrailers: true });
    stream.on("wantTrailers", () => stream.sendTrailers(TRAILERS));
    stream.end(frameGrpc(encodePublishResponse(entries.length)));
  });
  stream.on("data", (chunk: Buffer) => reader.read(chunk, 0, chunk.length));
}
