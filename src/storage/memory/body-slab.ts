const MAX_SLAB_BYTES = 16_384;

/**
 * Copies the bodies of one log into memory of its own, so that a message keeps neither the request it came in nor other
 * logs' messages alive. Small batches share a slab with their neighbours in the same log, which go when they go; slabs
 * grow from the first message's size, so that a log with one message holds no 16 KiB for it.
 */
export class BodySlab {
  #slab: ArrayBuffer | undefined;
  #used = 0;

  /** Makes room for so many bytes of bodies that copy() will be called for. */
  reserve(bytes: number): void {
    if (this.#slab !== undefined && this.#slab.byteLength - this.#used >= bytes) return;
    const grown = Math.min((this.#slab?.byteLength ?? 0) * 2, MAX_SLAB_BYTES);
    this.#slab = Buffer.allocUnsafeSlow(Math.max(bytes, grown)).buffer;
    this.#used = 0;
  }

  copy(body: Uint8Array): Uint8Array {
    const copy = new Uint8Array(this.#slab!, this.#used, body.byteLength);
    copy.set(body);
    this.#used += body.byteLength;
    return copy;
  }
}
