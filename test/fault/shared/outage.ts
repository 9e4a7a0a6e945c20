import assert from "node:assert/strict";
import { beforeEach, describe, it } from "vitest";
import type { Ring } from "../../../src/storage/doorbell.ts";
import type { StorageAdapter } from "../../../src/storage/storage-adapter.ts";
import {
  append,
  batch,
  entriesOf,
  INCARNATION,
  isBusError,
  NAME,
  readAll,
  readRequest,
  record,
  records,
  sequencesOf,
} from "../../conformance/appending.ts";
import type { TcpProxy } from "../../support/tcp-proxy.ts";
import type { FaultyBackend } from "./backend.ts";
import {
  appendWhenBack,
  eventually,
  inTime,
  isInTrouble,
  isWell,
  nextMissed,
  nextRing,
  unavailable,
} from "./recovery.ts";

const key = { kind: "room", parent: "", id: "a" };

/** What every shared storage does while its server, or the way to it, is away. Each adapter's fault tests call it once. */
export function describeOutage(adapter: string, backend: FaultyBackend): void {
  describe(`${adapter}: outages`, () => {
    let proxy: TcpProxy;
    let storage: StorageAdapter;
    beforeEach(async () => {
      proxy = await backend.proxy();
      storage = await backend.openImpatient(proxy.port);
      await storage.log.create(NAME, INCARNATION, 1);
    });

    function goAway(): void {
      proxy.refuse(true);
      proxy.cutAll();
    }

    /** The signal needs a moment to reach all of the server's threads. */
    async function freeze(): Promise<void> {
      const witness = await backend.openImpatient();
      backend.server.freeze();
      const isFrozen = () => witness.log.state(NAME).then(() => false, unavailable);
      await eventually(isFrozen, "the server to stand still");
    }

    const operations: readonly (() => unknown)[] = [
      () => storage.log.append(batch(records(1))),
      () => storage.log.state(NAME),
      () => storage.log.read(readRequest()),
      () => storage.log.create(NAME, "other", 1),
      () => storage.log.fence(NAME, INCARNATION, 2),
      () => storage.log.renewEpoch(NAME),
      () => storage.log.trim(NAME, { maxAgeMs: 1, maxMessages: 1, maxBytes: 1 }),
      () => storage.log.ends([NAME]),
      () => storage.log.findId(NAME, "x", 0),
      () => storage.log.findTime(NAME, 1),
      () => storage.log.delete(NAME, INCARNATION),
      () => storage.directory.put(key, {}),
      () => storage.directory.get(key),
      () => storage.directory.delete(key),
      () => storage.directory.list({ kind: "room", limit: 1 }),
      () => storage.directory.count("room", ""),
      () => storage.sweep!(),
    ];

    it("S3-E.5: every operation fails while the server is away, and works again when it is back", async () => {
      await storage.directory.put(key, {});
      await append(storage.log, records(3));
      const missed = nextMissed(storage);
      const missedPackets = new Promise<void>((resolve) => {
        if (storage.relay === undefined) resolve();
        storage.relay?.listen({ packet() {}, missed: resolve });
      });
      goAway();
      await isInTrouble(storage);
      for (const operation of operations) await assert.rejects(async () => operation(), unavailable, String(operation));
      storage.doorbell.ring({ topic: "record", key });
      storage.relay?.send(Buffer.from("dropped"));
      proxy.refuse(false);
      await appendWhenBack(storage, "back");
      await inTime(missed, "the doorbell to say that rings may be missing");
      await inTime(missedPackets, "the relay to say that packets may be missing");
      await isWell(storage);
      assert.equal((await readAll(storage.log)).length, 4);
    });

    it("notices by itself that the server is away, and that it is back", async () => {
      goAway();
      await isInTrouble(storage);
      proxy.refuse(false);
      await isWell(storage);
    });

    it("is well again after a failure without being asked for anything", async () => {
      goAway();
      await assert.rejects(async () => storage.log.append(batch(records(1))), unavailable);
      proxy.refuse(false);
      await isWell(storage);
    });

    it("S0-2.3.3: a message whose answer was lost is a duplicate when it is sent again", async () => {
      const lost = record();
      // What it waits for ends by the cut, and not because its time is up.
      const patient = await backend.open({}, proxy.port);
      await append(patient.log, records(1));
      const other = await backend.open();
      const commit = await backend.holdCommits?.();
      if (commit === undefined) for (const link of proxy.links) link.stall("down");
      const sent = assert.rejects(async () => patient.log.append(batch([lost])), unavailable);
      await commit?.begun();
      for (const link of proxy.links) link.stall("down");
      await commit?.end();
      await eventually(async () => (await other.log.state(NAME))!.head === 2, "the message to be stored");
      proxy.cutAll();
      await sent;
      await appendWhenBack(patient, "next");
      const [again] = entriesOf(await patient.log.append(batch([lost])));
      assert.deepEqual([again!.sequence, again!.duplicate], [2, true]);
      assert.deepEqual(sequencesOf(await readAll(other.log)), [1, 2, 3]);
    });

    it("an append that fails takes those behind it with it", async () => {
      for (const link of proxy.links) link.stall();
      const outcomes = await Promise.allSettled(records(5).map(async (each) => storage.log.append(batch([each]))));
      for (const outcome of outcomes) assert.ok(outcome.status === "rejected" && unavailable(outcome.reason));
      await appendWhenBack(storage, "later");
      assert.deepEqual(sequencesOf(await readAll(storage.log)), [1]);
    });

    it("a peer that vanished without a word is noticed by time, on every connection", async () => {
      const other = await backend.open();
      const quiet = nextRing(other, ({ topic }) => topic === "log");
      await append(storage.log, records(1));
      await inTime(quiet, "the ring"); // nothing is on its way: only a sign of life that does not come can tell
      const isThird = (ring: Ring) => ring.topic === "missed" || (ring.topic === "log" && ring.head === 3);
      const told = nextRing(storage, isThird);
      for (const link of proxy.links) link.vanish();
      await assert.rejects(async () => storage.log.state(NAME), unavailable);
      await appendWhenBack(storage, "back");
      await append(other.log, records(1));
      await inTime(told, "the other node's ring, or that rings may be missing");
      const heard = nextRing(storage, (ring) => ring.topic === "log" && ring.head === 4);
      await append(other.log, records(1));
      await inTime(heard, "the other node's next ring");
      // Until its own way out is replaced, its rings are dropped.
      let isRung = false;
      other.doorbell.listen(({ topic }) => {
        isRung ||= topic === "record";
      });
      await eventually(() => {
        storage.doorbell.ring({ topic: "record", key });
        return isRung;
      }, "its own ring to be heard");
    });

    it("an answer that comes too late is nobody's", async () => {
      const single = await backend.openSingle(proxy.port);
      await append(single.log, records(1));
      for (const link of proxy.links) link.stall("down");
      await assert.rejects(async () => single.log.ends([NAME]), unavailable);
      for (const link of proxy.links) link.resume();
      const state = await eventually(async () => {
        try {
          return await single.log.state(NAME);
        } catch (error) {
          return unavailable(error) ? undefined : Promise.reject(error);
        }
      }, "the node to work again");
      assert.deepEqual([state.head, state.links.length], [1, 1]);
    });

    it("a frozen server is an outage, not an answer, and what is sent again is stored once", async () => {
      await append(storage.log, records(1));
      await freeze();
      const once = batch([record({ id: "once" })]);
      await assert.rejects(inTime(Promise.resolve(storage.log.append(once)), "an outcome"), unavailable);
      await assert.rejects(inTime(storage.directory.get(key), "an outcome"), unavailable);
      await eventually(() => storage.problem()?.includes(backend.product), "the storage to say why");
      backend.server.thaw();
      await appendWhenBack(storage, "thawed");
      await appendWhenBack(storage, "once");
      const ids = (await readAll(storage.log)).map(({ id }) => id);
      assert.deepEqual(ids.slice(1).sort(), ["once", "thawed"]);
    });

    it("a server that is full stores nothing and says so; reading goes on", async () => {
      await append(storage.log, records(1));
      await storage.directory.put(key, { n: 1 });
      const makeRoom = await backend.fill();
      const full = isBusError("STORAGE_FULL");
      const refused = record();
      await assert.rejects(async () => storage.log.append(batch([refused])), full);
      await assert.rejects(storage.directory.put({ ...key, id: "b" }, {}), full);
      assert.deepEqual(sequencesOf(await readAll(storage.log)), [1]);
      assert.deepEqual((await storage.directory.get(key))?.value, { n: 1 });
      assert.equal(await storage.directory.get({ ...key, id: "b" }), undefined);
      await makeRoom();
      const [entry] = await append(storage.log, [refused]);
      assert.deepEqual([entry!.sequence, entry!.duplicate], [2, false]);
    });

    it("closing while the server stands still does not hang", async () => {
      await freeze();
      const appended = assert.rejects(async () => storage.log.append(batch(records(1))), unavailable);
      await inTime(storage.close(), "the storage to be closed");
      await appended;
      backend.server.thaw();
      await assert.rejects(storage.log.state(NAME), unavailable);
      assert.equal(storage.problem(), "the storage is closed");
    });
  });
}
