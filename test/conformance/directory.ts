import assert from "node:assert/strict";
import fc from "fast-check";
import { afterEach, beforeEach, describe, it } from "vitest";
import type { Directory, DirectoryRecord, PutOutcome, RecordKey } from "../../src/storage/directory.ts";
import { range } from "./appending.ts";
import { type OpenedStorage, type OpenStorage, START_MS } from "./opened-storage.ts";

const key = (id: string, parent = "science", kind = "channel"): RecordKey => ({ kind, parent, id });
const ids = (records: readonly DirectoryRecord[]) => records.map((record) => `${record.key.parent}/${record.key.id}`);

/** What every Directory promises. Each adapter's test file calls it once. */
export function describeDirectory(adapter: string, open: OpenStorage): void {
  describe(`${adapter} directory`, () => {
    let opened: OpenedStorage;
    let directory: Directory;
    beforeEach(async () => {
      opened = await open();
      directory = opened.storage.directory;
    });
    afterEach(() => opened.dispose());

    it("S0-3.1.2: keeps JSON values and counts versions from 1", async () => {
      const value = { text: 'ünï ✓ " \\ \n', list: [1, 2.5, -3], nested: { yes: true, no: {} }, empty: "" };
      assert.equal(await directory.get(key("a")), undefined);
      assert.deepEqual(await directory.put(key("a"), value), { kind: "stored", version: 1, expiresAtMs: 0 });
      assert.deepEqual(await directory.get(key("a")), { key: key("a"), version: 1, value, expiresAtMs: 0 });
      assert.deepEqual(await directory.put(key("a"), { other: 1 }), { kind: "stored", version: 2, expiresAtMs: 0 });
      assert.deepEqual((await directory.get(key("a")))!.value, { other: 1 });
    });

    it("keeps what was put, whatever happens to the object afterwards", async () => {
      const value = { list: [1] };
      await directory.put(key("a"), value);
      value.list.push(2);
      const read = (await directory.get(key("a")))!.value as typeof value;
      assert.deepEqual(read, { list: [1] });
      read.list.push(3);
      assert.deepEqual((await directory.get(key("a")))!.value, { list: [1] });
    });

    it("writes only at the expected version and answers what is there instead", async () => {
      assert.deepEqual(await directory.put(key("a"), {}, { expectedVersion: 1 }), {
        kind: "conflict",
        current: undefined,
      });
      assert.equal((await directory.put(key("a"), { n: 1 }, { expectedVersion: 0 })).kind, "stored");
      const outcome = await directory.put(key("a"), { n: 2 }, { expectedVersion: 0 });
      assert.deepEqual(outcome, { kind: "conflict", current: await directory.get(key("a")) });
      assert.deepEqual(await directory.put(key("a"), { n: 2 }, { expectedVersion: 1 }), {
        kind: "stored",
        version: 2,
        expiresAtMs: 0,
      });
    });

    it("lets one of many creators win", async () => {
      const outcomes = await Promise.all(
        range(1, 20).map((n) => directory.put(key("a"), { n }, { expectedVersion: 0 })),
      );
      assert.equal(outcomes.filter((outcome) => outcome.kind === "stored").length, 1);
    });

    it("loses no update among many that compare versions", async () => {
      await directory.put(key("a"), { n: 0 });
      const increment = async () => {
        for (;;) {
          const { version, value } = (await directory.get(key("a")))!;
          const next = { n: (value as { n: number }).n + 1 };
          if ((await directory.put(key("a"), next, { expectedVersion: version })).kind === "stored") return;
        }
      };
      await Promise.all(range(1, 10).map(increment));
      assert.deepEqual((await directory.get(key("a")))!.value, { n: 10 });
    });

    it("deletes, when asked only at a version", async () => {
      await directory.put(key("a"), {});
      assert.equal(await directory.delete(key("a"), 2), false);
      assert.equal(await directory.delete(key("a"), 1), true);
      assert.equal(await directory.get(key("a")), undefined);
      assert.equal(await directory.delete(key("a")), false);
    });

    it("starts above the last version when a record comes again soon", async () => {
      await directory.put(key("a"), {});
      await directory.put(key("a"), {});
      await directory.delete(key("a"));
      assert.deepEqual(await directory.put(key("a"), {}, { expectedVersion: 0 }), {
        kind: "stored",
        version: 3,
        expiresAtMs: 0,
      });
    });

    it("lists by parent and id, page by page", async () => {
      for (const parent of ["b", "a", "a.b", "B"]) {
        for (const id of ["2", "10", "1", "x"]) await directory.put(key(id, parent), {});
      }
      await directory.put(key("1", "a", "room"), {});
      const expected = ["B", "a", "a.b", "b"].flatMap((parent) => ["1", "10", "2", "x"].map((id) => `${parent}/${id}`));
      for (const limit of [1, 3, 16, 1_000]) {
        const found: DirectoryRecord[] = [];
        for (;;) {
          const after = found.at(-1)?.key;
          const page = await directory.list({ kind: "channel", limit, ...(after && { after }) });
          if (page.length === 0) break;
          assert.ok(page.length <= limit);
          found.push(...page);
        }
        assert.deepEqual(ids(found), expected);
      }
      assert.deepEqual(ids(await directory.list({ kind: "channel", parent: "a", limit: 10 })), expected.slice(4, 8));
      const after = { parent: "a", id: "10" };
      assert.deepEqual(ids(await directory.list({ kind: "channel", parent: "a", after, limit: 10 })), ["a/2", "a/x"]);
      assert.deepEqual(await directory.list({ kind: "channel", parent: "none", limit: 10 }), []);
      await assert.rejects(directory.list({ kind: "channel", limit: 0 }), RangeError);
      await assert.rejects(directory.list({ kind: "channel", limit: 1_001 }), RangeError);
    });

    it("does not return what has expired", async () => {
      await directory.put(key("a"), { n: 1 }, { timeToLiveMs: 10 });
      await directory.put(key("b"), {});
      opened.advance(9);
      assert.equal((await directory.get(key("a")))!.expiresAtMs, START_MS + 10);
      assert.equal(await directory.count("channel", "science"), 2);
      opened.advance(1);
      assert.equal(await directory.get(key("a")), undefined);
      assert.deepEqual(ids(await directory.list({ kind: "channel", limit: 10 })), ["science/b"]);
      assert.equal(await directory.count("channel", "science"), 1);
      assert.equal(await directory.delete(key("a")), false);
      assert.deepEqual(await directory.put(key("a"), {}, { expectedVersion: 1 }), {
        kind: "conflict",
        current: undefined,
      });
      assert.equal((await directory.put(key("a"), {}, { expectedVersion: 0 })).kind, "stored");
      opened.advance(1_000_000);
      assert.notEqual(await directory.get(key("a")), undefined);
    });

    it("counts a record's time to live from its newest put, and says when it ends", async () => {
      const stored = (version: number, expiresAtMs: number) => ({ kind: "stored", version, expiresAtMs });
      assert.deepEqual(await directory.put(key("a"), {}, { timeToLiveMs: 10 }), stored(1, START_MS + 10));
      opened.advance(9);
      const renewed = await directory.put(key("a"), {}, { expectedVersion: 1, timeToLiveMs: 10 });
      assert.deepEqual(renewed, stored(2, START_MS + 19));
      opened.advance(9);
      assert.equal((await directory.get(key("a")))!.expiresAtMs, START_MS + 19);
      opened.advance(1);
      assert.equal(await directory.get(key("a")), undefined);
      // One that comes again is no renewal of what was there: a lease that was lost must not look as if it had been kept.
      const again = await directory.put(key("a"), {}, { expectedVersion: 0, timeToLiveMs: 10 });
      assert.deepEqual(again, stored(3, START_MS + 29));
      assert.deepEqual(await directory.put(key("a"), {}), stored(4, 0));
      opened.advance(1_000_000);
      assert.equal((await directory.get(key("a")))!.expiresAtMs, 0);
    });

    it("limits how many a parent has, and only when one is added", async () => {
      const put = (id: string, maxInParent: number) => directory.put(key(id), {}, { maxInParent });
      const outcomes = await Promise.all(range(1, 20).map((n) => put(`${n}`, 5)));
      assert.equal(outcomes.filter((outcome: PutOutcome) => outcome.kind === "full").length, 15);
      assert.equal(await directory.count("channel", "science"), 5);
      const first = `${outcomes.findIndex(({ kind }) => kind === "stored") + 1}`; // of puts at once any may win
      assert.equal((await put(first, 5)).kind, "stored");
      assert.equal((await directory.put(key("x", "elsewhere"), {}, { maxInParent: 5 })).kind, "stored");
      await directory.delete(key(first));
      assert.equal((await put("21", 5)).kind, "stored");
      assert.equal((await put("22", 5)).kind, "full");
    });

    it("does not count what has expired against the limit", async () => {
      await directory.put(key("a"), {}, { timeToLiveMs: 10 });
      await directory.put(key("b"), {}, { timeToLiveMs: 20 });
      opened.advance(10);
      assert.equal((await directory.put(key("c"), {}, { maxInParent: 2 })).kind, "stored");
      assert.equal((await directory.put(key("d"), {}, { maxInParent: 2 })).kind, "full");
      for (const n of range(1, 50)) await directory.put(key(`other-${n}`, "elsewhere"), {});
      assert.equal(await directory.count("channel", "science"), 2);
    });

    it("S0-2.1.4b: durable storages hold records over a clean close", async (test) => {
      if (!opened.storage.capabilities.durable) test.skip("this storage is not durable");
      await directory.put(key("a"), { n: 1 });
      await directory.put(key("a"), { n: 2 });
      await directory.put(key("b"), {});
      await directory.delete(key("b"));
      const reopened = (await opened.reopen!()).directory;
      assert.deepEqual(await reopened.get(key("a")), { key: key("a"), version: 2, value: { n: 2 }, expiresAtMs: 0 });
      assert.equal(await reopened.count("channel", "science"), 1);
      assert.deepEqual(await reopened.put(key("b"), {}), { kind: "stored", version: 2, expiresAtMs: 0 });
    });

    it("does what a map does, whatever the order of steps", () => {
      let runs = 0;
      return fc.assert(
        fc.asyncProperty(fc.array(steps, { maxLength: 60 }), (actions) => run(directory, `kind-${++runs}`, actions)),
        { numRuns: 40 },
      );
    });
  });
}

const id = fc.constantFrom("a", "b", "c");
const parent = fc.constantFrom("p", "q");
const steps = fc.oneof(
  fc.record({ do: fc.constant("put"), id, parent, expected: fc.option(fc.integer({ min: 0, max: 3 })) }),
  fc.record({ do: fc.constant("delete"), id, parent, expected: fc.option(fc.integer({ min: 1, max: 3 })) }),
);
type Step = typeof steps extends fc.Arbitrary<infer S> ? S : never;

async function run(directory: Directory, kind: string, actions: readonly Step[]): Promise<void> {
  const model = new Map<string, { version: number; n: number }>();
  const versions = new Map<string, number>();
  for (const [n, step] of actions.entries()) {
    const at = `${step.parent}/${step.id}`;
    const present = model.get(at);
    const isExpected = step.expected === null || step.expected === (present?.version ?? 0);
    if (step.do === "put") {
      const options = step.expected === null ? {} : { expectedVersion: step.expected };
      const outcome = await directory.put(key(step.id, step.parent, kind), { n }, options);
      if (isExpected) {
        const version = (versions.get(at) ?? 0) + 1;
        versions.set(at, version);
        model.set(at, { version, n });
        assert.deepEqual(outcome, { kind: "stored", version, expiresAtMs: 0 });
      } else {
        assert.equal(outcome.kind, "conflict");
      }
    } else {
      const removed = await directory.delete(key(step.id, step.parent, kind), step.expected ?? undefined);
      assert.equal(removed, present !== undefined && isExpected);
      if (removed) model.delete(at);
    }
    const listed = await directory.list({ kind, limit: 1_000 });
    assert.deepEqual(ids(listed), [...model.keys()].sort());
    for (const record of listed) {
      const { version, n: value } = model.get(`${record.key.parent}/${record.key.id}`)!;
      assert.deepEqual([record.version, record.value], [version, { n: value }]);
    }
    for (const each of ["p", "q"]) {
      const count = [...model.keys()].filter((at) => at.startsWith(each)).length;
      assert.equal(await directory.count(kind, each), count);
    }
  }
}
