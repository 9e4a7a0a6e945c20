/** A service as the documentation of connect-node writes it: async generators, one response a message. */
import { createServer } from "node:http2";
import { create } from "@bufbuild/protobuf";
import { connectNodeAdapter } from "@connectrpc/connect-node";
import {
  BusService,
  type PublishRequest,
  PublishRequestSchema,
  type PublishResponse,
} from "../../gen/agentbus/v1/bus_service_pb.ts";
import type { Message } from "../../gen/agentbus/v1/message_pb.ts";
import { acceptMessages, publishResponse } from "./accepted-message.ts";
import { readServerArguments } from "./listen.ts";

interface Subscriber {
  queue: Message[];
  wake: (() => void) | undefined;
}

const { port } = readServerArguments();
const subscribers = new Set<Subscriber>();

function fanOut(request: PublishRequest): PublishResponse {
  const messages = acceptMessages(request);
  for (const subscriber of subscribers) {
    subscriber.queue.push(...messages);
    subscriber.wake?.();
  }
  return publishResponse(messages);
}

const handler = connectNodeAdapter({
  routes: (router) =>
    router.service(BusService, {
      publish: (request) => fanOut(request),
      async *publishStream(requests) {
        for await (const { requestId, publish } of requests) {
          const published = fanOut(publish ?? create(PublishRequestSchema));
          yield { requestId, result: { case: "published", value: published } };
        }
      },
      async *subscribe(_request, { signal }) {
        const subscriber: Subscriber = { queue: [], wake: undefined };
        signal.addEventListener("abort", () => subscriber.wake?.(), { once: true });
        subscribers.add(subscriber);
        try {
          yield { opened: { nodeId: "reference" } };
          while (!signal.aborted) {
            if (subscriber.queue.length === 0) {
              await new Promise<void>((resolve) => {
                subscriber.wake = resolve;
              });
              subscriber.wake = undefined;
            }
            const messages = subscriber.queue;
            subscriber.queue = [];
            for (const message of messages) yield { messages: [message] };
          }
        } finally {
          subscribers.delete(subscriber);
        }
      },
    }),
});
createServer({ settings: { initialWindowSize: 1_048_576 } }, handler)
  .on("session", (session) => session.setLocalWindowSize(4_194_304))
  .listen(port, "127.0.0.1", 4096);
