/** The payload that every figure is measured with, in bytes. */
export const PAYLOAD_BYTES = 256;

const SENT_AT = 0;
const INDEX = 8;
const FILLER = 16;

/** Milliseconds on the clock that all processes of one machine share. */
export function sharedClockMs(): number {
  return Number(process.hrtime.bigint()) / 1e6;
}

/**
 * One payload: the time it was sent, its index, and filler that does not compress and is printable, so that it passes
 * through text protocols too.
 */
export function createPayload(): Buffer {
  const payload = Buffer.alloc(PAYLOAD_BYTES);
  let state = 1;
  for (let i = FILLER; i < PAYLOAD_BYTES; i++) {
    state = (state * 48_271) % 2_147_483_647;
    payload[i] = 33 + (state % 94);
  }
  return payload;
}

export function stampPayload(payload: Buffer, offset: number, sentAtMs: number, index: number): void {
  payload.writeDoubleLE(sentAtMs, offset + SENT_AT);
  payload.writeDoubleLE(index, offset + INDEX);
}

export function sentAtOf(payload: Buffer, offset = 0): number {
  return payload.readDoubleLE(offset + SENT_AT);
}

export function indexOf(payload: Buffer, offset = 0): number {
  return payload.readDoubleLE(offset + INDEX);
}
