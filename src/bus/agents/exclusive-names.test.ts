import assert from "node:assert/strict";
import { describe, it } from "vitest";
import {
  createBackend,
  openNode,
  pass,
  recordingLogger,
  settle,
  type TestNode,
} from "../../../test/support/registry-fixture.ts";
import { BusError } from "../../core/errors.ts";
import type { Directory } from "../../storage/directory.ts";
import { ExclusiveNames, type ExclusiveStream } from "./exclusive-names.ts";

const LEASE = 15_000;

interface TestStream extends ExclusiveStream {
  over: boolean;
  close(): void;
}

/** Three nodes on one backend, and streams of alice that want the name "main" for themselves. */
async function three() {
  const backend = createBackend("shared");
  const nodes: TestNode[] = [];
  for (const nodeId of ["a", "b", "c"]) nodes.push(await openNode(backend, { nodeId }));
  const [a, b, c] = nodes as [TestNode, TestNode, TestNode];
  let asked = 0;
  const open = ({ exclusiveNames }: TestNode, name = "main"): TestStream => {
    const stream: TestStream = {
      order: ++asked,
      over: false,
      takenOver: () => {
        stream.over = true;
        exclusiveNames.release("alice", name, stream); // as a subscription does that has ended
      },
      close: () => exclusiveNames.release("alice", name, stream),
    };
    exclusiveNames.claim("alice", name, stream);
    return stream;
  };
  const claims = () => backend.storage.directory.list({ kind: "exclusive", limit: 100 });
  return { backend, a, b, c, open, claims, elapse: (ms: number) => pass(backend, ms) };
}

const over = (...streams: readonly TestStream[]) => streams.map((stream) => stream.over);

describe("exclusive names over several nodes", () => {
  it("the newest stream has the name, wherever it is, and leaves nothing behind", async () => {
    const { a, b, c, open, claims } = await three();
    const first = open(a);
    await settle();
    const second = open(b);
    await settle();
    assert.deepEqual(over(first, second), [true, false]);
    const third = open(c);
    await settle();
    const fourth = open(a);
    await settle();
    assert.deepEqual(over(second, third, fourth), [true, true, false]);
    fourth.close();
    await settle();
    assert.deepEqual(await claims(), []);
    const fifth = open(b);
    await settle();
    assert.equal(fifth.over, false);
  });

  it("on one node the older stream ends at once, and its end does not take the name from the newer one", async () => {
    const { a, b, open, claims } = await three();
    const [older, newer] = [open(a), open(a)];
    assert.deepEqual(over(older, newer), [true, false]);
    await settle();
    assert.equal((await claims()).length, 1);
    const elsewhere = open(b);
    await settle();
    assert.deepEqual(over(newer, elsewhere), [true, false]);
    newer.close();
    a.link.deafen();
    b.link.deafen();
    const last = open(a);
    await settle();
    elsewhere.close(); // without having heard of the last one
    await settle();
    assert.equal((await claims()).length, 1, "the claim that is there is the other node's");
    assert.equal(last.over, false);
  });

  it("what was read before one's own claim was written does not count", async () => {
    const { a, b, backend, open } = await three();
    const { directory } = backend.storage;
    const asked = Promise.withResolvers<void>();
    const gate = Promise.withResolvers<void>();
    const slow: Directory = {
      get: async (key) => {
        const old = await directory.get(key);
        asked.resolve();
        await gate.promise;
        return old;
      },
      put: (...call) => directory.put(...call),
      delete: (...call) => directory.delete(...call),
      list: (request) => directory.list(request),
      count: (...call) => directory.count(...call),
    };
    const { doorbell, now } = backend.storage;
    const exclusiveNames = new ExclusiveNames({
      directory: slow,
      doorbell,
      clock: backend.clock,
      log: recordingLogger([]),
      storeNow: now,
      shared: true,
      instance: () => "slow",
      isLive: () => true,
    });
    const slowNode = { ...a, exclusiveNames };
    open(slowNode);
    await settle();
    open(b);
    await asked.promise;
    const newest = open(slowNode);
    await settle();
    gate.resolve();
    await settle();
    assert.equal(newest.over, false);
  });

  describe("a claim of a stream that closes while it is being written", () => {
    /** A node whose claims are stored when a test says so, and answered when it says so. */
    async function withSlow() {
      const { backend, b, ...rest } = await three();
      const { directory, doorbell, now } = backend.storage;
      const puts: { store(): Promise<void>; answer(): void; lose(): void }[] = [];
      const slow: Directory = {
        get: (key) => directory.get(key),
        put: (...call) => {
          const { promise, resolve, reject } = Promise.withResolvers<Awaited<ReturnType<Directory["put"]>>>();
          let outcome: ReturnType<Directory["put"]> | undefined;
          puts.push({
            async store() {
              outcome ??= directory.put(...call);
              await outcome;
            },
            answer: () => outcome?.then(resolve, reject),
            lose: () => reject(new BusError("STORAGE_UNAVAILABLE", "no answer")),
          });
          return promise;
        },
        delete: (...call) => directory.delete(...call),
        list: (request) => directory.list(request),
        count: (...call) => directory.count(...call),
      };
      const exclusiveNames = new ExclusiveNames({
        directory: slow,
        doorbell,
        clock: backend.clock,
        log: recordingLogger([]),
        storeNow: now,
        shared: true,
        instance: () => "slow",
        isLive: () => true,
      });
      const live = rest.open(b);
      await settle();
      const leaving = rest.open({ ...b, exclusiveNames });
      await settle();
      return { ...rest, b, live, leaving, puts, exclusiveNames, doorbell };
    }
    const instances = (records: readonly { readonly value: object }[]) =>
      records.map(({ value }) => (value as { instance: string }).instance);

    it("is given up: it is not tried again over the claim that it met", async () => {
      const { live, leaving, puts, claims, elapse } = await withSlow();
      leaving.close();
      await puts[0]!.store(); // the other node's is there
      puts[0]!.answer();
      await elapse(31_000);
      assert.deepEqual([live.over, puts.length, (await claims()).length], [false, 1, 1]);
    });

    it("is taken back when it was stored all the same, and nobody has heard of it", async () => {
      const { live, leaving, puts, claims, elapse, open, c } = await withSlow();
      await puts[0]!.store();
      puts[0]!.answer();
      await settle();
      await puts[1]!.store(); // over the other node's
      leaving.close();
      puts[1]!.answer();
      await elapse(31_000);
      assert.equal(live.over, false);
      assert.deepEqual(await claims(), []);
      const newer = open(c);
      await elapse(31_000);
      assert.deepEqual(over(live, newer), [true, false], "who comes next takes the name");
    });

    it("is taken back when its answer was lost", async () => {
      const { live, leaving, puts, claims, elapse } = await withSlow();
      await puts[0]!.store();
      puts[0]!.answer();
      await settle();
      await puts[1]!.store();
      puts[1]!.lose();
      leaving.close();
      await elapse(31_000);
      assert.deepEqual([live.over, await claims()], [false, []]);
    });

    it("is not stored any more once it was given up, however late it arrives", async () => {
      const { live, leaving, puts, claims, elapse } = await withSlow();
      await puts[0]!.store();
      puts[0]!.answer();
      await settle();
      puts[1]!.lose();
      await elapse(1_000);
      puts[2]!.lose(); // tried again from the start
      leaving.close();
      await elapse(2_000);
      const fence = puts[3]!; // the other node's claim, written again as it is
      await fence.store();
      fence.answer();
      await settle();
      await puts[1]!.store(); // the one that was lost arrives now
      await elapse(31_000);
      assert.deepEqual([live.over, instances(await claims()).includes("slow")], [false, false]);
    });

    it("is removed when it is found later, stored after nothing was there to be removed", async () => {
      const { live, leaving, puts, claims, elapse, open, exclusiveNames, b, doorbell } = await withSlow();
      live.close();
      await settle();
      puts[0]!.lose();
      leaving.close();
      await elapse(2_000);
      await puts[0]!.store();
      assert.deepEqual(instances(await claims()), ["slow"]);
      open({ ...b, exclusiveNames }, "other");
      doorbell.ring({ topic: "missed" }); // everything is looked at
      await settle();
      assert.deepEqual(await claims(), []);
    });
  });

  it("of many that open at the same time on three nodes exactly one stays", async () => {
    const { a, b, c, open } = await three();
    const streams = Array.from({ length: 30 }, (_, i) => open([a, b, c][i % 3]!));
    await settle();
    assert.equal(streams.filter((stream) => !stream.over).length, 1);
  });

  it("names of any characters do not meet, nor do those of other agents", async () => {
    const { a, b, open } = await three();
    const names = ["main", "Main", "a\nb", "a b", "ä", "~", "x".repeat(128), "x".repeat(127)];
    const streams = names.map((name, i) => open([a, b][i % 2]!, name));
    await settle();
    assert.ok(streams.every((stream) => !stream.over));
    const again = names.map((name, i) => open([b, a][i % 2]!, name));
    await settle();
    assert.ok(streams.every((stream) => stream.over) && again.every((stream) => !stream.over));
  });

  it("a lost ring is made good by the poll", async () => {
    const { a, b, open, elapse } = await three();
    const older = open(a);
    await settle();
    a.link.deafen();
    open(b);
    await elapse(31_000);
    assert.equal(older.over, true);
  });

  it("a claim that a restored storage brings back takes the name from nobody", async () => {
    const { a, b, backend, open, claims, elapse } = await three();
    const old = open(a);
    await settle();
    const [before] = await claims();
    await elapse(10_000);
    const newer = open(b);
    await settle();
    old.close();
    await backend.storage.directory.put(before!.key, before!.value);
    await elapse(31_000);
    assert.equal(newer.over, false);
    const newest = open(a);
    await settle();
    assert.deepEqual(over(newer, newest), [true, false]);
  });

  it("a ring whose record could not be read is made good a second later", async () => {
    const { a, b, open, elapse } = await three();
    const older = open(a);
    await settle();
    const missed = a.link.calls.reads;
    a.link.failReads(1);
    open(b);
    await settle();
    assert.deepEqual([older.over, a.link.calls.reads > missed], [false, true]);
    await elapse(1_000);
    assert.equal(older.over, true);
  });

  it("without the storage each node has its own; back again, the one that opened last stays", async () => {
    const { a, b, open, elapse } = await three();
    a.link.cut();
    const early = open(a);
    await elapse(5_000);
    const late = open(b);
    await elapse(5_000);
    assert.deepEqual(over(early, late), [false, false]);
    a.link.mend();
    await elapse(1_000);
    assert.deepEqual(over(early, late), [true, false]);

    a.link.cut();
    await elapse(1_000);
    const latest = open(a);
    await elapse(5_000);
    a.link.mend();
    await elapse(1_000);
    assert.deepEqual(over(late, latest), [true, false]);
  });

  it("a claim whose answer was lost is still one's own", async () => {
    const { a, b, open, elapse } = await three();
    a.link.loseAnswers(1);
    const stream = open(a);
    await elapse(2_000);
    assert.equal(stream.over, false);
    const newer = open(b);
    await settle();
    assert.deepEqual(over(stream, newer), [true, false]);
  });

  it("a dead node's claims hold nobody up and are removed; one that comes back has lost what others took", async () => {
    const { a, b, open, claims, elapse } = await three();
    const taken = open(a);
    const kept = open(a, "other");
    await settle();
    a.link.stop();
    await elapse(LEASE + 1_000);
    const newer = open(b);
    await elapse(2 * LEASE);
    assert.deepEqual(
      (await claims()).map(({ key }) => key.id),
      ["main"],
    );
    a.link.resume();
    await elapse(2_000);
    assert.deepEqual(over(taken, kept, newer), [true, false, false]);
    assert.equal((await claims()).length, 2, "what it still has it claims again");
    const last = open(b, "other");
    await settle();
    assert.deepEqual(over(kept, last), [true, false], "its claim counts again");
  });
});
