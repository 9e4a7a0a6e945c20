import assert from "node:assert/strict";
import { afterEach, beforeEach, describe, it } from "vitest";
import type { Doorbell, LogRing, Ring } from "../../src/storage/doorbell.ts";
import { waitUntil } from "../support/wait.ts";
import { append, INCARNATION, NAME, records } from "./appending.ts";
import type { OpenedStorage, OpenStorage } from "./opened-storage.ts";
import { requireCutOff } from "./relay.ts";

const LOG_RING: Ring = { topic: "log", key: "science:explore", head: 7, epoch: 1 };
const RECORD_RING: Ring = { topic: "record", key: { kind: "room", parent: "", id: "science" } };

/** What every Doorbell promises. Each adapter's test file calls it once. */
export function describeDoorbell(adapter: string, open: OpenStorage): void {
  describe(`${adapter} doorbell`, () => {
    let opened: OpenedStorage;
    let doorbell: Doorbell;
    beforeEach(async () => {
      opened = await open();
      doorbell = opened.storage.doorbell;
    });
    afterEach(() => opened.dispose());

    /** The next ring of a topic that a doorbell brings. */
    function next(bell: Doorbell, topic: Ring["topic"]): Promise<Ring> {
      return new Promise((resolve) => {
        const stop = bell.listen((ring) => {
          if (ring.topic !== topic) return;
          stop();
          resolve(ring);
        });
      });
    }

    it("S0-3.1.2: brings a ring to every listener, on every node", async () => {
      const bells = [doorbell, doorbell, ...(opened.other === undefined ? [] : [opened.other.doorbell])];
      const log = Promise.all(bells.map((bell) => next(bell, "log")));
      const record = Promise.all(bells.map((bell) => next(bell, "record")));
      doorbell.ring(LOG_RING);
      doorbell.ring(RECORD_RING);
      for (const ring of await log) assert.deepEqual(ring, LOG_RING);
      for (const ring of await record) assert.deepEqual(ring, RECORD_RING);
    });

    it("brings nothing after the stop, however often that is called", async () => {
      let rings = 0;
      const stop = doorbell.listen(() => {
        rings++;
      });
      stop();
      stop();
      const other = next(doorbell, "log");
      doorbell.ring(LOG_RING);
      await other;
      assert.equal(rings, 0);
    });

    it("keeps a listener that throws, and those behind it", async () => {
      let thrown = 0;
      const stop = doorbell.listen(() => {
        thrown++;
        throw new Error("on purpose");
      });
      for (let n = 1; n <= 2; n++) {
        const behind = next(doorbell, "log");
        doorbell.ring(LOG_RING);
        await behind;
        assert.equal(thrown, n);
      }
      stop();
    });

    it("is rung by a shared storage's logs on every node, with head and epoch", async (test) => {
      if (!opened.storage.capabilities.shared) test.skip("this storage belongs to one process");
      const nodes = [opened.storage, opened.other!];
      const { links } = await nodes[0]!.log.create(NAME, INCARNATION, 1);
      const seen: Ring[][] = nodes.map(() => []);
      for (const [i, node] of nodes.entries()) node.doorbell.listen((ring) => void seen[i]!.push(ring));
      let head = 0;
      const reached = (epoch: number) =>
        waitUntil(() => seen.every((rings) => rings.some((ring) => isRingOf(ring, head) && ring.epoch === epoch)), {
          what: () => `a ring of head ${head} under ${epoch} on both nodes; came: ${JSON.stringify(seen)}`,
        });
      for (const node of nodes) {
        head += 3;
        await append(node.log, records(3));
        await reached(links[0]!.epoch);
      }
      const renewed = await nodes[1]!.log.renewEpoch(NAME);
      head += 1;
      await append(nodes[0]!.log, records(1));
      await reached(renewed.links.at(-1)!.epoch);
    });

    it("rings its own listeners for what is stored behind the one who waits for the append", async (test) => {
      if (!opened.storage.capabilities.shared) test.skip("this storage belongs to one process");
      const { log } = opened.storage;
      await log.create(NAME, INCARNATION, 1);
      for (let n = 1; n <= 10; n++) {
        const happened: string[] = [];
        const rung = next(doorbell, "log").then(() => happened.push("rung"));
        await append(log, records(1));
        happened.push("answered");
        await rung;
        assert.deepEqual(happened, ["answered", "rung"]);
      }
    });

    it("is heard by its own listeners while no other node is there, and by others as soon as one is", async (test) => {
      if (!opened.storage.capabilities.shared) test.skip("this storage belongs to one process");
      const { log } = opened.storage;
      await log.create(NAME, INCARNATION, 1);
      doorbell.expectOthers?.(false);
      const own = next(doorbell, "log");
      await append(log, records(1));
      await own;
      const record = next(opened.other!.doorbell, "record");
      doorbell.ring(RECORD_RING); // by which a node that comes is known
      await record;
      doorbell.expectOthers?.(true);
      const heard = next(opened.other!.doorbell, "log");
      await append(log, records(1));
      assert.equal(((await heard) as LogRing).head, 2);
    });

    it("makes up for what was rung while the backend could not be heard, and goes on", async (test) => {
      requireCutOff(opened, test);
      const rings: Ring[] = [];
      doorbell.listen((ring) => void rings.push(ring));
      opened.cutOff!(true);
      opened.other!.doorbell.ring(RECORD_RING);
      doorbell.ring(LOG_RING); // never waits and never fails
      opened.cutOff!(false);
      await waitUntil(() => rings.some((ring) => ring.topic === "missed" || ring.topic === "record"), {
        what: "missed, or the ring itself",
      });
      const heard = Promise.all([next(doorbell, "record"), next(opened.other!.doorbell, "log")]);
      let isHeard = false;
      void heard.then(() => {
        isHeard = true;
      });
      await waitUntil(() => {
        opened.other!.doorbell.ring(RECORD_RING);
        doorbell.ring(LOG_RING);
        return isHeard;
      });
    });
  });
}

function isRingOf(ring: Ring, head: number): ring is LogRing {
  return ring.topic === "log" && ring.key === NAME.key && ring.head === head;
}
