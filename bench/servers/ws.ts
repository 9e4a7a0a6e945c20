/** The `ws` package without compression: one frame a message, as WebSocket servers usually send. */
import { type WebSocket, WebSocketServer } from "ws";
import { readServerArguments } from "./listen.ts";
import { encodePublishResponse, entriesOfPublish } from "./reference-log.ts";

const { port } = readServerArguments();
const subscribers = new Set<WebSocket>();

const server = new WebSocketServer({ port, host: "127.0.0.1", backlog: 4096, perMessageDeflate: false });
server.on("connection", (socket, request) => {
  socket.on("error", () => {});
  if (request.url === "/subscribe") {
    subscribers.add(socket);
    socket.on("close", () => subscribers.delete(socket));
    return;
  }
  socket.on("message", (data: Buffer) => {
    const entries = entriesOfPublish(data);
    for (const entry of entries) for (const subscriber of subscribers) subscriber.send(entry);
    socket.send(encodePublishResponse(entries.length));
  });
});
