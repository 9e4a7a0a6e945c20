import { create } from "@bufbuild/protobuf";
import type { Connection } from "./connection.ts";
import { BusError, fromItemError } from "./errors.ts";
import type { PublishRequest, PublishResponse, PublishStreamRequest } from "./gen/agentbus/v1/bus_service_pb.ts";
import { PublishStreamRequestSchema } from "./gen/agentbus/v1/bus_service_pb.ts";
import { PushIterable } from "./push-iterable.ts";

export interface PublishLinkEvents {
  /** A request was answered: stored, or refused. */
  answered(requestId: number, outcome: PublishResponse | BusError): void;
  /** The link is gone, and what it did not answer may or may not be stored. Nothing follows. */
  cut(error: BusError): void;
}

/** The way of publish requests to one server. Answers come in the order of the requests. */
export interface PublishLink {
  /** Numbers grow; one is used again only for a request that was refused with retry SAME. */
  send(requestId: number, request: PublishRequest): void;
  /** No event follows. */
  close(): void;
}

/** One PublishStream: any number of requests on their way. */
export function openStreamLink({ clients }: Connection, events: PublishLinkEvents): PublishLink {
  const abort = new AbortController();
  const requests = new PushIterable<PublishStreamRequest>();
  const read = async () => {
    try {
      for await (const { requestId, result } of clients.bus.publishStream(requests, {
        signal: abort.signal,
        timeoutMs: 0,
      })) {
        if (abort.signal.aborted) return;
        events.answered(requestId, outcomeOf(result));
      }
      throw new BusError({ code: "UNAVAILABLE", message: "the publish stream was cut" });
    } catch (error) {
      if (abort.signal.aborted) return;
      abort.abort();
      requests.end();
      events.cut(BusError.from(error));
    }
  };
  void read();
  return {
    send: (requestId, publish) => requests.push(create(PublishStreamRequestSchema, { requestId, publish })),
    close: () => {
      abort.abort();
      requests.end();
    },
  };
}

function outcomeOf(
  result:
    | { case: "published"; value: PublishResponse }
    | { case: "error"; value: Parameters<typeof fromItemError>[0] }
    | { case: undefined; value?: undefined },
) {
  if (result.case === "published") return result.value;
  if (result.case === "error") return fromItemError(result.value);
  throw new BusError({ code: "INTERNAL", message: "the bus answered a publish with nothing", retry: "RECONNECT" });
}

/** One call for each request, where request streams do not work. */
export function openUnaryLink(
  { clients, callTimeoutMs: timeoutMs }: Connection,
  events: PublishLinkEvents,
): PublishLink {
  const abort = new AbortController();
  return {
    send: (requestId, request) => {
      clients.bus.publish(request, { signal: abort.signal, timeoutMs }).then(
        (response) => {
          if (!abort.signal.aborted) events.answered(requestId, response);
        },
        (error) => {
          if (!abort.signal.aborted) events.answered(requestId, BusError.from(error));
        },
      );
    },
    close: () => abort.abort(),
  };
}
