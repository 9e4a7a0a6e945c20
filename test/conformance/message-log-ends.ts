import assert from "node:assert/strict";
import { describe, it } from "vitest";
import { channelName } from "../../src/core/names.ts";
import type { LogEnd } from "../../src/storage/message-log.ts";
import { append, INCARNATION, NAME, range, records } from "./appending.ts";
import type { OpenedStorage } from "./opened-storage.ts";

/** Where logs end, asked for many at once. */
export function describeEnds(opened: () => OpenedStorage): void {
  describe("ends", () => {
    const log = () => opened().storage.log;

    it("answers in the order of the names, and undefined for a log that is not there", async () => {
      const other = channelName("science", "Explore");
      const none = channelName("no", "such");
      const [{ links }, { links: otherLinks }] = [(await log().state(NAME))!, await log().create(other, "other", 1)];
      await append(log(), records(3));
      const end: LogEnd = { incarnation: INCARNATION, head: 3, epoch: links[0]!.epoch };
      const otherEnd: LogEnd = { incarnation: "other", head: 0, epoch: otherLinks[0]!.epoch };
      assert.deepEqual(await log().ends([other, none, NAME, NAME]), [otherEnd, undefined, end, end]);
      assert.deepEqual(await log().ends([none]), [undefined]);
      assert.deepEqual(await log().ends([]), []);
    });

    it("follows what happens to a log", async () => {
      const ends = async () => (await log().ends([NAME]))[0];
      await append(log(), records(2));
      const { links } = await log().renewEpoch(NAME);
      assert.deepEqual(await ends(), { incarnation: INCARNATION, head: 2, epoch: links.at(-1)!.epoch });
      await log().trim(NAME, { maxAgeMs: 0, maxMessages: 1, maxBytes: 0 });
      assert.equal((await ends())!.head, 2);
      await log().delete(NAME, INCARNATION);
      assert.equal(await ends(), undefined);
      await log().create(NAME, "second", 1);
      const { incarnation, head, epoch } = (await ends())!;
      assert.deepEqual([incarnation, head], ["second", 0]);
      assert.notEqual(epoch, links.at(-1)!.epoch);
    });

    it("shows nothing before it can be read", async () => {
      let isDone = false;
      const writing = Promise.all(range(1, 100).map(() => append(log(), records(2)))).then(() => {
        isDone = true;
      });
      do {
        const [end] = await log().ends([NAME]);
        const { entries } = await log().read({
          name: NAME,
          from: end!.head - 1,
          backward: false,
          maxEntries: 1,
          maxBytes: 1_024,
        });
        assert.equal(entries.length, end!.head === 0 ? entries.length : 1);
        await new Promise(setImmediate); // what answers from memory would let nobody else run
      } while (!isDone);
      await writing;
      assert.equal((await log().ends([NAME]))[0]!.head, 200);
    });

    it("answers for a thousand logs at once", async () => {
      const names = range(1, 1_000).map((n) => channelName("many", `c-${n}`));
      await Promise.all(names.filter((_name, i) => i % 2 === 0).map((name) => log().create(name, "i", 1)));
      await append(log(), records(1), { name: names[998]!, incarnation: "i" });
      const ends = await log().ends(names);
      assert.deepEqual(
        ends.map((end) => end?.head),
        names.map((_name, i) => (i === 998 ? 1 : i % 2 === 0 ? 0 : undefined)),
      );
    });
  });
}
