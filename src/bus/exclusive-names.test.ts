import assert from "node:assert/strict";
import { describe, it } from "vitest";
import {
  createBackend,
  openNode,
  pass,
  recordingLogger,
  settle,
  type TestNode,
} from "../../test/support/registry-fixture.ts";
import type { Directory } from "../storage/directory.ts";
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
