import { FRAME_HEADER_BYTES } from "../../core/message-codec.ts";
import { frameOf } from "../../wire/frames.ts";
import { ConnectLine } from "../lines/connect-line.ts";
import type { FastMethod } from "./run-call.ts";

/** Below this a copy costs less than a second write. */
const COPY_BYTES = 4_096;

/** Connect: one full-duplex line. */
export const fastConnect: FastMethod = {
  name: "BusService/Connect",
  unary: false,
  open(call, identity, { bus, callers, validator, lines }, finish) {
    // Who does not read its answers is not read from, either: so nothing piles up.
    let blocked = false;
    const readOn = () => {
      if (!blocked && !line.saturated) call.sink.resume();
    };
    const write = (bytes: Uint8Array) => {
      if (call.write(bytes)) return true;
      blocked = true;
      call.sink.pause();
      return false;
    };
    const line = new ConnectLine({
      bus,
      validator,
      actor: (agentId) => callers.actor(identity, agentId),
      send: (parts) => {
        const length = parts.reduce((sum, part) => sum + part.length, 0);
        if (length <= COPY_BYTES) return write(frameOf(Buffer.concat(parts, length)));
        const head = Buffer.allocUnsafe(FRAME_HEADER_BYTES);
        head[0] = 0;
        head.writeUInt32BE(length, 1);
        const [first, ...rest] = parts;
        let writable = write(Buffer.concat([head, first!]));
        for (const part of rest) writable = write(part);
        return writable;
      },
      finish,
      onRelief: readOn,
    });
    const forget = lines.add({ goAway: (graceMs) => line.goAway(graceMs), fail: finish });
    call.start();
    return {
      onMessage(payload) {
        line.receive(payload);
        if (line.saturated) call.sink.pause();
      },
      onEnd: () => line.end(),
      onDrain: () => {
        blocked = false;
        readOn();
        line.drained();
      },
      onClose(graceful) {
        forget();
        line.abandon(graceful);
      },
    };
  },
};
