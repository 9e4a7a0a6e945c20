import assert from "node:assert/strict";
import { afterEach, beforeEach, describe, it } from "vitest";
import { isBusError } from "../../src/core/errors.ts";
import type { LogEntry } from "../../src/core/message.ts";
import type { AppendOutcome, MessageLog } from "../../src/storage/message-log.ts";
import {
  append,
  batch,
  INCARNATION,
  NAME,
  range,
  readAll,
  readRequest,
  record,
  records,
  sequencesOf,
  WINDOW_MS,
} from "./appending.ts";
import type { OpenedStorage, OpenStorage } from "./opened-storage.ts";

export function describeSharedLog(open: OpenStorage): void {
  describe("logs", () => {
    let opened: OpenedStorage;
    let here: MessageLog;
    let there: MessageLog;
    beforeEach(async () => {
      opened = await open();
      here = opened.storage.log;
      there = opened.other!.log;
      await here.create(NAME, INCARNATION, 1);
    });
    afterEach(() => opened.dispose());
    const either = (n: number) => (n % 2 === 0 ? here : there);

    /** Reads all the time what is new, until `writing` is over and all of it was read; fails at a hole. */
    async function follow(log: MessageLog, writing: Promise<unknown>): Promise<readonly LogEntry[]> {
      const seen: LogEntry[] = [];
      const writer = { isDone: false };
      const done = () => {
        writer.isDone = true;
      };
      writing.then(done, done);
      for (;;) {
        const isLast = writer.isDone;
        const { entries, state, damaged } = await log.read(readRequest({ from: seen.length, maxEntries: 50 }));
        assert.deepEqual(damaged, []);
        assert.deepEqual(sequencesOf(entries), range(seen.length + 1, seen.length + entries.length));
        assert.ok(state!.head >= (entries.at(-1)?.sequence ?? 0));
        if (entries.length === 0) assert.ok(state!.head <= seen.length, "nothing was read below the head");
        seen.push(...entries);
        if (isLast && entries.length === 0) return seen;
      }
    }

    it("S3-FR-004: numbers what both append without holes or doubles, and both read the same", async () => {
      const outcomes: AppendOutcome[] = [];
      const writing = Promise.all(
        range(1, 8).map(async (writer) => {
          // Of different sizes: commits that end at the same sequence by chance would hide that both began at the same.
          for (const _ of range(1, 25)) outcomes.push(await either(writer).append(batch(records(1 + (writer % 3)))));
        }),
      );
      const [readHere, readThere] = await Promise.all([follow(here, writing), follow(there, writing), writing]);
      const appended = outcomes.flatMap((outcome) => (outcome.kind === "appended" ? outcome.entries : assert.fail()));
      const sequences = sequencesOf(appended).sort((a, b) => a - b);
      assert.deepEqual(sequences, range(1, 425));
      assert.deepEqual(readHere, readThere);
      assert.equal(new Set(readHere.map((entry) => entry.id)).size, 425);
    });

    it("keeps the order of what each hands over", async () => {
      const handed = [here, there].map((log, node) => {
        return range(1, 150).map((n) => append(log, [record({ id: `${node}-${n}`, sender: `node-${node}` })]));
      });
      await Promise.all(handed.flat());
      const stored = await readAll(there);
      for (const node of [0, 1]) {
        const own = stored.filter((entry) => entry.sender === `node-${node}`).map((entry) => entry.id);
        assert.deepEqual(
          own,
          range(1, 150).map((n) => `${node}-${n}`),
        );
      }
    });

    it("never lets accept times decrease, whoever appends", async () => {
      for (const n of range(1, 20)) {
        opened.advance(n % 3 === 0 ? -5_000 : 1_000);
        await Promise.all([append(here, records(2)), append(there, records(2))]);
      }
      const times = (await readAll(here)).map((entry) => entry.acceptedAtMs);
      assert.deepEqual(
        times,
        times.toSorted((a, b) => a - b),
      );
    });

    it("stores a key once that both bring at the same time, and tells the other where it is", async () => {
      for (const round of range(1, 20)) {
        const same = record();
        // One on each node, or several, which share a commit: an adapter may take another way then.
        const bringers = range(1, round % 2 === 0 ? 8 : 2);
        const entries = (await Promise.all(bringers.map((n) => append(either(n), [same])))).flat();
        assert.equal(entries.filter((entry) => !entry.duplicate).length, 1, `round ${round}`);
        const { duplicate: _, ...first } = entries[0]!;
        for (const { duplicate: _, ...entry } of entries) assert.deepEqual(entry, first);
      }
      assert.deepEqual(sequencesOf(await readAll(there)), range(1, 20));
    });

    it("stores one of two contents under one key, and nothing of the other's batch", async () => {
      for (const _ of range(1, 20)) {
        const key = record();
        const bring = (log: MessageLog, contentDigest: number) =>
          log.append(batch([...records(1), { ...key, contentDigest }, ...records(1)]));
        const outcomes = await Promise.all([bring(here, 1), bring(there, 2)]);
        assert.deepEqual(outcomes.map((outcome) => outcome.kind).sort(), ["appended", "conflict"]);
        const conflict = outcomes.find((outcome) => outcome.kind === "conflict");
        assert.deepEqual(conflict, { kind: "conflict", index: 1 });
      }
      assert.equal((await readAll(here)).length, 60);
    });

    it("forgets a key on both when its window is over", async () => {
      const key = record();
      await append(here, [key]);
      opened.advance(WINDOW_MS - 1);
      const [young] = await append(there, [key]);
      assert.deepEqual([young!.sequence, young!.duplicate], [1, true]);
      opened.advance(1);
      const [old] = await append(there, [{ ...key, contentDigest: 8 }]);
      assert.deepEqual([old!.sequence, old!.duplicate], [2, false]);
      assert.deepEqual(await here.append(batch([key])), { kind: "conflict", index: 0 });
    });

    it("makes one log of creators of the same incarnation", async () => {
      const states = await Promise.all(range(1, 12).map((n) => either(n).create(NAME, "second", 1)));
      for (const state of states) assert.deepEqual(state.links, states[0]!.links);
    });

    it("keeps the newest of incarnations that race, and nothing of the others", async () => {
      for (const round of range(1, 10)) {
        const incarnations = ["x", "y", "z"].map((each) => `r${10 + round}-${each}`);
        // The newest is there before or behind the others.
        await Promise.all(
          (round % 2 === 0 ? incarnations : incarnations.toReversed()).flatMap((incarnation) =>
            [here, there].map(async (log) => {
              try {
                await log.create(NAME, incarnation, 1);
                await log.append(batch(records(2), { incarnation }));
              } catch (error) {
                if (!(isBusError(error) && error.reason === "CHANNEL_DELETED")) throw error;
              }
            }),
          ),
        );
        const state = (await there.state(NAME))!;
        assert.equal(state.incarnation, incarnations[2]);
        assert.deepEqual(sequencesOf(await readAll(here)), range(1, 4));
      }
    });

    it("a fence of one makes the other's batches stale from an exact sequence on", async () => {
      for (const version of range(2, 11)) {
        const old = Promise.all(range(1, 10).map(() => there.append(batch(records(1), { version: version - 1 }))));
        const fencedAt = await here.fence(NAME, INCARNATION, version);
        for (const outcome of await old) {
          if (outcome.kind === "stale") assert.equal(outcome.version, version);
          else assert.ok(outcome.kind === "appended" && outcome.entries[0]!.sequence <= fencedAt);
        }
        const stale = await there.append(batch(records(1), { version: version - 1 }));
        assert.deepEqual(stale, { kind: "stale", version });
        const [entry] = await append(there, records(1), { version });
        assert.equal(entry!.sequence, fencedAt + 1);
        assert.equal(await there.fence(NAME, INCARNATION, version), fencedAt);
      }
    });

    it("gives messages of both the epoch that either renewed", async () => {
      const { epoch } = (await there.renewEpoch(NAME)).links.at(-1)!;
      const [[first], [second]] = await Promise.all([append(here, records(1)), append(there, records(1))]);
      assert.deepEqual([first!.epoch, second!.epoch], [epoch, epoch]);
      await Promise.all(range(1, 10).map((n) => either(n).renewEpoch(NAME)));
      const { links } = (await here.state(NAME))!;
      assert.equal(links.length, 12);
      assert.equal(new Set(links.map((link) => link.epoch)).size, 12);
    });

    it("reads the chain of epochs as it is, however often it was read before the other changed it", async () => {
      const chain = async (log: MessageLog) => (await log.read(readRequest({ from: 0 }))).state!.links;
      for (const count of range(2, 5)) {
        await append(here, records(1));
        assert.deepEqual(await chain(here), await chain(here));
        const { links } = await there.renewEpoch(NAME);
        assert.equal(links.length, count);
        for (const log of [here, there]) assert.deepEqual(await chain(log), links);
      }
      const { links } = await there.create(NAME, "second", 1);
      for (const log of [here, there]) assert.deepEqual(await chain(log), links);
    });

    it("trims on one while the other reads: from the floor on nothing is missing or damaged", async () => {
      await append(here, records(100));
      await append(here, records(100));
      const trimming = (async () => {
        for (const left of range(1, 20)) {
          await there.trim(NAME, { maxAgeMs: 0, maxMessages: 200 - left * 9, maxBytes: 0 });
        }
      })();
      const writer = { isDone: false };
      void trimming.then(() => {
        writer.isDone = true;
      });
      do {
        const { entries, state, damaged } = await here.read(readRequest({ from: 0, maxEntries: 60 }));
        assert.deepEqual(damaged, []);
        assert.deepEqual(sequencesOf(entries), range(state!.floor, Math.min(200, state!.floor + entries.length - 1)));
        assert.ok(entries.length > 0);
      } while (!writer.isDone);
      await trimming;
      assert.deepEqual([(await here.state(NAME))!.floor, (await readAll(here)).length], [181, 20]);
    });

    it("is deleted and made again by one while the other appends: each incarnation has what it acknowledged", async () => {
      const acknowledged = new Map<string, number[]>();
      const names = range(1, 15).map((n) => `i-${10 + n}`);
      const current = { incarnation: INCARNATION, isDone: false };
      const changing = (async () => {
        for (const incarnation of names) {
          await here.delete(NAME, current.incarnation);
          await here.create(NAME, incarnation, 1);
          current.incarnation = incarnation;
        }
        current.isDone = true;
      })();
      const writing = range(1, 4).map(async () => {
        do {
          const { incarnation } = current;
          const outcome = await there.append(batch(records(1), { incarnation }));
          if (outcome.kind === "gone") continue;
          assert.ok(outcome.kind === "appended");
          const known = acknowledged.get(incarnation) ?? [];
          acknowledged.set(incarnation, [...known, outcome.entries[0]!.sequence]);
        } while (!current.isDone);
        await append(there, records(1), { incarnation: names.at(-1)! });
      });
      await Promise.all([changing, ...writing]);
      for (const [incarnation, sequences] of acknowledged) {
        assert.deepEqual(
          sequences.toSorted((a, b) => a - b),
          range(1, sequences.length),
          incarnation,
        );
      }
      const kept = (acknowledged.get(names.at(-1)!)?.length ?? 0) + 4;
      assert.deepEqual(sequencesOf(await readAll(here)), range(1, kept));
    });

    it("answers where logs end the same on both, as soon as it is stored", async () => {
      for (const n of range(1, 10)) {
        await append(either(n), records(3));
        assert.deepEqual(await there.ends([NAME]), await here.ends([NAME]));
        assert.equal((await there.ends([NAME]))[0]!.head, n * 3);
      }
    });
  });
}
