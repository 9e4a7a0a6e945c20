import { fromBinary } from "@bufbuild/protobuf";
import { type SubscribeRequest, SubscribeRequestSchema } from "../../../gen/agentbus/v1/bus_service_pb.ts";
import type { Subscription } from "../../bus/reading/subscription.ts";
import { BusError } from "../../core/errors.ts";
import { toBusError } from "../errors/error-status.ts";
import { subscribeInput } from "../translation/bus-translation.ts";
import type { FastMethod } from "./run-call.ts";

/** Subscribe: finished frames go from the subscription to the socket, and nothing waits for a promise. */
export const fastSubscribe: FastMethod = {
  name: "BusService/Subscribe",
  unary: false,
  open(call, identity, { bus, callers, validator }, finish) {
    let subscription: Subscription | undefined;
    /** Also while it is being opened. */
    let made: Subscription | undefined;
    let request: SubscribeRequest | undefined;
    let writable = true;
    let pumping = false;
    let closed = false;
    let wasGraceful = false;

    const pump = () => {
      if (pumping || subscription === undefined) return;
      pumping = true;
      let frame: Uint8Array | undefined;
      // Asked again after `undefined` while something became ready by asking.
      while (writable) {
        frame = subscription.next();
        if (frame === undefined) break;
        writable = call.write(frame);
      }
      pumping = false;
      if (writable && subscription.finished !== undefined) finish(subscription.finished.error);
    };

    const start = async (asked: SubscribeRequest) => {
      try {
        validator.check(SubscribeRequestSchema, asked);
        const input = subscribeInput(asked, callers.actor(identity, asked.agentId));
        subscription = await bus.subscriptions.open(input, (opening) => {
          made = opening;
          if (closed || call.finished) opening.close(wasGraceful);
        });
        subscription.onReady = pump;
        pump();
      } catch (thrown) {
        if (!closed) finish(toBusError(thrown, bus.logger));
      }
    };

    return {
      onMessage(payload) {
        if (request !== undefined) throw new BusError("MALFORMED_REQUEST", "Subscribe takes one request");
        request = decode(payload);
      },
      onEnd() {
        if (request === undefined) throw new BusError("MALFORMED_REQUEST", "Subscribe takes one request");
        void start(request);
      },
      onDrain() {
        writable = true;
        pump();
      },
      onFinish() {
        made?.close(false);
      },
      onClose(graceful) {
        closed = true;
        wasGraceful = graceful;
        made?.close(graceful);
      },
    };
  },
};

function decode(payload: Buffer): SubscribeRequest {
  try {
    return fromBinary(SubscribeRequestSchema, payload);
  } catch (cause) {
    throw new BusError("MALFORMED_REQUEST", "the body is not a SubscribeRequest", { cause });
  }
}
