import { randomBytes, randomFillSync } from "node:crypto";
import type { Clock, Random, Stop } from "../core/clock.ts";

/** The machine's time. */
export const systemClock: Clock = {
  now: () => Date.now(),
  monotonic: () => performance.now(),
  after(ms, task): Stop {
    const timer = setTimeout(task, ms);
    timer.unref();
    return () => clearTimeout(timer);
  },
  every(ms, task): Stop {
    const timer = setInterval(task, ms);
    timer.unref();
    return () => clearInterval(timer);
  },
  defer(task) {
    setImmediate(task);
  },
};

/** Bytes are drawn in bulk: one call of the generator for so many ids. */
const POOL_IDS = 1_024;
const RANDOM_BYTES = 10;
const HEX = Buffer.from("0123456789abcdef");
/** Where the hex digits of the random bytes stand in "tttttttt-tttt-7rrr-vrrr-rrrrrrrrrrrr". */
const DIGITS = [14, 15, 16, 17, 19, 20, 21, 22, 24, 25, 26, 27, 28, 29, 30, 31, 32, 33, 34, 35];

/** The machine's randomness. */
export function createSystemRandom(): Random {
  const pool = Buffer.alloc(RANDOM_BYTES * POOL_IDS);
  const text = Buffer.from("00000000-0000-7000-8000-000000000000");
  let used = pool.length;
  let writtenMs = -1;
  return {
    uuid(now) {
      if (used === pool.length) {
        randomFillSync(pool);
        used = 0;
      }
      if (now !== writtenMs) {
        const time = Math.floor(now).toString(16).padStart(12, "0");
        text.write(`${time.slice(0, 8)}-${time.slice(8)}`, 0, "latin1");
        writtenMs = now;
      }
      for (let i = 0; i < RANDOM_BYTES; i++) {
        const byte = pool[used++]!;
        text[DIGITS[2 * i]!] = HEX[byte >> 4]!;
        text[DIGITS[2 * i + 1]!] = HEX[byte & 15]!;
      }
      text[14] = HEX[7]!; // the version
      text[19] = HEX[8 | (pool[used - 1]! & 3)]!; // the variant
      return text.toString("latin1", 0, 36);
    },
    epoch() {
      const value = randomBytes(4).readUInt32BE();
      return value === 0 ? 1 : value;
    },
  };
}
