const MAX_SLAB_BYTES = 65_536;

/**
 * Copies the bodies of one log into memory of its own, so that a message keeps neither the request it came in nor other
 * logs' messages alive. Neighbours in one log share a slab and go together; slabs grow from the first message's size, so
 * that a log with one message holds no 64 KiB for it.
 */
export class BodySlab {
  /** Where the last body was copied to, and from which byte on. */
  slab = new Uint8Array(0);
  offset = 0;
  #used = 0;

  /** Makes room for so many bytes of bodies that copy() will be called for. */
  reserve(bytes: number): void {
    if (this.slab.length - this.#used >= bytes) return;
    const grown = Math.min(this.slab.length * 2, MAX_SLAB_BYTES);
    this.slab = Buffer.allocUnsafeSlow(Math.max(bytes, grown));
    this.#used = 0;
  }

  copy(body: Uint8Array): void {
    this.slab.set(body, this.#used);
    this.offset = this.#used;
    this.#used += body.byteLength;
  }
}
