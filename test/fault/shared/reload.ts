import assert from "node:assert/strict";
import { beforeEach, describe, it } from "vitest";
import { placeReader } from "../../../src/core/epoch-chain.ts";
import type { AppendedEntry } from "../../../src/storage/message-log.ts";
import type { StorageAdapter } from "../../../src/storage/storage-adapter.ts";
import { append, batch, entriesOf, INCARNATION, NAME, range, record, records } from "../../conformance/appending.ts";
import type { FaultyBackend } from "./backend.ts";
import { expectNewEpochFrom } from "./life.ts";
import { inTime, nextRing } from "./recovery.ts";

/**
 * What a shared storage does when older data is put back while its server runs: a dump is loaded, a table is copied back.
 * The server's life goes on, and nothing breaks.
 */
export function describeReload(adapter: string, backend: FaultyBackend): void {
  describe(`${adapter}: older data is put back while the server runs`, () => {
    let storage: StorageAdapter;
    beforeEach(async () => {
      storage = await backend.open();
      await storage.log.create(NAME, INCARNATION, 1);
      await append(storage.log, records(3));
    });

    it("the next append begins a new epoch, and readers of what is lost are told", async () => {
      const putBack = await backend.save();
      const lost = records(5);
      const last = (await append(storage.log, lost)).at(-1)!;
      await putBack();
      const [anew] = await append(storage.log, [record()]);
      assert.deepEqual([anew!.sequence, anew!.epoch === last.epoch], [4, false]);
      await expectNewEpochFrom(4, storage);
      assert.deepEqual(placeReader((await storage.log.state(NAME))!, last.epoch, last.sequence), {
        after: 3,
        gap: { first: 4, last: 8, cause: "NEW_EPOCH" },
        rolledBack: false,
      });
      // Its key was lost with it: it is stored again.
      const [again] = await append(storage.log, [lost[1]!]);
      assert.deepEqual([again!.sequence, again!.duplicate], [5, false]);
    });

    it("a node that has only heard of what is lost begins it, too", async () => {
      const other = await backend.open();
      const putBack = await backend.save();
      const heard = nextRing(other, (ring) => ring.topic === "log" && ring.head === 8);
      await append(storage.log, records(5));
      await inTime(heard, "the ring");
      await putBack();
      await append(other.log, records(1));
      await expectNewEpochFrom(4, storage);
      await append(storage.log, records(1));
      await expectNewEpochFrom(4, storage);
    });

    it("also over an epoch that began meanwhile", async () => {
      const putBack = await backend.save();
      await append(storage.log, records(2));
      await storage.log.renewEpoch(NAME);
      await append(storage.log, records(2));
      await putBack();
      await append(storage.log, records(1));
      await expectNewEpochFrom(4, storage);
    });

    it("a configuration that changes first does not hide it", async () => {
      const putBack = await backend.save();
      await append(storage.log, records(5));
      await putBack();
      assert.equal(await storage.log.fence(NAME, INCARNATION, 2), 3);
      await storage.log.trim(NAME, { maxAgeMs: 0, maxMessages: 2, maxBytes: 0 });
      await append(storage.log, records(1), { version: 3 });
      const { links } = (await storage.log.state(NAME))!;
      assert.deepEqual(
        links.map(({ first }) => first),
        [1, 4],
      );
    });

    it("appends that are on their way get no sequence that their epoch has given before", async () => {
      // Between them lies what a ring takes to come.
      const nodes = backend.knowsOlderRows ? [storage, await backend.open()] : [storage];
      const given = new Map<string, string>();
      const note = (id: string, entries: readonly AppendedEntry[]) => {
        for (const { sequence, epoch } of entries) {
          const position = `${epoch}.${sequence}`;
          assert.equal(given.get(position), undefined, `${position} was given twice`);
          given.set(position, id);
        }
      };
      const publish = async (node: StorageAdapter, count: number) => {
        for (let n = 0; n < count; ) {
          const each = record();
          const outcome = await node.log.append(batch([each]));
          if (outcome.kind === "gone") continue; // it met the moment between the old rows and the older ones
          note(each.id, entriesOf(outcome));
          n++;
        }
      };
      const load = () => Promise.all(range(1, 8).map((n) => publish(nodes[n % nodes.length]!, 20)));
      const putBack = await backend.save();
      for (let round = 0; round < 5; round++) {
        const loading = load();
        await putBack();
        await loading;
      }
      assert.equal(given.size, 5 * 8 * 20);
    });

    it("what a log does by itself is not mistaken for it", async () => {
      await storage.log.fence(NAME, INCARNATION, 2);
      await append(storage.log, records(3), { version: 2 });
      await storage.log.trim(NAME, { maxAgeMs: 0, maxMessages: 1, maxBytes: 0 });
      await append(storage.log, records(1), { version: 3 });
      const other = await backend.open();
      await append(other.log, records(1), { version: 3 });
      await append(storage.log, records(1), { version: 3 });
      assert.equal((await storage.log.state(NAME))!.links.length, 1);
      const again = "second";
      await other.log.create(NAME, again, 1);
      await append(storage.log, records(1), { incarnation: again });
      await append(other.log, records(1), { incarnation: again });
      assert.equal((await storage.log.state(NAME))!.links.length, 1);
    });
  });
}
