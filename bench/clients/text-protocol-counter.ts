const LINE_FEED = 0x0a;
const ZERO = 0x30;
const NINE = 0x39;
const CRLF_BYTES = 2;

const STATE = { START: 0, PREFIX: 1, LENGTH: 2, BODY: 3, LINE: 4 } as const;

export interface TextProtocolOptions {
  /** What every delivery starts with, up to the decimal length of its payload; constant on one connection. */
  readonly prefix: string;
  /** Is told every other line, without its line end. */
  readonly onLine: (line: string) => void;
}

/**
 * Counts deliveries of NATS and Redis, whose headers are text: it checks the first byte, jumps over the prefix, reads
 * the length and jumps over the payload. Everything that starts otherwise is a line.
 */
export class TextProtocolCounter {
  readonly #prefixBytes: number;
  readonly #firstByte: number;
  readonly #onLine: (line: string) => void;
  /** False: all is lines, also what starts as a delivery does. */
  countDeliveries = true;
  #state: number = STATE.START;
  #skip = 0;
  #length = 0;
  #line = "";

  constructor({ prefix, onLine }: TextProtocolOptions) {
    this.#prefixBytes = prefix.length;
    this.#firstByte = prefix.charCodeAt(0);
    this.#onLine = onLine;
  }

  /** Takes the next bytes and returns how many deliveries they completed. */
  count(bytes: Buffer, end: number): number {
    let offset = 0;
    let deliveries = 0;
    while (offset < end) {
      switch (this.#state) {
        case STATE.START:
          if (this.countDeliveries && bytes[offset] === this.#firstByte) {
            this.#skip = this.#prefixBytes;
            this.#state = STATE.PREFIX;
          } else this.#state = STATE.LINE;
          break;
        case STATE.LENGTH: {
          const byte = bytes[offset++]!;
          if (byte >= ZERO && byte <= NINE) this.#length = this.#length * 10 + byte - ZERO;
          else if (byte === LINE_FEED) {
            this.#skip = this.#length + CRLF_BYTES;
            this.#length = 0;
            this.#state = STATE.BODY;
          }
          break;
        }
        case STATE.LINE:
          offset = this.#readLine(bytes, offset, end);
          break;
        default: {
          const size = Math.min(this.#skip, end - offset);
          offset += size;
          this.#skip -= size;
          if (this.#skip > 0) break;
          if (this.#state === STATE.PREFIX) this.#state = STATE.LENGTH;
          else {
            deliveries++;
            this.#state = STATE.START;
          }
        }
      }
    }
    return deliveries;
  }

  #readLine(bytes: Buffer, start: number, end: number): number {
    const feed = bytes.subarray(start, end).indexOf(LINE_FEED);
    const stop = feed < 0 ? end : start + feed;
    this.#line += bytes.toString("latin1", start, stop);
    if (feed < 0) return end;
    const line = this.#line.trimEnd();
    this.#line = "";
    this.#state = STATE.START;
    this.#onLine(line);
    return stop + 1;
  }
}
