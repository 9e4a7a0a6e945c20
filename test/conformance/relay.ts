import assert from "node:assert/strict";
import { afterEach, beforeEach, describe, it, type TestContext } from "vitest";
import type { Relay } from "../../src/storage/relay.ts";
import { waitUntil } from "../support/wait.ts";
import { range } from "./appending.ts";
import type { OpenedStorage, OpenStorage } from "./opened-storage.ts";

const MAX_PACKET_BYTES = 8 * 2 ** 20;

/** What every Relay promises. Each shared adapter that has one calls it once. */
export function describeRelay(adapter: string, open: OpenStorage): void {
  describe(`${adapter} relay`, () => {
    let opened: OpenedStorage;
    let here: Relay;
    let there: Relay;
    beforeEach(async () => {
      opened = await open();
      here = opened.storage.relay!;
      there = opened.other!.relay!;
    });
    afterEach(() => opened.dispose());

    /** Collects what comes from now on. */
    function hear(relay: Relay) {
      const packets: Buffer[] = [];
      const heard = { packets, missed: 0, stop: () => {} };
      heard.stop = relay.listen({
        packet: (packet) => void packets.push(Buffer.from(packet)),
        missed: () => void heard.missed++,
      });
      return heard;
    }

    /** Numbered, and of a size: one that fits a small notification, one that does not. */
    function packet(number: number, bytes = 8): Buffer {
      const made = Buffer.alloc(bytes, number % 251);
      made.writeUInt32BE(number);
      return made;
    }
    const numbersOf = (packets: readonly Buffer[]) => packets.map((each) => each.readUInt32BE());
    const came = (heard: { packets: readonly Buffer[] }, count: number) =>
      waitUntil(() => heard.packets.length >= count, {
        what: () => `${heard.packets.length} of ${count} packets came`,
      });

    it("S3-FR-004: brings packets of any size byte for byte to the other nodes", async () => {
      const heard = hear(there);
      const sent = [1, 5, 255, 4_096, 5_800, 6_000, 8_000, 65_536, 1_048_577, MAX_PACKET_BYTES].map((bytes, i) => {
        return Buffer.from(Uint8Array.from({ length: bytes }, (_, at) => (at * 31 + i) & 0xff));
      });
      for (const [i, each] of sent.entries()) {
        here.send(each);
        await came(heard, i + 1);
        assert.ok(heard.packets[i]!.equals(each), `packet of ${each.length} bytes`);
      }
      assert.equal(heard.missed, 0);
    });

    it("keeps the order of one sender, whatever the sizes", async () => {
      const heard = hear(there);
      const count = 500;
      for (const n of range(1, count)) here.send(packet(n, n % 7 === 0 ? 20_000 : n % 100 === 0 ? 400_000 : 50));
      await came(heard, count);
      assert.deepEqual(numbersOf(heard.packets), range(1, count));
    });

    it("carries both ways at the same time, to every listener", async () => {
      const all = [hear(there), hear(there), hear(here)];
      for (const n of range(1, 100)) {
        here.send(packet(n));
        there.send(packet(1_000 + n));
      }
      const from = (packets: readonly Buffer[], first: number) =>
        numbersOf(packets).filter((n) => n >= first && n < first + 1_000);
      for (const [i, heard] of all.entries()) {
        // A packet may also come to the node that sent it.
        const first = i < 2 ? 0 : 1_000;
        await waitUntil(() => from(heard.packets, first).length >= 100);
        assert.deepEqual(from(heard.packets, first), range(first + 1, first + 100));
      }
    });

    it("brings nothing after the stop, however often that is called", async () => {
      const stopped = hear(there);
      stopped.stop();
      stopped.stop();
      const heard = hear(there);
      here.send(packet(1));
      await came(heard, 1);
      assert.deepEqual(stopped.packets, []);
    });

    it("keeps a listener that throws, and those behind it", async () => {
      let thrown = 0;
      there.listen({
        packet() {
          thrown++;
          throw new Error("on purpose");
        },
        missed() {},
      });
      const behind = hear(there);
      for (const n of range(1, 3)) {
        here.send(packet(n));
        await came(behind, n);
        assert.equal(thrown, n);
      }
    });

    it("goes no further than its own bus", async () => {
      const elsewhere = await open();
      try {
        const [wrong, right] = [hear(elsewhere.other!.relay!), hear(there)];
        elsewhere.storage.relay!.send(packet(1));
        here.send(packet(2));
        await came(right, 1);
        await came(wrong, 1);
        assert.deepEqual([numbersOf(wrong.packets), numbersOf(right.packets)], [[1], [2]]);
      } finally {
        await elsewhere.dispose();
      }
    });

    it("says that packets may be missing after the backend could not be heard, and goes on", async (test) => {
      requireCutOff(opened, test);
      const heard = hear(here);
      there.send(packet(1));
      await came(heard, 1);
      opened.cutOff!(true);
      there.send(packet(2));
      here.send(packet(3)); // never waits and never fails
      opened.cutOff!(false);
      await waitUntil(() => heard.missed > 0, { what: "missed() after the cut" });
      // At most once, so some may still be lost on the way: asked until one comes.
      let n = 10;
      await waitUntil(() => {
        there.send(packet(++n));
        return heard.packets.some((each) => each.readUInt32BE() > 10);
      });
      assert.deepEqual(
        numbersOf(heard.packets),
        numbersOf(heard.packets).toSorted((a, b) => a - b),
      );
      assert.equal(new Set(numbersOf(heard.packets)).size, heard.packets.length);
    });
  });
}

/** For tests of what happens when the link to the backend breaks. */
export function requireCutOff(opened: OpenedStorage, test: TestContext): void {
  if (opened.cutOff === undefined) test.skip("this opener cannot cut the links to its backend");
}
