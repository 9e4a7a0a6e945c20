import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import type { HandlerContext, ServiceImpl } from "@connectrpc/connect";
import {
  type BusService,
  ConnectRequestSchema,
  type ConnectResponse,
  ConnectResponseSchema,
  FetchResponseSchema,
  GetMessageResponseSchema,
  PublishResponseSchema,
  PublishStreamRequestSchema,
  type PublishStreamResponse,
  PublishStreamResponseSchema,
  SubscribeResponseSchema,
} from "../../../gen/agentbus/v1/bus_service_pb.ts";
import { type Message, MessageSchema } from "../../../gen/agentbus/v1/message_pb.ts";
import type { Bus } from "../../bus/bus.ts";
import { BusError } from "../../core/errors.ts";
import { FRAME_HEADER_BYTES } from "../../core/message-codec.ts";
import { identityOf } from "../call-identity.ts";
import type { Callers } from "../callers.ts";
import type { RequestValidator } from "../errors/validation.ts";
import { ConnectLine } from "../lines/connect-line.ts";
import type { OpenLines } from "../lines/open-lines.ts";
import { responsesOf, Wakeup } from "../lines/portable-stream.ts";
import { encodeOutcome, PublishLine } from "../lines/publish-line.ts";
import { fetchInput, gapMessage, subscribeInput } from "../translation/bus-translation.ts";

export interface BusHandlersOptions {
  readonly bus: Bus;
  readonly callers: Callers;
  readonly validator: RequestValidator;
  readonly lines: OpenLines;
}

/** BusService for everything that does not take the fast path. Both end in the same use cases and the same bytes. */
export function createBusHandlers({
  bus,
  callers,
  validator,
  lines,
}: BusHandlersOptions): ServiceImpl<typeof BusService> {
  const { limits } = bus.options;
  const actor = (context: HandlerContext, agentId: string) => callers.actor(identityOf(context), agentId);
  const oneMessage = (sealed: readonly Uint8Array[]): Message[] => {
    const frame = bus.codec.frame({ sealed });
    return fromBinary(SubscribeResponseSchema, frame.subarray(FRAME_HEADER_BYTES)).messages;
  };
  return {
    async publish(request, context) {
      const messages = request.messages.map((message) => toBinary(MessageSchema, message));
      const agentId = actor(context, request.agentId);
      const outcome = await bus.publisher.publish({ room: request.room, channel: request.channel, agentId, messages });
      return fromBinary(PublishResponseSchema, encodeOutcome(outcome));
    },

    async *publishStream(requests, context) {
      const wakeup = new Wakeup(context.signal);
      const answers: PublishStreamResponse[] = [];
      let over: { error: BusError | undefined } | undefined;
      const finish = (error: BusError | undefined) => {
        over ??= { error };
        wakeup.notify();
      };
      const relief = new Wakeup(context.signal);
      const line = new PublishLine({
        publisher: bus.publisher,
        clock: bus.clock,
        logger: bus.logger,
        maxInFlight: limits.streamInFlight,
        maxViolations: limits.protocolViolations,
        actor: (agentId) => actor(context, agentId),
        send: (answer) => {
          answers.push(fromBinary(PublishStreamResponseSchema, answer));
          wakeup.notify();
        },
        finish,
        onRelief: () => relief.notify(),
      });
      const forget = lines.add({ goAway: () => line.goAway(), fail: finish });
      const room = () => !line.saturated && answers.length < limits.streamInFlight;
      void readAll(requests, room, relief, (request) =>
        line.receive(Buffer.from(toBinary(PublishStreamRequestSchema, request))),
      ).then(
        () => line.end(),
        (error: unknown) => finish(asBusError(error)),
      );
      try {
        while (!context.signal.aborted) {
          const answer = answers.shift();
          if (answer !== undefined) {
            yield answer;
            relief.notify();
          } else if (over !== undefined) {
            if (over.error !== undefined) throw over.error;
            return;
          } else await wakeup.wait();
        }
      } finally {
        forget();
        line.abandon();
      }
    },

    async *subscribe(request, context) {
      const { signal } = context;
      const input = subscribeInput(request, actor(context, request.agentId));
      const subscription = await bus.subscriptions.open(input, (opening) => {
        if (signal.aborted) opening.close(false);
        else signal.addEventListener("abort", () => opening.close(false), { once: true });
      });
      yield* responsesOf(subscription, isJson(context), signal);
    },

    async *connect(requests, context) {
      const wakeup = new Wakeup(context.signal);
      const relief = new Wakeup(context.signal);
      const responses: ConnectResponse[] = [];
      let over: { error: BusError | undefined } | undefined;
      const finish = (error: BusError | undefined) => {
        over ??= { error };
        wakeup.notify();
      };
      const line = new ConnectLine({
        bus,
        validator,
        actor: (agentId) => actor(context, agentId),
        send: (parts) => {
          responses.push(fromBinary(ConnectResponseSchema, Buffer.concat(parts)));
          wakeup.notify();
          return false; // one at a time: the next when this one is taken
        },
        finish,
        onRelief: () => relief.notify(),
      });
      const forget = lines.add({ goAway: (graceMs) => line.goAway(graceMs), fail: finish });
      const room = () => !line.saturated && responses.length < limits.streamInFlight;
      void readAll(requests, room, relief, (request) =>
        line.receive(Buffer.from(toBinary(ConnectRequestSchema, request))),
      ).then(
        () => line.end(),
        (error: unknown) => finish(asBusError(error)),
      );
      try {
        while (!context.signal.aborted) {
          const response = responses.shift();
          if (response !== undefined) {
            yield response;
            relief.notify();
            if (responses.length === 0) line.drained();
          } else if (over !== undefined) {
            if (over.error !== undefined) throw over.error;
            return;
          } else await wakeup.wait();
        }
      } finally {
        forget();
        line.abandon(over !== undefined);
      }
    },

    async fetch(request, context) {
      const outcome = await bus.fetcher.fetch(fetchInput(request, actor(context, request.agentId)), context.signal);
      return create(FetchResponseSchema, {
        messages: oneMessage(outcome.sealed),
        position: outcome.position,
        caughtUp: outcome.caughtUp,
        gaps: outcome.gaps.map(gapMessage),
      });
    },

    async getMessage(request, context) {
      const agentId = actor(context, request.agentId);
      const { which } = request;
      if (which.case === undefined) {
        const violations = [{ field: "which", description: "must be set" }];
        throw new BusError("INVALID_FIELD", "give position or message_id", { violations });
      }
      const wanted = which.case === "position" ? { position: which.value } : { id: which.value };
      const { sealed, position } = await bus.fetcher.get({ ...request, agentId }, wanted);
      return create(GetMessageResponseSchema, { message: oneMessage([sealed])[0]!, position });
    },
  };
}

async function readAll<T>(
  requests: AsyncIterable<T>,
  room: () => boolean,
  relief: Wakeup,
  take: (request: T) => void,
): Promise<void> {
  for await (const request of requests) {
    take(request);
    while (!room()) await relief.wait();
  }
}

function isJson(context: HandlerContext): boolean {
  return (context.requestHeader.get("content-type") ?? "").includes("json");
}

function asBusError(error: unknown): BusError {
  return error instanceof BusError
    ? error
    : new BusError("MALFORMED_REQUEST", "the request stream broke", { cause: error });
}
