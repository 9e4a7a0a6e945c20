import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { rmSync } from "node:fs";
import { beforeEach, describe, it } from "vitest";
import { epochAt, placeReader } from "../../../src/core/epoch-chain.ts";
import type { AppendedEntry } from "../../../src/storage/message-log.ts";
import type { StorageAdapter } from "../../../src/storage/storage-adapter.ts";
import {
  append,
  INCARNATION,
  NAME,
  range,
  readAll,
  record,
  records,
  sequencesOf,
} from "../../conformance/appending.ts";
import type { FaultyBackend } from "./backend.ts";
import { appendWhenBack, eventually, inTime, isInTrouble, isWell, nextMissed } from "./recovery.ts";

/** The log of a server that began another life with its sequence `first`: one more epoch, and no hole. */
export async function expectNewEpochFrom(first: number, storage: StorageAdapter): Promise<void> {
  const { links, head } = (await storage.log.state(NAME))!;
  assert.deepEqual(
    links.map((link) => link.first),
    [1, first],
  );
  assert.notEqual(links[0]!.epoch, links[1]!.epoch);
  const entries = await readAll(storage.log);
  assert.deepEqual(sequencesOf(entries), range(1, head));
  for (const entry of entries) assert.equal(entry.epoch, epochAt(links, entry.sequence));
  assert.equal((await storage.log.ends([NAME]))[0]!.epoch, links[1]!.epoch);
}

/** What a shared storage keeps, and notices, when its server ends, is killed, or comes back with less than it had. */
export function describeLife(adapter: string, backend: FaultyBackend): void {
  describe(`${adapter}: the life of the server`, () => {
    let storage: StorageAdapter;
    beforeEach(async () => {
      storage = await backend.open();
      await storage.log.create(NAME, INCARNATION, 1);
    });

    async function restart(signal?: NodeJS.Signals): Promise<void> {
      await backend.server.end(signal);
      await backend.server.start();
    }

    async function appendOneByOne(count: number): Promise<AppendedEntry[]> {
      const entries: AppendedEntry[] = [];
      for (let n = 0; n < count; n++) entries.push(...(await append(storage.log, records(1))));
      return entries;
    }

    for (const [how, signal] of [
      ["a restart", undefined],
      ["kill -9", "SIGKILL"],
    ] as const) {
      it(`S3-E.5: nothing is lost over ${how}; it heals by itself and goes on under a new epoch`, async () => {
        const stored = records(20);
        await append(storage.log, stored);
        const missed = nextMissed(storage);
        await backend.server.end(signal);
        await isInTrouble(storage);
        await backend.server.start();
        await appendWhenBack(storage, "after");
        await expectNewEpochFrom(21, storage);
        await inTime(missed, "the doorbell to say that rings may be missing");
        await isWell(storage);
        const [again] = await append(storage.log, [stored[7]!]);
        const { links } = (await storage.log.state(NAME))!;
        assert.deepEqual([again!.sequence, again!.epoch, again!.duplicate], [8, links[0]!.epoch, true]);
      });
    }

    it("S3-SC-003: a kill under load loses nothing that was acknowledged and leaves no hole", async () => {
      const acknowledged = new Map<number, string>();
      const publish = async () => {
        for (;;) {
          const message = record();
          const [entry] = await append(storage.log, [message]).catch(() => []);
          if (entry === undefined) return;
          acknowledged.set(entry.sequence, message.id);
        }
      };
      const publishing = range(1, 20).map(publish);
      await eventually(() => acknowledged.size > 2_000, "2,000 messages");
      await backend.server.end("SIGKILL");
      await Promise.all(publishing);
      await backend.server.start();
      await appendWhenBack(storage, "behind");
      const entries = await readAll(storage.log);
      assert.deepEqual(sequencesOf(entries), range(1, entries.length));
      const stored = new Map(entries.map(({ sequence, id }) => [sequence, id]));
      for (const [sequence, id] of acknowledged) assert.equal(stored.get(sequence), id);
      assert.equal(new Set(stored.values()).size, stored.size, "nothing twice");
    });

    it("goes on under one epoch while the server lives", async () => {
      await append(storage.log, records(3));
      const other = await backend.open();
      await append(other.log, records(2));
      await append(storage.log, records(1));
      assert.equal((await storage.log.state(NAME))!.links.length, 1);
    });

    it("two nodes that find another life add one link", async () => {
      const other = await backend.open();
      await append(storage.log, records(2));
      await restart("SIGKILL");
      await Promise.all([appendWhenBack(storage, "one"), appendWhenBack(other, "two")]);
      await append(storage.log, [record()]);
      await expectNewEpochFrom(3, storage);
    });

    for (const [how, signal] of [
      ["a restart", undefined],
      ["kill -9", "SIGKILL"],
    ] as const) {
      it(`a tail lost over ${how} shows: what is issued anew has another epoch, and readers are told`, async () => {
        const lost = record();
        await appendOneByOne(9);
        const [last] = await append(storage.log, [lost]);
        await backend.loseTail(6);
        await restart(signal);
        await appendWhenBack(storage, "anew");
        await expectNewEpochFrom(7, storage);
        assert.deepEqual(placeReader((await storage.log.state(NAME))!, last!.epoch, last!.sequence), {
          after: 6,
          gap: { first: 7, last: 10, cause: "NEW_EPOCH" },
          rolledBack: false,
        });
        // A node may still know its key, which must not stand for a message that is no more.
        const [again] = await append(storage.log, [lost]);
        assert.deepEqual([again!.sequence, again!.duplicate], [8, false]);
      });
    }

    it("what other nodes store in the place of a lost tail is known by its keys", async () => {
      await appendOneByOne(5);
      await backend.loseTail(3);
      await restart();
      const other = await backend.open();
      const anew = records(4);
      for (const each of anew) await append(other.log, [each]);
      const again = await eventually(() => append(storage.log, anew).catch(() => undefined), "the node to work again");
      assert.deepEqual(
        again.map(({ sequence, duplicate }) => [sequence, duplicate]),
        range(4, 7).map((sequence) => [sequence, true]),
      );
    });

    it("a restored backup is noticed: numbers issued again have a new epoch, and readers learn of it", async () => {
      await append(storage.log, records(3));
      const folder = await backend.dataFolder();
      await backend.server.end();
      backend.after(() => rmSync(`${folder}.backup`, { recursive: true, force: true }));
      copy(folder, `${folder}.backup`);
      await backend.server.start();
      await appendWhenBack(storage, "lost");
      const lost = (await append(storage.log, records(4))).at(-1)!;
      assert.equal(lost.sequence, 8);
      await backend.server.end("SIGKILL");
      rmSync(folder, { recursive: true });
      copy(`${folder}.backup`, folder);
      await backend.server.start();
      await appendWhenBack(storage, "anew");
      await expectNewEpochFrom(4, storage);
      const { after, gap } = placeReader((await storage.log.state(NAME))!, lost.epoch, lost.sequence);
      assert.equal(gap?.cause, "NEW_EPOCH");
      assert.ok(after < 4);
    });

    it("says what it keeps, as the server is set, and again when that changes", async () => {
      assert.equal(storage.capabilities.durability, "SYNCED");
      await backend.setDurability("STORED");
      const second = await backend.open();
      assert.equal(second.capabilities.durability, "STORED");
      await backend.setDurability("SYNCED");
      await restart();
      await eventually(() => second.capabilities.durability === "SYNCED", "the durability to be read again");
    });
  });
}

/** With its owner: the server does not run as we do. */
function copy(from: string, to: string): void {
  execFileSync("cp", ["-a", from, to]);
}
