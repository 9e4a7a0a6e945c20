import { frameOf } from "../../wire/frames.ts";
import { PublishLine } from "../lines/publish-line.ts";
import { FrameBatch } from "./frame-batch.ts";
import type { FastMethod } from "./run-call.ts";

/** PublishStream: requests are read ahead while answers wait for the store. */
export const fastPublishStream: FastMethod = {
  name: "BusService/PublishStream",
  unary: false,
  open(call, identity, { bus, callers, lines }, finish) {
    const { limits } = bus.options;
    // Who does not read its answers is not read from, either: so nothing piles up.
    let blocked = false;
    const readOn = () => {
      if (!blocked && !line.saturated) call.sink.resume();
    };
    const answers = new FrameBatch(call, () => {
      blocked = true;
      call.sink.pause();
    });
    const line = new PublishLine({
      publisher: bus.publisher,
      clock: bus.clock,
      logger: bus.logger,
      maxInFlight: limits.streamInFlight,
      maxViolations: limits.protocolViolations,
      actor: (agentId) => callers.actor(identity, agentId),
      send: (answer) => answers.add(frameOf(answer)),
      finish: (error) => {
        answers.flush();
        finish(error);
      },
      onRelief: readOn,
    });
    const forget = lines.add({ goAway: () => line.goAway(), fail: finish });
    call.start();
    return {
      onMessage(payload) {
        line.receive(payload);
        if (line.saturated) call.sink.pause();
      },
      onEnd: () => line.end(),
      onDrain() {
        blocked = false;
        readOn();
      },
      onClose() {
        forget();
        line.abandon();
      },
    };
  },
};
