/** Random numbers from 0 to below 1 that follow from a seed. */
export type Random = () => number;

export function below(random: Random, limit: number): number {
  return Math.floor(random() * limit);
}

export function pick<T>(random: Random, items: readonly T[]): T {
  return items[below(random, items.length)]!;
}

export function randomBytes(random: Random, length: number): Buffer {
  return Buffer.from(Array.from({ length }, () => below(random, 256)));
}

/** Bytes on which parsers stumble: ends of varint and length ranges, signs, separators. */
const TELLING = [0x00, 0x01, 0x7f, 0x80, 0xff, 0x0a, 0x0d, 0x20, 0x22, 0x25, 0x7b, 0x7d, 0x5b];
const MAX_STEPS = 6;

/** The bytes, changed in one to six places: flipped, overwritten, cut out, doubled, inserted, cut off. */
export function mutate(random: Random, original: Uint8Array): Buffer {
  let bytes: Buffer = Buffer.from(original);
  for (let left = 1 + below(random, MAX_STEPS); left > 0; left--) {
    const at = below(random, bytes.length + 1);
    const span = 1 + below(random, Math.min(16, bytes.length + 1));
    const end = Math.min(at + span, bytes.length);
    switch (below(random, 7)) {
      case 0:
        if (at < bytes.length) bytes[at]! ^= 1 << below(random, 8);
        break;
      case 1:
        if (at < bytes.length) bytes[at] = pick(random, TELLING);
        break;
      case 2:
        bytes = Buffer.concat([bytes.subarray(0, at), bytes.subarray(end)]);
        break;
      case 3:
        bytes = Buffer.concat([bytes.subarray(0, end), bytes.subarray(at, end), bytes.subarray(end)]);
        break;
      case 4:
        bytes = Buffer.concat([bytes.subarray(0, at), randomBytes(random, span), bytes.subarray(at)]);
        break;
      case 5:
        bytes = Buffer.concat([bytes.subarray(0, at), Buffer.alloc(span, pick(random, TELLING)), bytes.subarray(at)]);
        break;
      default:
        if (random() < 0.3) bytes = bytes.subarray(0, at);
    }
  }
  return bytes;
}
