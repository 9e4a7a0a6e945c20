/**
 * Writes arrays of texts and numbers in MessagePack, which the server's Lua unpacks in one native call: a thousand
 * arguments of their own would cost more than what is done with them.
 */
export class MessagePackArray {
  #target: Buffer;
  #at = 5;
  #count = 0;

  /** `bytes`: how many it will take, as far as known; it grows. */
  constructor(bytes: number) {
    this.#target = Buffer.allocUnsafe(bytes + 5);
  }

  text(text: string): void {
    const target = this.#reserve(5 + text.length * 3);
    const length = target.write(text, this.#at + 5, "utf8");
    target[this.#at] = 0xdb; // a text with a length of 32 bits
    target.writeUInt32BE(length, this.#at + 1);
    this.#at += 5 + length;
    this.#count++;
  }

  number(value: number): void {
    const target = this.#reserve(9);
    target[this.#at] = 0xcb;
    this.#at = target.writeDoubleBE(value, this.#at + 1);
    this.#count++;
  }

  get bytes(): Buffer {
    this.#target[0] = 0xdd; // an array with a length of 32 bits
    this.#target.writeUInt32BE(this.#count, 1);
    return this.#target.subarray(0, this.#at);
  }

  #reserve(bytes: number): Buffer {
    if (this.#at + bytes > this.#target.length) {
      const grown = Buffer.allocUnsafe((this.#at + bytes) * 2);
      this.#target.copy(grown, 0, 0, this.#at);
      this.#target = grown;
    }
    return this.#target;
  }
}
