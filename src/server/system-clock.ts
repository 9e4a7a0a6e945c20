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
const POOL_IDS = 256;

/** The machine's randomness. */
export function createSystemRandom(): Random {
  const pool = Buffer.alloc(10 * POOL_IDS);
  let used = pool.length;
  return {
    uuid(now) {
      if (used === pool.length) {
        randomFillSync(pool);
        used = 0;
      }
      pool[used] = (pool[used]! & 0x0f) | 0x70;
      pool[used + 2] = (pool[used + 2]! & 0x3f) | 0x80;
      const time = Math.floor(now).toString(16).padStart(12, "0");
      const rest = pool.toString("hex", used, used + 10);
      used += 10;
      return `${time.slice(0, 8)}-${time.slice(8)}-${rest.slice(0, 4)}-${rest.slice(4, 8)}-${rest.slice(8)}`;
    },
    epoch() {
      const value = randomBytes(4).readUInt32BE();
      return value === 0 ? 1 : value;
    },
  };
}
