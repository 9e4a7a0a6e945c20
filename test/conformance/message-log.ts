import assert from "node:assert/strict";
import { setImmediate as nextTurn } from "node:timers/promises";
import { afterEach, beforeEach, describe, it } from "vitest";
import { epochAt } from "../../src/core/epoch-chain.ts";
import type { LogEntry } from "../../src/core/message.ts";
import { channelName } from "../../src/core/names.ts";
import { MAX_EPOCH_LINKS } from "../../src/storage/epoch-links.ts";
import type { MessageLog } from "../../src/storage/message-log.ts";
import {
  append,
  batch,
  INCARNATION,
  isBusError,
  NAME,
  range,
  readAll,
  readRequest,
  record,
  records,
  sequencesOf,
} from "./appending.ts";
import { describeDeduplication } from "./message-log-dedup.ts";
import { describeEnds } from "./message-log-ends.ts";
import { describeModel } from "./message-log-model.ts";
import { describeRetention } from "./message-log-retention.ts";
import { type OpenedStorage, type OpenStorage, START_MS } from "./opened-storage.ts";

/** What every MessageLog promises. Each adapter's test file calls it once. */
export function describeMessageLog(adapter: string, open: OpenStorage): void {
  describe(`${adapter} message log`, () => {
    let opened: OpenedStorage;
    let log: MessageLog;
    beforeEach(async () => {
      opened = await open();
      log = opened.storage.log;
      await log.create(NAME, INCARNATION, 1);
    });
    afterEach(() => opened.dispose());

    it("S0-3.1.2: starts empty, at the version it was made with, under one epoch", async () => {
      const other = channelName("science", "other");
      assert.equal(await log.state(other), undefined);
      const state = await log.create(other, "x", 3);
      const { epoch } = state.links[0]!;
      assert.ok(epoch > 0 && epoch < 2 ** 32);
      const links = [{ epoch, first: 1 }];
      assert.deepEqual(state, { incarnation: "x", version: 3, head: 0, floor: 1, links, sizeBytes: 0 });
      assert.deepEqual(await log.state(other), state);
    });

    it("answers what is there when it is made again", async () => {
      await append(log, records(3));
      const state = await log.create(NAME, INCARNATION, 9);
      assert.equal(state.head, 3);
      assert.equal(state.version, 1);
    });

    it("makes one log when several callers make it at the same time", async () => {
      const name = channelName("science", "race");
      const states = await Promise.all(range(1, 8).map(() => log.create(name, "same", 1)));
      for (const state of states) assert.deepEqual(state.links, states[0]!.links);
    });

    it("replaces a log of another incarnation, with a new epoch and nothing in it", async () => {
      const before = (await log.state(NAME))!;
      await append(log, [record({ id: "kept" })]);
      const after = await log.create(NAME, "second", 1);
      assert.equal(after.head, 0);
      assert.notEqual(after.links[0]!.epoch, before.links[0]!.epoch);
      assert.deepEqual(await readAll(log), []);
      assert.deepEqual(await log.append(batch(records(1))), { kind: "gone" });
      const [entry] = await append(log, [record({ id: "kept" })], { incarnation: "second" });
      assert.deepEqual([entry!.sequence, entry!.duplicate], [1, false]);
    });

    it("leaves a log of a newer incarnation alone", async () => {
      await log.create(NAME, "second", 1);
      await append(log, records(2), { incarnation: "second" });
      const before = await log.state(NAME);
      await assert.rejects(log.create(NAME, INCARNATION, 1), isBusError("CHANNEL_DELETED"));
      assert.deepEqual(await log.state(NAME), before);
      assert.equal((await readAll(log)).length, 2);
    });

    it("numbers messages from 1 without holes and says under which epoch and when", async () => {
      const { links } = (await log.state(NAME))!;
      const first = await append(log, records(2));
      opened.advance(5);
      const second = await append(log, records(1));
      assert.deepEqual(sequencesOf([...first, ...second]), [1, 2, 3]);
      for (const entry of [...first, ...second]) assert.equal(entry.epoch, links[0]!.epoch);
      assert.deepEqual(
        [...first, ...second].map((entry) => entry.acceptedAtMs),
        [START_MS, START_MS, START_MS + 5],
      );
      assert.equal((await log.state(NAME))!.head, 3);
    });

    it("gives back every field and byte as it was stored", async () => {
      const written = [
        record({ body: Uint8Array.of() }),
        record({ id: "ünï-✓-𝄞", sender: "zoë ✓", idempotencyKey: "ключ", body: Uint8Array.of(0, 255, 128) }),
        record({ audience: [], timeToLiveMs: 60_000 }),
        record({ audience: ["bob", "carol@example.org"], sender: "bob", idempotencyKey: "" }),
        record({ audience: ["bob", "carol@example.org"], sender: "alice" }),
        record({ body: Buffer.alloc(300_000, 9) }),
        record({ audience: Array.from({ length: 1_000 }, (_, i) => `agent-${i}`) }),
      ];
      const appended = await append(log, written);
      const expected: LogEntry[] = written.map(({ id, sender, audience, timeToLiveMs, body }, i) => {
        const { sequence, epoch, acceptedAtMs } = appended[i]!;
        const expiresAtMs = timeToLiveMs > 0 ? acceptedAtMs + timeToLiveMs : 0;
        return { sequence, epoch, acceptedAtMs, expiresAtMs, id, sender, audience, body: Uint8Array.from(body) };
      });
      const read = (await readAll(log)).map((entry) => ({ ...entry, body: Uint8Array.from(entry.body) }));
      assert.deepEqual(read, expected);
    });

    it("counts the bytes of the retained bodies", async () => {
      await append(log, [record({ body: Buffer.alloc(10) }), record({ body: Buffer.alloc(5) })]);
      assert.equal((await log.state(NAME))!.sizeBytes, 15);
    });

    it("reads forward and backward from any place", async () => {
      await append(log, records(5));
      await append(log, records(5));
      for (let from = -1; from <= 12; from++) {
        const forward = await log.read(readRequest({ from }));
        assert.deepEqual(sequencesOf(forward.entries), range(Math.max(1, from + 1), 10), `forward from ${from}`);
        const backward = await log.read(readRequest({ from, backward: true }));
        assert.deepEqual(
          sequencesOf(backward.entries),
          range(1, Math.min(10, from - 1)).reverse(),
          `backward from ${from}`,
        );
        for (const { state, damaged } of [forward, backward]) {
          assert.equal(state?.head, 10);
          assert.deepEqual(damaged, []);
        }
      }
    });

    it("returns as much as fits both limits, and one entry at least", async () => {
      await append(log, records(4, { body: Buffer.alloc(100) }));
      const sizes = async (maxEntries: number, maxBytes: number, backward: boolean) =>
        (await log.read(readRequest({ from: backward ? 5 : 0, maxEntries, maxBytes, backward }))).entries.length;
      for (const backward of [false, true]) {
        assert.equal(await sizes(3, 10_000, backward), 3);
        assert.equal(await sizes(10, 300, backward), 3);
        assert.equal(await sizes(10, 299, backward), 2);
        assert.equal(await sizes(10, 1, backward), 1);
        assert.equal(await sizes(1, 10_000, backward), 1);
      }
    });

    it("has nothing to say of a log that is not there", async () => {
      const name = channelName("no", "such");
      assert.deepEqual(await log.read(readRequest({ name })), { entries: [], state: undefined, damaged: [] });
      assert.deepEqual(await log.findId(name, "x", 0), []);
      assert.equal(await log.findTime(name, 0), 1);
      assert.deepEqual(await log.append(batch(records(1), { name })), { kind: "gone" });
      await log.delete(name, "x");
      const gone = isBusError("CHANNEL_DELETED");
      await assert.rejects(log.fence(name, "x", 2), gone);
      await assert.rejects(log.renewEpoch(name), gone);
      await assert.rejects(log.trim(name, { maxAgeMs: 1, maxMessages: 1, maxBytes: 1 }), gone);
    });

    it("keeps logs apart, also those whose names differ in case alone", async () => {
      const other = channelName("science", "Explore");
      await log.create(other, "other", 1);
      await append(log, records(2));
      assert.equal((await log.state(other))!.head, 0);
      assert.deepEqual(sequencesOf(await append(log, records(1), { name: other, incarnation: "other" })), [1]);
      await log.delete(other, "other");
      assert.equal((await log.state(NAME))!.head, 2);
    });

    it("stores what is handed over in order in that order, all of a batch together", async () => {
      const batches = range(1, 300).map((n) => records((n % 3) + 1, { sender: `agent-${n % 7}` }));
      const appended = (await Promise.all(batches.map((each) => append(log, each)))).flat();
      assert.deepEqual(sequencesOf(appended), range(1, appended.length));
      const stored = (await readAll(log)).map((entry) => entry.id);
      assert.deepEqual(
        stored,
        batches.flat().map((each) => each.id),
      );
    });

    it("shows nobody a message before the one in front of it", async () => {
      let isDone = false;
      const writing = Promise.all(range(1, 200).map(() => append(log, records(2)))).then(() => {
        isDone = true;
      });
      let from = 0;
      do {
        const { entries } = await log.read(readRequest({ from }));
        assert.deepEqual(sequencesOf(entries), range(from + 1, from + entries.length));
        from += entries.length;
        await nextTurn(); // what answers from memory would let nobody else run
      } while (!isDone);
      await writing;
      assert.equal((await log.state(NAME))!.head, 400);
    });

    it("never lets accept times decrease", async () => {
      await append(log, records(1));
      opened.advance(-60_000);
      const [entry] = await append(log, records(1));
      assert.equal(entry!.acceptedAtMs, START_MS);
    });

    it("finds the oldest retained entry of an id", async () => {
      await append(log, [record({ id: "a" }), record({ id: "twice", idempotencyKey: "1" })]);
      await append(log, [record({ id: "twice", idempotencyKey: "2" }), record({ id: "" })]);
      assert.deepEqual(await log.findId(NAME, "a", 0), [1]);
      assert.equal((await log.findId(NAME, "twice", 0))[0], 2);
      assert.deepEqual(await log.findId(NAME, "absent", 0), []);
    });

    it("finds every entry of an id, one behind another, from any place on", async () => {
      const same = { id: "same", idempotencyKey: "" };
      const twice = [...records(2, same), record({ id: "other", idempotencyKey: "" })];
      for (const batch of [twice, records(3), twice, records(60, same)]) await append(log, batch);
      const expected = [1, 2, 7, 8, ...range(10, 69)];
      for (const from of [0, 1, 2, 6, 7, 8, 40, 69, 1_000]) {
        const found: number[] = [];
        for (let after = from; ; after = found.at(-1)!) {
          const next = await log.findId(NAME, "same", after);
          assert.ok(next.length <= 100);
          if (next.length === 0) break;
          found.push(...next);
        }
        assert.deepEqual(
          found,
          expected.filter((sequence) => sequence > from),
          `behind ${from}`,
        );
      }
    });

    it("finds the first entry accepted at or after a time", async () => {
      for (const count of [2, 3, 1]) {
        await append(log, records(count));
        opened.advance(10);
      }
      const found = await Promise.all([-5, 0, 1, 10, 11, 20, 21].map((ms) => log.findTime(NAME, START_MS + ms)));
      assert.deepEqual(found, [1, 1, 3, 3, 6, 6, 7]);
    });

    it("refuses batches routed by an older version, and stores nothing of them", async () => {
      await append(log, records(2));
      assert.equal(await log.fence(NAME, INCARNATION, 5), 2);
      assert.deepEqual(await log.append(batch(records(1), { version: 4 })), { kind: "stale", version: 5 });
      assert.deepEqual(sequencesOf(await append(log, records(1), { version: 5 })), [3]);
      assert.equal((await log.state(NAME))!.version, 5);
    });

    it("answers a fence the same when asked again", async () => {
      await append(log, records(2));
      assert.equal(await log.fence(NAME, INCARNATION, 2), 2);
      await append(log, records(2), { version: 2 });
      assert.equal(await log.fence(NAME, INCARNATION, 2), 2);
      await assert.rejects(log.fence(NAME, "other", 3), isBusError("CHANNEL_DELETED"));
    });

    it("takes a batch of a newer version for its fence", async () => {
      await append(log, records(2));
      await append(log, records(2), { version: 3 });
      assert.deepEqual(await log.append(batch(records(1), { version: 1 })), { kind: "stale", version: 3 });
      assert.equal(await log.fence(NAME, INCARNATION, 3), 2);
    });

    it("orders a fence among the appends that are in flight", async () => {
      const [before, fencedAt, after] = await Promise.all([
        append(log, records(3)),
        log.fence(NAME, INCARNATION, 2),
        log.append(batch(records(1), { version: 1 })),
      ]);
      assert.equal(fencedAt, before.at(-1)!.sequence);
      assert.deepEqual(after, { kind: "stale", version: 2 });
    });

    it("goes on under a new epoch when asked, from the next sequence on", async () => {
      await append(log, records(2));
      const state = await log.renewEpoch(NAME);
      assert.equal(state.links.length, 2);
      assert.equal(state.links[1]!.first, 3);
      const [entry] = await append(log, records(1));
      assert.equal(entry!.epoch, state.links[1]!.epoch);
      assert.notEqual(entry!.epoch, state.links[0]!.epoch);
      for (const each of await readAll(log)) assert.equal(each.epoch, epochAt(state.links, each.sequence));
    });

    it("gives each message the epoch it was handed over under, also in flight", async () => {
      const handed: Promise<unknown>[] = [];
      for (let n = 0; n < 10; n++) handed.push(append(log, records(2)), log.renewEpoch(NAME));
      await Promise.all(handed);
      const { links } = (await log.state(NAME))!;
      assert.deepEqual(
        links.map((link) => link.first),
        range(0, 10).map((n) => 2 * n + 1),
      );
      for (const each of await readAll(log)) assert.equal(each.epoch, epochAt(links, each.sequence));
    });

    it("keeps the newest 1,000 links of the chain", async () => {
      await Promise.all(range(1, MAX_EPOCH_LINKS + 3).map(() => log.renewEpoch(NAME)));
      const state = (await log.state(NAME))!;
      assert.equal(state.links.length, MAX_EPOCH_LINKS);
      assert.equal(new Set(state.links.map((link) => link.epoch)).size, MAX_EPOCH_LINKS);
      const [entry] = await append(log, records(1));
      assert.equal(entry!.epoch, state.links.at(-1)!.epoch);
    });

    it("deletes the log of the named incarnation alone", async () => {
      await append(log, records(2));
      await log.delete(NAME, "other");
      assert.equal((await log.state(NAME))!.head, 2);
      await log.delete(NAME, INCARNATION);
      assert.equal(await log.state(NAME), undefined);
      assert.deepEqual(await log.append(batch(records(1))), { kind: "gone" });
      await log.delete(NAME, INCARNATION);
    });

    it("starts at 1 under another epoch when it is made again", async () => {
      const before = (await log.state(NAME))!.links[0]!.epoch;
      await append(log, records(2));
      await log.delete(NAME, INCARNATION);
      const state = await log.create(NAME, "again", 1);
      assert.notEqual(state.links[0]!.epoch, before);
      assert.deepEqual(sequencesOf(await append(log, records(1), { incarnation: "again" })), [1]);
      assert.equal((await readAll(log)).length, 1);
    });

    it("survives being deleted and made again while appends are in flight", async () => {
      const outcomes: Promise<unknown>[] = [];
      for (let n = 0; n < 40; n++) {
        const incarnation = `i-${10 + n}`; // each newer than the one before, as a string
        outcomes.push(log.create(NAME, incarnation, 1));
        for (let i = 0; i < 3; i++) outcomes.push(Promise.resolve(log.append(batch(records(1), { incarnation }))));
        if (n % 2 === 0) outcomes.push(log.delete(NAME, incarnation));
      }
      await Promise.all(outcomes);
      assert.equal((await log.state(NAME))!.incarnation, "i-49");
      assert.deepEqual(sequencesOf(await readAll(log)), [1, 2, 3]);
    });

    it("S0-2.1.4b: durable storages hold everything over a clean close, under the same epoch", async (test) => {
      if (!opened.storage.capabilities.durable) test.skip("this storage is not durable");
      const repeated = record();
      await append(log, [...records(5), repeated]);
      await log.fence(NAME, INCARNATION, 4);
      await log.renewEpoch(NAME);
      await append(log, records(2), { version: 4 });
      await log.trim(NAME, { maxAgeMs: 0, maxMessages: 6, maxBytes: 0 });
      const [before, entries] = [await log.state(NAME), await readAll(log)];
      const reopened = (await opened.reopen!()).log;
      assert.deepEqual(await reopened.state(NAME), before);
      assert.deepEqual(await readAll(reopened), entries);
      const [again, next] = await append(reopened, [repeated, record()], { version: 4 });
      assert.deepEqual([again!.sequence, again!.duplicate, next!.sequence], [6, true, 9]);
      assert.equal(await reopened.fence(NAME, INCARNATION, 4), 6);
    });

    describeEnds(() => opened);
    describeDeduplication(() => opened);
    describeRetention(() => opened);
    describeModel(() => opened);
  });
}
