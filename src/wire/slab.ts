const CHUNK_BYTES = 262_144;
/** Larger pieces get memory of their own: they would leave much of a chunk unused. */
const MAX_PIECE_BYTES = CHUNK_BYTES / 8;

/**
 * Hands out memory from large chunks, since an allocation of its own costs a microsecond and more. A piece keeps its
 * whole chunk alive: what is kept for long is copied by whoever keeps it.
 */
export class Slab {
  #chunk: Buffer = Buffer.allocUnsafeSlow(CHUNK_BYTES);
  #used = 0;

  take(bytes: number): Buffer {
    if (bytes > MAX_PIECE_BYTES) return Buffer.allocUnsafeSlow(bytes);
    if (this.#used + bytes > CHUNK_BYTES) {
      this.#chunk = Buffer.allocUnsafeSlow(CHUNK_BYTES);
      this.#used = 0;
    }
    const piece = this.#chunk.subarray(this.#used, this.#used + bytes);
    this.#used += bytes;
    return piece;
  }
}
