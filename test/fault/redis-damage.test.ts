import assert from "node:assert/strict";
import { beforeEach, describe, it } from "vitest";
import type { StorageAdapter } from "../../src/storage/storage-adapter.ts";
import { append, isBusError, NAME, records, sequencesOf } from "../conformance/appending.ts";
import { describeWithOwnServer } from "../support/server-process.ts";
import { useRedis } from "./redis-fixture.ts";
import { appendTen, expectDamage } from "./shared/damage.ts";

await describeWithOwnServer("redis", (start) => {
  describe("redis: damaged blocks", { timeout: 60_000 }, () => {
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
      await assert.rejects(storage.log.findId(NAME, "id-of-7"), isBusError("DATA_DAMAGED"));
    });

    it("a flipped bit in a header costs the block, and nothing else", async () => {
      await redis.editBlock(9, (header) => {
        header[header.length - 12]! ^= 1;
      });
      await expectDamage(storage, { first: 6, last: 9 });
      assert.deepEqual(sequencesOf(await append(storage.log, records(1))), [11]);
      await expectDamage(storage, { first: 6, last: 9 }, 11);
    });
  });
});
