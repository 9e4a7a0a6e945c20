import { BusError } from "../../core/errors.ts";
import { FRAME_HEADER_BYTES } from "../../core/message-codec.ts";
import { frameOf } from "../../wire/frames.ts";
import { scanPublish } from "../../wire/scan-publish.ts";
import { toBusError } from "../errors/error-status.ts";
import { encodeOutcome } from "../lines/publish-line.ts";
import type { FastMethod } from "./run-call.ts";

/** Unary Publish: the request's messages are checked as they are and never decoded. */
export const fastPublish: FastMethod = {
  name: "BusService/Publish",
  unary: true,
  open(call, identity, { bus, callers }, finish) {
    let payload: Buffer | undefined;
    return {
      onMessage(message) {
        if (payload !== undefined) throw new BusError("MALFORMED_REQUEST", "Publish takes one request");
        payload = message;
      },
      onEnd() {
        if (payload === undefined) throw new BusError("MALFORMED_REQUEST", "Publish takes one request");
        const request = scanPublish(payload);
        const agentId = callers.actor(identity, request.agentId);
        bus.publisher.publish({ ...request, agentId }).then(
          (outcome) => call.answer(frameOf(encodeOutcome(outcome)), FRAME_HEADER_BYTES),
          (thrown: unknown) => finish(toBusError(thrown, bus.logger)),
        );
      },
      onDrain() {},
      onClose() {},
    };
  },
};
