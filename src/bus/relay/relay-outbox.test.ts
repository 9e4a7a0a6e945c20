import assert from "node:assert/strict";
import { describe, it } from "vitest";
import { createFakeClock } from "../../../test/support/fake-clock.ts";
import { textRecord } from "../../../test/support/registry-fixture.ts";
import { channelName } from "../../core/names.ts";
import { RelayOrigins } from "./relay-origins.ts";
import { RelayOutbox } from "./relay-outbox.ts";
import { decodeRelayPacket } from "./relay-packet.ts";

const batch = { name: channelName("r", "c"), incarnation: "i", version: 1, dedupWindowMs: 0, records: [] };

function openOutbox() {
  const clock = createFakeClock();
  const sent: { number: number; ids: string[]; bytes: number }[] = [];
  const relay = {
    send(bytes: Uint8Array) {
      const { number, batches } = decodeRelayPacket(bytes);
      sent.push({ number, ids: batches.flatMap(({ records }) => records.map(({ id }) => id)), bytes: bytes.length });
    },
    listen: () => () => {},
  };
  return { clock, sent, outbox: new RelayOutbox("me", relay, clock) };
}

describe("what a node sends", () => {
  it("is one packet for each turn, numbered from 1", () => {
    const { clock, sent, outbox } = openOutbox();
    outbox.add(batch, [textRecord("a"), textRecord("b")]);
    outbox.add({ ...batch, name: channelName("r", "d") }, [textRecord("c")]);
    assert.deepEqual(sent, []);
    clock.flush();
    outbox.add(batch, [textRecord("d")]);
    clock.flush();
    assert.deepEqual(
      sent.map(({ number, ids }) => [number, ...ids]),
      [
        [1, "a", "b", "c"],
        [2, "d"],
      ],
    );
  });

  it("is divided where it is large, in order, and what no relay takes leaves a hole in the numbers", () => {
    const { clock, sent, outbox } = openOutbox();
    const large = (id: string, bytes: number) => ({ ...textRecord(id), body: new Uint8Array(bytes) });
    outbox.add(batch, [large("a", 200_000), large("b", 200_000), large("c", 1_000_000)]);
    outbox.add(batch, [large("huge", 8 * 1_048_576)]);
    outbox.add(batch, [textRecord("d")]);
    clock.flush();
    assert.deepEqual(
      sent.map(({ number, ids }) => [number, ...ids]),
      [
        [1, "a", "b"],
        [2, "c"],
        [4, "d"],
      ],
    );
    assert.ok(sent.every(({ bytes }) => bytes < 8 * 1_048_576));
  });

  it("is followed by its number again, for those who missed it, and rarely after that", () => {
    const { clock, sent, outbox } = openOutbox();
    outbox.startBeats();
    outbox.add(batch, [textRecord("a")]);
    clock.flush();
    clock.advance(60_000);
    assert.deepEqual(
      sent.map(({ number }) => number),
      Array(9).fill(1),
    );
    outbox.add(batch, [textRecord("b")]);
    outbox.close();
    assert.deepEqual([sent.at(-1)!.number, clock.pending], [2, 0]);
  });
});

describe("the numbers of other nodes", () => {
  it("tell what is new and what is missing", () => {
    const origins = new RelayOrigins();
    const heard = (number: number, isBeat = false) => origins.heard("x", number, isBeat, 0);
    assert.deepEqual(heard(5), { isNew: true, lost: false }, "nobody knows what went before");
    assert.deepEqual(heard(6), { isNew: true, lost: false });
    assert.deepEqual(heard(6), { isNew: false, lost: false }, "came twice");
    assert.deepEqual(heard(6, true), { isNew: false, lost: false });
    assert.deepEqual(heard(8), { isNew: true, lost: true });
    assert.deepEqual(heard(9, true), { isNew: false, lost: true });
    assert.deepEqual(heard(10), { isNew: true, lost: false });
    assert.deepEqual(heard(7), { isNew: false, lost: false }, "too late");
  });

  it("of a node that has sent nothing yet make its first packet one that can be missed", () => {
    const origins = new RelayOrigins();
    origins.heard("x", 0, true, 0);
    assert.deepEqual(origins.heard("x", 2, false, 0), { isNew: true, lost: true });
  });

  it("are kept of a bounded number of nodes, for a day", () => {
    const origins = new RelayOrigins();
    for (let i = 0; i < 3_000; i++) origins.heard(`${i}`, 1, false, i);
    assert.equal(origins.size, 1_000);
    origins.heard("last", 1, false, 90_000_000);
    assert.equal(origins.size, 1);
  });
});
