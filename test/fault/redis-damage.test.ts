import assert from "node:assert/strict";
import { beforeEach, describe, it } from "vitest";
import type { StorageAdapter } from "../../src/storage/storage-adapter.ts";
import { append, isBusError, NAME, range, readAll, records, sequencesOf } from "../conformance/appending.ts";
import { describeWithOwnServer } from "../support/server-process.ts";
import { useRedis } from "./redis-fixture.ts";
import { appendTen, expectDamage } from "./shared/damage.ts";

await describeWithOwnServer("redis", (start) => {
  describe("redis: damaged blocks", () => {
    const redis = useRedis(start);
    let storage: StorageAdapter;
    beforeEach(async () => {
      storage = await redis.open();
      await appendTen(storage);
    });

    it("a flipped bit in a length costs what lies behind it in the block, and nothing else", async () => {
      await redis.editBlock(9, (_header, body) => {
        body[2]! ^= 0x40;
      });
      await expectDamage(storage, { first: 6, last: 9 });
      await assert.rejects(storage.log.findId(NAME, "id-of-7", 0), isBusError("DATA_DAMAGED"));
    });

    it("a flipped bit in a header costs the block, and nothing else", async () => {
      await redis.editBlock(9, (header) => {
        header[header.length - 12]! ^= 1;
      });
      await expectDamage(storage, { first: 6, last: 9 });
      assert.deepEqual(sequencesOf(await append(storage.log, records(1))), [11]);
      await expectDamage(storage, { first: 6, last: 9 }, 11);
    });

    it("a log that is set back without its blocks goes on behind its head, under a new epoch", async () => {
      const client = redis.client();
      for (let n = 0; n < 200; n++) await append(storage.log, records(1)); // a block each
      const older = await client.dumpBuffer(redis.key("log"));
      const [lost] = await append(storage.log, records(1));
      await append(storage.log, records(3));
      await client.restore(redis.key("log"), 0, older, "REPLACE");
      const [anew] = await append(storage.log, records(1));
      assert.deepEqual([anew!.sequence, anew!.epoch === lost!.epoch], [211, false]);
      assert.deepEqual(sequencesOf(await readAll(storage.log)), range(1, 211));
      assert.equal(await client.exists(`${redis.key("stream")}:rebuilt`), 0);
    });
  });
});
