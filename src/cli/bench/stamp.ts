/** A payload must hold a stamp: when it was sent. */
export const STAMP_BYTES = 8;

/** A payload of this size that says when it was made, by this process's clock. */
export function stampedPayload(bytes: number, now: number): Uint8Array {
  const payload = new Uint8Array(bytes);
  new DataView(payload.buffer).setFloat64(0, now);
  return payload;
}

/** When a payload was made. */
export function stampOf(payload: Uint8Array): number {
  return new DataView(payload.buffer, payload.byteOffset, payload.byteLength).getFloat64(0);
}
