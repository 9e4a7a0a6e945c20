import assert from "node:assert/strict";
import { describe, it } from "vitest";
import { resolveRedisOptions } from "./redis-options.ts";

describe("options of the redis storage", () => {
  it("has defaults for everything", () => {
    const { prefix, timeoutMs, ioredis } = resolveRedisOptions({});
    assert.deepEqual([prefix, timeoutMs, ioredis], ["agentbus", 5_000, {}]);
  });

  it("names all faults at once", () => {
    const wrong = {
      prefix: "a b",
      timeoutMs: 1,
      colour: "red",
      ioredis: { keyPrefix: "x", redisOptions: { lazyConnect: true } },
    };
    assert.throws(
      () => resolveRedisOptions(wrong as never),
      (error: Error) => {
        for (const text of [
          /prefix must/,
          /timeoutMs must/,
          /colour is unknown/,
          /ioredis\.keyPrefix/,
          /ioredis\.lazyConnect/,
        ]) {
          assert.match(error.message, text);
        }
        return true;
      },
    );
    assert.throws(() => resolveRedisOptions({ ioredis: [] as never }), /ioredis must be an object/);
  });
});
