const GRPC_HEADER_BYTES = 5;
const MESSAGES_TAG = 0x0a; // SubscribeResponse.messages, length-delimited

const STATE = { HEADER: 0, TAG: 1, LENGTH: 2, VARINT: 3, SKIP: 4 } as const;

/**
 * Counts the messages in a stream of gRPC-framed SubscribeResponses without copying or decoding anything: it walks from
 * length to length. A message counts when its last byte is here.
 */
export class DeliveryCounter {
  /** Complete responses so far. */
  responses = 0;
  #state: number = STATE.HEADER;
  #headerLeft = GRPC_HEADER_BYTES;
  #length = 0;
  #left = 0;
  #varint = 0;
  #shift = 0;
  #skip = 0;
  #isMessage = false;

  /** Takes the next bytes and returns how many messages they completed. */
  count(bytes: Uint8Array, start: number, end: number): number {
    let offset = start;
    let messages = 0;
    while (offset < end) {
      switch (this.#state) {
        case STATE.SKIP: {
          const size = Math.min(this.#skip, end - offset);
          offset += size;
          this.#skip -= size;
          if (this.#skip > 0) break;
          if (this.#isMessage) messages++;
          this.#fieldDone();
          break;
        }
        case STATE.TAG: {
          if (this.#shift === 0) {
            // The common case in one step: a message of 128 to 16,383 bytes that is here as a whole.
            const low = bytes[offset + 1]!;
            const high = bytes[offset + 2]!;
            if (bytes[offset] === MESSAGES_TAG && offset + 3 <= end && low >= 0x80 && high < 0x80) {
              const size = 3 + (low & 0x7f) + (high << 7);
              if (offset + size <= end) {
                offset += size;
                messages++;
                this.#left -= size;
                this.#fieldDone();
                break;
              }
            }
          }
          if (this.#readVarint(bytes[offset++]!)) this.#startField();
          break;
        }
        case STATE.LENGTH:
          if (!this.#readVarint(bytes[offset++]!)) break;
          this.#startSkip(this.#takeVarint());
          if (this.#skip === 0) {
            if (this.#isMessage) messages++;
            this.#fieldDone();
          }
          break;
        case STATE.VARINT:
          if (!this.#readVarint(bytes[offset++]!)) break;
          this.#takeVarint();
          this.#fieldDone();
          break;
        default:
          this.#readHeader(bytes[offset++]!);
      }
    }
    return messages;
  }

  #readHeader(byte: number): void {
    if (this.#headerLeft === GRPC_HEADER_BYTES) {
      if (byte !== 0) throw new Error(`a gRPC message has flags ${byte}: compressed responses are not counted`);
      this.#length = 0;
    } else this.#length = this.#length * 256 + byte;
    if (--this.#headerLeft > 0) return;
    this.#headerLeft = GRPC_HEADER_BYTES;
    this.#left = this.#length;
    if (this.#left === 0) this.#responseDone();
    else this.#state = STATE.TAG;
  }

  #readVarint(byte: number): boolean {
    this.#left--;
    this.#varint += (byte & 0x7f) * 2 ** this.#shift;
    this.#shift += 7;
    return byte < 0x80;
  }

  #takeVarint(): number {
    const value = this.#varint;
    this.#varint = 0;
    this.#shift = 0;
    return value;
  }

  #startField(): void {
    const tag = this.#takeVarint();
    this.#isMessage = tag === MESSAGES_TAG;
    switch (tag & 7) {
      case 0:
        this.#state = STATE.VARINT;
        break;
      case 1:
        this.#startSkip(8);
        break;
      case 2:
        this.#state = STATE.LENGTH;
        break;
      case 5:
        this.#startSkip(4);
        break;
      default:
        throw new Error(`a response has a field of wire type ${tag & 7}: the counter is out of step`);
    }
  }

  #startSkip(size: number): void {
    this.#skip = size;
    this.#left -= size;
    this.#state = STATE.SKIP;
  }

  #fieldDone(): void {
    if (this.#left < 0) throw new Error("a field is longer than its response: the counter is out of step");
    if (this.#left === 0) this.#responseDone();
    else this.#state = STATE.TAG;
  }

  #responseDone(): void {
    this.responses++;
    this.#state = STATE.HEADER;
  }
}
