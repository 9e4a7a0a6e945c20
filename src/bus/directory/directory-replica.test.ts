import assert from "node:assert/strict";
import { setImmediate as immediate } from "node:timers/promises";
import { afterEach, describe, it } from "vitest";
import { linkNode } from "../../../test/support/node-link.ts";
import { createBackend, recordingLogger } from "../../../test/support/registry-fixture.ts";
import { waitUntil } from "../../../test/support/wait.ts";
import { BusError, isBusError } from "../../core/errors.ts";
import type { Directory, RecordKey } from "../../storage/directory.ts";
import type { Doorbell } from "../../storage/doorbell.ts";
import { DirectoryReplica, type RecordChange } from "./directory-replica.ts";

const key = (id: string): RecordKey => ({ kind: "thing", parent: "p", id });
const DEAF: Doorbell = { ring: () => {}, listen: () => () => {} };
const open: DirectoryReplica[] = [];
afterEach(() => open.splice(0).forEach((replica) => void replica.close()));

/** `directory` and `doorbell` stand in for what is wrong with a storage. */
async function node(
  backend = createBackend("shared"),
  parts: { directory?: Directory; doorbell?: Doorbell; shared?: boolean } = {},
) {
  const changes: RecordChange[] = [];
  const { storage, clock } = backend;
  const replica = await DirectoryReplica.load(
    {
      directory: storage.directory,
      doorbell: storage.doorbell,
      clock,
      log: recordingLogger([]),
      shared: true,
      kinds: ["thing"],
      ...parts,
    },
    (change) => changes.push(change),
  );
  open.push(replica);
  const count = () => replica.write(key("n"), (current) => ({ n: ((current?.value as { n: number })?.n ?? 0) + 1 }));
  return { replica, changes, count, n: () => (replica.get(key("n"))?.value as { n: number } | undefined)?.n };
}

describe("the directory's replica", () => {
  it("holds what is there at the start, page after page", async () => {
    const backend = createBackend("shared");
    for (let i = 0; i < 2_500; i++) await backend.storage.directory.put(key(`k${i}`), { i });
    const { replica, changes } = await node(backend);
    assert.equal(changes.length, 2_500);
    assert.deepEqual(replica.get(key("k2499"))?.value, { i: 2_499 });
  });

  it("loses no update when two nodes change one record at the same time", async () => {
    const backend = createBackend("shared");
    const [a, b] = [await node(backend), await node(backend)];
    await Promise.all(Array.from({ length: 40 }, (_, i) => (i % 2 ? a : b).count()));
    assert.deepEqual((await backend.storage.directory.get(key("n")))?.value, { n: 40 });
    await waitUntil(() => a.n() === 40 && b.n() === 40);
  });

  // A change to what the node still knew was answered OK, and the change that another node had made meanwhile stayed.
  it("believes that there is nothing to change only of what the storage has now", async () => {
    const backend = createBackend("shared");
    const { link, directory } = linkNode({ ...backend.storage, clock: backend.clock });
    const [a, b] = [await node(backend), await node(backend, { directory, doorbell: DEAF })];
    const routeTo = ({ replica }: typeof a, to: string) =>
      replica.write(key("route"), (current) => ((current?.value as { to: string })?.to === to ? undefined : { to }));
    await routeTo(a, "dot");
    await b.replica.refresh(key("route"));
    await routeTo(a, "eve");
    assert.deepEqual(b.replica.get(key("route"))?.value, { to: "dot" }, "nobody told it");

    const outcome = await routeTo(b, "dot");
    assert.ok(outcome.kind === "stored" && !outcome.created);
    assert.deepEqual(
      [outcome.record.version, (await backend.storage.directory.get(key("route")))?.value],
      [3, { to: "dot" }],
    );
    const before = link.calls.reads;
    assert.deepEqual(await routeTo(b, "dot"), { kind: "unchanged", record: b.replica.get(key("route")) });
    assert.equal(link.calls.reads - before, 1, "it asked");
    link.failReads(1);
    await assert.rejects(routeTo(b, "dot"), (error) => isBusError(error, "STORAGE_UNAVAILABLE"));
  });

  it("asks nobody whether there is nothing to change when no other node writes", async () => {
    const backend = createBackend("durable");
    const { link, directory } = linkNode({ ...backend.storage, clock: backend.clock });
    const { replica } = await node(backend, { directory, shared: false });
    const once = () => replica.write(key("n"), (current) => (current === undefined ? {} : undefined));
    await once();
    const before = link.calls.reads;
    assert.equal((await once()).kind, "unchanged");
    assert.equal(link.calls.reads, before);
  });

  it("gives up after 10 conflicts with CONCURRENT_UPDATE", async () => {
    const backend = createBackend("shared");
    let puts = 0;
    const racing: Directory = {
      ...methods(backend.storage.directory),
      async put(...call) {
        puts++;
        await backend.storage.directory.put(call[0], { n: -puts }); // somebody else is always faster
        return await backend.storage.directory.put(...call);
      },
    };
    const { count } = await node(backend, { directory: racing });
    await assert.rejects(count(), (error) => isBusError(error, "CONCURRENT_UPDATE"));
    assert.equal(puts, 10);
  });

  it("knows what another node wrote, changed and removed as soon as it rings", async () => {
    const backend = createBackend("shared");
    const [a, b] = [await node(backend), await node(backend)];
    await a.count();
    await waitUntil(() => b.n() === 1);
    await a.count();
    await waitUntil(() => b.n() === 2);
    await a.replica.remove(key("n"));
    await waitUntil(() => b.n() === undefined);
    assert.deepEqual(
      b.changes.map(({ before, after }) => [before?.version, after?.version]),
      [
        [undefined, 1],
        [1, 2],
        [2, undefined],
      ],
    );
  });

  it("knows it at the next poll when the ring was lost", async () => {
    const backend = createBackend("shared");
    const [a, b] = [await node(backend), await node(backend, { doorbell: DEAF })];
    await a.replica.write(key("old"), () => ({}));
    backend.clock.advance(30_000);
    await waitUntil(() => b.replica.get(key("old")));
    await a.replica.remove(key("old"));
    await a.count();
    backend.clock.advance(30_000);
    await waitUntil(() => b.n() === 1 && b.replica.get(key("old")) === undefined);
  });

  it("looks at everything at once when rings may have been lost, and again until it could be read", async () => {
    const backend = createBackend("shared");
    const { link, directory, doorbell } = linkNode({ ...backend.storage, clock: backend.clock });
    const [a, b] = [await node(backend), await node(backend, { directory, doorbell })];
    link.cut();
    await a.count();
    doorbell.ring({ topic: "missed" });
    link.mend();
    await waitUntil(() => b.n() === 1);
    link.stop();
    await a.count();
    link.cut();
    link.resume(); // hears that it missed rings, and cannot look
    await immediate();
    assert.equal(b.n(), 1);
    link.mend();
    backend.clock.advance(1_000);
    await waitUntil(() => b.n() === 2);
  });

  // When the second look fell due while the first one still ran, no look was ever tried again after it.
  it("looks again after each failure, also when a look was running as the last retry fell due", async () => {
    const backend = createBackend("shared");
    const { link, directory, doorbell } = linkNode({ ...backend.storage, clock: backend.clock });
    let held: Promise<void> | undefined;
    const slow: Directory = {
      ...directory,
      async list(request) {
        await held;
        return directory.list(request);
      },
    };
    const [a, b] = [await node(backend), await node(backend, { directory: slow, doorbell })];
    const { promise, resolve } = Promise.withResolvers<void>();
    link.failReads(1);
    await a.count();
    await immediate();
    held = promise;
    doorbell.ring({ topic: "missed" });
    backend.clock.advance(1_000);
    resolve();
    await waitUntil(() => b.n() === 1);
    await immediate();
    link.failReads(1);
    await a.count();
    await immediate();
    assert.equal(b.n(), 1);
    backend.clock.advance(1_000);
    await waitUntil(() => b.n() === 2);
  });

  // A fail-over took a change back, and what another node wrote then got the number of the one that was lost.
  it("sees another value under the version that it knows, when the storage was set back", async () => {
    const backend = createBackend("shared");
    const { directory } = backend.storage;
    const anew = { key: key("n"), version: 1, value: { n: 7 }, expiresAtMs: 0 };
    let isSetBack = false;
    const backed: Directory = {
      ...directory,
      get: (asked) => (isSetBack ? Promise.resolve(anew) : directory.get(asked)),
      list: (request) => (isSetBack ? Promise.resolve([anew]) : directory.list(request)),
      put: (...args) => directory.put(...args),
    };
    const { count, n } = await node(backend, { directory: backed, doorbell: DEAF });
    await count();
    assert.equal(n(), 1);
    isSetBack = true;
    backend.clock.advance(30_000);
    await waitUntil(() => n() === 7);
  });

  it("makes the records of one parent what the storage has, and asks for no others", async () => {
    const backend = createBackend("shared");
    const { link, directory } = linkNode({ ...backend.storage, clock: backend.clock });
    const { replica } = await node(backend, { directory, doorbell: DEAF });
    const at = (parent: string, id: string): RecordKey => ({ kind: "thing", parent, id });
    for (const key of [at("p", "old"), at("other", "old")]) await replica.write(key, () => ({}));
    await backend.storage.directory.delete(at("p", "old"));
    await backend.storage.directory.put(at("p", "new"), {});
    await backend.storage.directory.put(at("other", "new"), {});
    const before = link.calls.reads;
    await replica.sync("thing", "p");
    assert.equal(link.calls.reads - before, 3, "a list, what is new in it, and what is missing in it");
    const has = [at("p", "old"), at("p", "new"), at("other", "old"), at("other", "new")].map((key) => replica.get(key));
    assert.deepEqual(has.map(Boolean), [false, true, true, false]);
    assert.equal(has[1]?.version, 1);
  });

  it("never lets an old answer overwrite a newer one", async () => {
    const backend = createBackend("shared");
    const asked = Promise.withResolvers<void>();
    const gate = Promise.withResolvers<void>();
    const slow: Directory = {
      ...methods(backend.storage.directory),
      async get(key) {
        const old = await backend.storage.directory.get(key);
        asked.resolve();
        await gate.promise;
        return old;
      },
    };
    const { replica, count, n } = await node(backend, { directory: slow, doorbell: DEAF });
    const read = replica.refresh(key("n")); // sees nothing, answers late
    await asked.promise;
    const written = count();
    await immediate(); // a write that does not wait for the read is through by now
    gate.resolve();
    await Promise.all([read, written]);
    assert.equal(n(), 1);
  });

  it("tells the other nodes what became of writes and removals whose answers were lost", async () => {
    const backend = createBackend("shared");
    const { link, directory, doorbell } = linkNode({ ...backend.storage, clock: backend.clock });
    const [a, b] = [await node(backend, { directory, doorbell }), await node(backend)];
    link.loseAnswers(1);
    await assert.rejects(a.count(), (error) => isBusError(error, "STORAGE_UNAVAILABLE"));
    await waitUntil(() => b.n() === 1);
    link.loseAnswers(1);
    await assert.rejects(a.replica.remove(key("n")), (error) => isBusError(error, "STORAGE_UNAVAILABLE"));
    await waitUntil(() => a.n() === undefined && b.n() === undefined);
    // The same again finds that there is nothing left to write: others must hear of it all the same.
    const same = () => a.replica.write(key("same"), (current) => (current === undefined ? {} : undefined));
    link.loseAnswers(1);
    link.failReads(1);
    await assert.rejects(same(), (error) => isBusError(error, "STORAGE_UNAVAILABLE"));
    await immediate();
    assert.equal((await same()).kind, "unchanged");
    await waitUntil(() => b.replica.get(key("same")));
  });

  it("finds out what became of a write whose outcome it does not know", async () => {
    const backend = createBackend("shared");
    const lossy: Directory = {
      ...methods(backend.storage.directory),
      async put(...call) {
        await backend.storage.directory.put(...call);
        throw new BusError("STORAGE_UNAVAILABLE", "the answer was lost");
      },
    };
    const { count, n } = await node(backend, { directory: lossy });
    await assert.rejects(count(), (error) => isBusError(error, "STORAGE_UNAVAILABLE"));
    await waitUntil(() => n() === 1);
  });
});

/** The methods of an adapter, bound, so that some of them can be replaced. */
function methods(directory: Directory): Directory {
  return {
    get: (asked) => directory.get(asked),
    put: (...call) => directory.put(...call),
    delete: (...call) => directory.delete(...call),
    list: (request) => directory.list(request),
    count: (...call) => directory.count(...call),
  };
}
