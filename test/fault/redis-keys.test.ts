import assert from "node:assert/strict";
import { describe, it } from "vitest";
import { append, INCARNATION, NAME, range, record, records, WINDOW_MS } from "../conformance/appending.ts";
import { describeWithOwnServer } from "../support/server-process.ts";
import { useRedis } from "./redis-fixture.ts";

await describeWithOwnServer("redis", (start) => {
  describe("redis: generations of idempotency keys", () => {
    const redis = useRedis(start);

    async function openAt(dedupKeys?: number) {
      let now = 1_750_000_000_000;
      const storage = await redis.open(dedupKeys === undefined ? {} : { dedupKeys }, undefined, {
        storeClock: () => now,
      });
      await storage.log.create(NAME, INCARNATION, 1);
      return {
        log: storage.log,
        advance(ms: number) {
          now += ms;
        },
      };
    }

    const generations = () => [0, 1].map((n) => `{${redis.prefix}:${NAME.key}}:keys:${n}`);

    it("a key is known for its whole window, however generations change, and not a moment longer", async () => {
      const { log, advance } = await openAt();
      const step = WINDOW_MS / 6;
      const kept = [];
      for (let n = 0; n < 40; n++) {
        const fresh = record();
        const [entry] = await append(log, [fresh]);
        kept.push({ fresh, entry: entry!, age: 0 });
        for (const each of kept.filter(({ age }) => age < WINDOW_MS)) {
          const again = (await append(log, [each.fresh]))[0]!;
          assert.deepEqual(again, { ...each.entry, duplicate: true }, `after ${each.age} ms`);
          const [late] = await append(log, [each.fresh, record()]); // with a new one: the other script
          assert.equal(late!.sequence, each.entry.sequence);
        }
        advance(step);
        for (const each of kept) each.age += step;
        const over = kept.findIndex(({ age }) => age >= WINDOW_MS);
        if (over < 0) continue;
        const [anew] = await append(log, [kept.splice(over, 1)[0]!.fresh]);
        assert.equal(anew!.duplicate, false);
      }
    });

    it("keys take bounded memory, the newest are known, and what nobody touches expires", async () => {
      const { log } = await openAt(50);
      const client = redis.client();
      for (const _ of range(1, 30)) {
        const batch = records(20);
        await append(log, batch);
        const again = await append(log, batch);
        assert.ok(again.every(({ duplicate }) => duplicate));
        const counts = await Promise.all(generations().map((key) => client.hlen(key)));
        assert.ok(Math.max(...counts) <= 80, `${counts}`);
      }
      for (const key of generations()) assert.ok((await client.pttl(key)) > 2 * WINDOW_MS);
    });
  });
});
