import { create, fromBinary } from "@bufbuild/protobuf";
import { type SubscribeResponse, SubscribeResponseSchema } from "../../../gen/agentbus/v1/bus_service_pb.ts";
import type { Subscription } from "../../bus/reading/subscription.ts";
import { FRAME_HEADER_BYTES } from "../../core/message-codec.ts";
import { WireReader } from "../../wire/reader.ts";

/** Resolves at the next call of `notify`, or when the call is over: no handler outlives its call. */
export class Wakeup {
  #resolve: (() => void) | undefined;
  #pending = false;

  constructor(signal: AbortSignal) {
    signal.addEventListener("abort", () => this.notify(), { once: true });
  }

  notify(): void {
    this.#pending = true;
    this.#resolve?.();
  }

  async wait(): Promise<void> {
    if (!this.#pending) await new Promise<void>((resolve) => (this.#resolve = resolve));
    this.#pending = false;
    this.#resolve = undefined;
  }
}

/** A subscription as Connect's own handlers want it. */
export async function* responsesOf(
  subscription: Subscription,
  json: boolean,
  signal: AbortSignal,
): AsyncGenerator<SubscribeResponse> {
  const wakeup = new Wakeup(signal);
  subscription.onReady = () => wakeup.notify();
  try {
    while (!signal.aborted) {
      const frame = subscription.next();
      if (frame !== undefined) {
        const payload = frame.subarray(FRAME_HEADER_BYTES);
        yield json ? fromBinary(SubscribeResponseSchema, payload) : undecoded(payload);
      } else if (subscription.finished !== undefined) {
        if (subscription.finished.error !== undefined) throw subscription.finished.error;
        return;
      } else await wakeup.wait();
    }
  } finally {
    subscription.close(subscription.finished !== undefined);
  }
}

/**
 * The finished bytes as unknown fields, which protobuf-es writes as they are: nothing is decoded and encoded again.
 * Only for binary: JSON has no place for unknown fields and would silently leave them out.
 */
export function undecoded(payload: Uint8Array): SubscribeResponse {
  const reader = WireReader.of(payload);
  const response = create(SubscribeResponseSchema);
  const fields: { no: number; wireType: number; data: Uint8Array }[] = [];
  while (reader.next()) {
    // Its data begins behind the tag; all field numbers here have tags of one byte.
    const data = reader.buffer.subarray(reader.tagStart + 1, reader.end);
    fields.push({ no: reader.field, wireType: reader.type, data });
  }
  response.$unknown = fields;
  return response;
}
