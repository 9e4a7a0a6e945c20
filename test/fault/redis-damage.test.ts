import assert from "node:assert/strict";
import type { Redis } from "ioredis";
import { beforeEach, describe, it } from "vitest";
import type { MessageLog } from "../../src/storage/message-log.ts";
import {
  append,
  INCARNATION,
  isBusError,
  NAME,
  readRequest,
  record,
  records,
  sequencesOf,
} from "../conformance/appending.ts";
import { describeWithOwnServer } from "../support/server-process.ts";
import { useRedis } from "./redis-fixture.ts";

await describeWithOwnServer("redis", (start) => {
  describe("redis: damaged data", { timeout: 60_000 }, () => {
    const redis = useRedis(start);
    let log: MessageLog;
    let client: Redis;
    let stream: string;
    beforeEach(async () => {
      ({ log } = await redis.open());
      client = redis.client();
      stream = `{${redis.prefix}:${NAME.key}}:stream`;
      await log.create(NAME, INCARNATION, 1);
      // Blocks: 1 to 3, 4, 5 to 6.
      await append(log, records(3));
      await append(log, records(1));
      await append(log, [record({ id: "five" }), record({ id: "six" })]);
    });

    /** Stores the newest block again, changed. */
    async function change(edit: (header: Buffer, body: Buffer) => void): Promise<void> {
      const [[id, fields]] = (await client.xrevrangeBuffer(stream, "+", "-", "COUNT", 1)) as [[Buffer, Buffer[]]];
      edit(fields[1]!, fields[3]!);
      await client.xdel(stream, id.toString());
      await client.call("XSETID", stream, "4-0");
      await client.call("XADD", stream, id.toString(), ...fields);
    }

    async function readBoth() {
      const [forward, backward] = [
        await log.read(readRequest()),
        await log.read(readRequest({ from: 99, backward: true })),
      ];
      assert.deepEqual(sequencesOf(backward.entries).reverse(), sequencesOf(forward.entries));
      assert.deepEqual(backward.damaged, forward.damaged);
      return { sequences: sequencesOf(forward.entries), damaged: forward.damaged };
    }

    it("a flipped bit in a message is found, and its neighbours are read", async () => {
      await change((_header, body) => {
        body[body.length - 1]! ^= 1;
      });
      assert.deepEqual(await readBoth(), { sequences: [1, 2, 3, 4, 5], damaged: [{ first: 6, last: 6 }] });
      assert.equal(await log.findId(NAME, "five"), 5);
      await assert.rejects(log.findId(NAME, "six"), isBusError("DATA_DAMAGED"));
    });

    it("a flipped bit in a length or a header costs the block, and nothing else", async () => {
      await change((_header, body) => {
        body[2]! ^= 0x40;
      });
      const lost = { sequences: [1, 2, 3, 4], damaged: [{ first: 5, last: 6 }] };
      assert.deepEqual(await readBoth(), lost);
      await change((header) => {
        header[header.length - 12]! ^= 1;
      });
      assert.deepEqual((await log.read(readRequest())).damaged, lost.damaged);
      assert.deepEqual(sequencesOf(await append(log, records(1))), [7]);
      assert.deepEqual(sequencesOf((await log.read(readRequest({ from: 6 }))).entries), [7]);
    });

    it("blocks that are missing in the middle, in front and at the end are told", async () => {
      await client.xdel(stream, "4-0");
      assert.deepEqual(await readBoth(), { sequences: [1, 2, 3, 5, 6], damaged: [{ first: 4, last: 4 }] });
      await client.xdel(stream, "3-0");
      assert.deepEqual(await readBoth(), { sequences: [5, 6], damaged: [{ first: 1, last: 4 }] });
      await client.xdel(stream, "6-0");
      assert.deepEqual(await readBoth(), { sequences: [], damaged: [{ first: 1, last: 6 }] });
    });

    it("trims and searches go on over damage", async () => {
      await client.xdel(stream, "4-0");
      assert.equal((await log.trim(NAME, { maxAgeMs: 0, maxMessages: 2, maxBytes: 0 })).floor, 5);
      assert.equal(await log.findTime(NAME, 0), 5);
      assert.deepEqual(await readBoth(), { sequences: [5, 6], damaged: [] });
    });
  });
});
