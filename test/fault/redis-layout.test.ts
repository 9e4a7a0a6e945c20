import assert from "node:assert/strict";
import { beforeEach, describe, it } from "vitest";
import type { StorageAdapter } from "../../src/storage/storage-adapter.ts";
import { isBusError, range } from "../conformance/appending.ts";
import { describeWithOwnServer } from "../support/server-process.ts";
import { useRedis } from "./redis-fixture.ts";

const damaged = isBusError("DATA_DAMAGED");
const room = (id: string) => ({ kind: "room", parent: "", id });

await describeWithOwnServer("redis", (start) => {
  const redis = useRedis(start);
  const keyOf = (kind: string, part: string) => `{${redis.prefix}:${kind}}:${part}`;

  describe("redis: keys of layout 1 are brought up to date", () => {
    /** More than one step takes. */
    const AGENTS = 2_000;
    let storage: StorageAdapter;

    /** "version:expiresAtMs:1:json", or "version:0:0:" for one that is gone. */
    async function write(kind: string, place: string, raw: string): Promise<void> {
      const client = redis.client();
      await client.hset(keyOf(kind, "records"), place, raw);
      if (raw.endsWith(":0:0:")) await client.zadd(keyOf(kind, "expiry"), String(Date.now() + 600_000), place);
      else await client.multi().zadd(keyOf(kind, "index"), "0", place).hincrby(keyOf(kind, "counts"), "", 1).exec();
    }

    beforeEach(async () => {
      await redis.client().set(`{${redis.prefix}}:layout`, "1");
      await write("room", "\0lab", '2:0:1:{"description":"the läb"}');
      await write("room", "\0library", '7:0:1:{"description":"a: b"}');
      await write("room", "\0gone", "3:0:0:");
      await Promise.all(range(1, AGENTS).map((n) => write("agent", `\0a${n}`, `1:0:1:{"n":${n}}`)));
      storage = (await Promise.all([1, 2].map(() => redis.open({ timeoutMs: 30_000 }))))[0]!;
    });

    it("by nodes that start together", async () => {
      assert.equal(await redis.layout(), "2");
      const { directory } = storage;
      assert.deepEqual(
        (await directory.list({ kind: "room", limit: 10 })).map(({ key, version, value }) => [key.id, version, value]),
        [
          ["lab", 2, { description: "the läb" }],
          ["library", 7, { description: "a: b" }],
        ],
      );
      assert.equal((await directory.list({ kind: "agent", limit: 1_000 })).length, 1_000);
      assert.deepEqual((await directory.get({ kind: "agent", parent: "", id: `a${AGENTS}` }))?.value, { n: AGENTS });
      assert.deepEqual(await directory.put(room("gone"), {}), { kind: "stored", version: 4, expiresAtMs: 0 });
      assert.deepEqual(await directory.put(room("lab"), {}, { expectedVersion: 2 }), {
        kind: "stored",
        version: 3,
        expiresAtMs: 0,
      });
    });

    it("and what is damaged from then on is known to be", async () => {
      await redis.client().hset(keyOf("room", "records"), "\0lab", '2:0:1:{"description":"the lab"}');
      await assert.rejects(storage.directory.get(room("lab")), damaged);
    });
  });

  describe("redis: damaged records", () => {
    for (const [what, from, to] of [
      ["says it is over", /^(\d+):0:1:/, "$1:1:1:"],
      ["says it is gone", /^(\d+):0:1:/, "$1:0:0:"],
      ["cannot be parsed", /^\d+:/, "x:"],
    ] as const) {
      it(`one that ${what} is told, not overwritten, and not swept`, async () => {
        const storage = await redis.open();
        const { directory } = storage;
        await directory.put(room("lab"), {});
        const client = redis.client();
        const records = keyOf("room", "records");
        const raw = (await client.hget(records, "\0lab"))!;
        await client.hset(records, "\0lab", raw.replace(from, to));
        await client.zadd(keyOf("room", "expiry"), "1", "\0lab");
        await assert.rejects(directory.put(room("lab"), {}, { expectedVersion: 0 }), damaged);
        await storage.sweep!();
        await assert.rejects(directory.get(room("lab")), damaged);
        await assert.rejects(directory.list({ kind: "room", limit: 10 }), damaged);
        await directory.put(room("lab"), { mended: true });
        assert.deepEqual((await directory.get(room("lab")))?.value, { mended: true });
      });
    }
  });
});
