import assert from "node:assert/strict";
import { afterEach, beforeEach, describe, it } from "vitest";
import type { Doorbell, Ring } from "../../src/storage/doorbell.ts";
import type { OpenedStorage, OpenStorage } from "./opened-storage.ts";

const LOG_RING: Ring = { topic: "log", key: "science:explore", head: 7 };
const RECORD_RING: Ring = { topic: "record", key: { kind: "room", parent: "", id: "science" } };

/** What every Doorbell promises. Each adapter's test file calls it once. */
export function describeDoorbell(adapter: string, open: OpenStorage): void {
  describe(`${adapter} doorbell`, { timeout: 20_000 }, () => {
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
  });
}
