import assert from "node:assert/strict";
import { beforeEach, describe, it } from "vitest";
import { channelName } from "../../../src/core/names.ts";
import type { Ring } from "../../../src/storage/doorbell.ts";
import type { AppendedEntry } from "../../../src/storage/message-log.ts";
import type { StorageAdapter } from "../../../src/storage/storage-adapter.ts";
import {
  append,
  batch,
  entriesOf,
  INCARNATION,
  NAME,
  range,
  readAll,
  record,
  records,
  sequencesOf,
} from "../../conformance/appending.ts";
import type { TcpProxy } from "../../support/tcp-proxy.ts";
import type { FaultyBackend } from "./backend.ts";
import { eventually, inTime, isInTrouble, nextMissed, nextRing } from "./recovery.ts";

const recordRing = (id: string): Ring => ({ topic: "record", key: { kind: "room", parent: "", id } });

/** What nodes of one bus hear from each other, many rings at once and over broken lines, and what they store together. */
export function describeNodes(adapter: string, backend: FaultyBackend): void {
  describe(`${adapter}: several nodes`, () => {
    let proxy: TcpProxy;
    let one: StorageAdapter;
    /** Its line to the server can be cut. */
    let two: StorageAdapter;
    beforeEach(async () => {
      proxy = await backend.proxy();
      one = await backend.open();
      two = await backend.open({}, proxy.port);
      await one.log.create(NAME, INCARNATION, 1);
    });

    function rings(storage: StorageAdapter): Ring[] {
      const heard: Ring[] = [];
      storage.doorbell.listen((ring) => heard.push(ring));
      return heard;
    }

    it("S3-FR-005: an append rings on every node, once, with the head and its epoch", async () => {
      const heard = [rings(one), rings(two)];
      const last = (await append(one.log, records(3))).at(-1)!;
      for (const each of heard) await eventually(() => each.length > 0, "the ring of the log");
      one.doorbell.ring(recordRing("behind"));
      const expected: Ring[] = [{ topic: "log", key: NAME.key, head: 3, epoch: last.epoch }, recordRing("behind")];
      for (const each of heard) await eventually(() => each.length > 1, "the ring of the record");
      assert.deepEqual(heard, [expected, expected]);
    });

    it("of many rings at once none is lost", async () => {
      const heard = rings(two);
      const names = range(1, 1_000).map((n) => channelName("science", `channel-${n}-${"x".repeat(100)}`));
      for (let head = 1; head <= 5; head++) {
        for (const { key } of names) one.doorbell.ring({ topic: "log", key, head, epoch: 7 });
      }
      const newest = () => new Map(heard.flatMap((ring) => (ring.topic === "log" ? [[ring.key, ring.head]] : [])));
      await eventually(
        () => newest().size === names.length && [...newest().values()].every((head) => head === 5),
        "the newest ring of every log",
      );
      const most = names.length * (backend.mergesRings ? 2 : 5);
      assert.ok(heard.length <= most, `${heard.length} rings were heard`);
    });

    it("beyond its buffer it says that rings are missing, and not which", async () => {
      const narrow = await backend.openNarrow();
      const missed = nextMissed(two);
      for (let n = 0; n < 30_000; n++) narrow.doorbell.ring(recordRing(`${n}-${"x".repeat(100)}`));
      await inTime(missed, "rings to be called missing");
    });

    it("tells a node whose line was cut that it may have missed rings, and goes on", async () => {
      const missed = nextMissed(two);
      proxy.refuse(true);
      proxy.cutAll();
      await isInTrouble(two);
      proxy.refuse(false);
      await inTime(missed, "rings to be called missing");
      const heard = nextRing(two, ({ topic }) => topic === "log");
      await append(one.log, records(1));
      await inTime(heard, "a ring");
    });

    it("what was rung while the line was away is rung when it is back, or called missing", async () => {
      proxy.refuse(true);
      proxy.cutAll();
      await isInTrouble(two);
      const heard = nextRing(one, ({ topic }) => topic !== "log");
      two.doorbell.ring(recordRing("late"));
      proxy.refuse(false);
      const ring = await inTime(heard, "the ring");
      if (ring.topic !== "missed") assert.deepEqual(ring, recordRing("late"));
    });

    it("S0-2.3.3: a key stored through one node is a duplicate on the other, at once and for a newcomer", async () => {
      await append(two.log, records(1));
      const repeated = record();
      const [first] = await append(one.log, [repeated]);
      const newcomer = await backend.open();
      for (const node of [two, newcomer]) {
        assert.deepEqual(entriesOf(await node.log.append(batch([repeated]))), [{ ...first!, duplicate: true }]);
        const conflict = await node.log.append(batch([record(), { ...repeated, contentDigest: 1 }]));
        assert.deepEqual(conflict, { kind: "conflict", index: 1 });
      }
    });

    it("nodes that append to one log as fast as they can leave no hole, and store once what all of them send", async () => {
      const nodes = [one, two, await backend.open(), await backend.open()];
      const rounds = 40;
      const appended = await Promise.all(
        nodes.map(async ({ log }, node) => {
          const entries: AppendedEntry[] = [];
          for (const round of range(1, rounds)) {
            const shared = record({ id: `round-${round}` });
            entries.push(...(await append(log, [...records(2, { sender: `agent-${node}` }), shared])));
          }
          return entries;
        }),
      );
      const fresh = appended.flat().filter((entry) => !entry.duplicate);
      const all = range(1, rounds * (nodes.length * 2 + 1));
      assert.deepEqual(
        sequencesOf(fresh).sort((a, b) => a - b),
        all,
      );
      for (const node of nodes) {
        const entries = await readAll(node.log);
        assert.deepEqual(sequencesOf(entries), all);
        assert.equal(new Set(entries.map(({ id }) => id)).size, all.length);
      }
    });
  });
}
