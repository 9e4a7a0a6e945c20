import assert from "node:assert/strict";
import { describe, it } from "vitest";
import { overLog } from "../../../test/support/bus-fixture.ts";
import { createFakeClock } from "../../../test/support/fake-clock.ts";
import { type LogLine, recordingLogger, textRecord } from "../../../test/support/registry-fixture.ts";
import { DEFAULT_BUS_OPTIONS, type Limits } from "../../core/bus-options.ts";
import { BusError } from "../../core/errors.ts";
import type { LogEntry } from "../../core/message.ts";
import { channelName } from "../../core/names.ts";
import { createLocalDoorbell } from "../../storage/local-doorbell.ts";
import { createMemoryStorage } from "../../storage/memory/index.ts";
import type { ReadRequest } from "../../storage/message-log.ts";
import { createMessageCodec } from "../../wire/message-codec.ts";
import type { ChannelView } from "../directory/registry.ts";
import { EpochRenewals } from "./epoch-renewals.ts";
import { Hub } from "./hub.ts";

const name = channelName("a", "b");

/** A hub over one log that others append to as well. */
async function openHub(limits: Partial<Limits> = {}) {
  const clock = createFakeClock();
  const lines: LogLine[] = [];
  const logger = recordingLogger(lines);
  let epochs = 0;
  const memory = createMemoryStorage({}, { now: clock.now, randomEpoch: () => ++epochs, log: logger });
  await memory.log.create(name, "i", 1);
  const doorbell = createLocalDoorbell(logger);
  const options = { ...DEFAULT_BUS_OPTIONS, limits: { ...DEFAULT_BUS_OPTIONS.limits, ...limits } };
  const hub = new Hub({
    codec: createMessageCodec(options.limits),
    clock,
    doorbell,
    options,
    logger,
    renewals: new EpochRenewals(clock),
    sharedLog: undefined,
    ensureLog: async (view) => view,
  });
  const control: { failing: unknown; reads: ReadRequest[] } = { failing: undefined, reads: [] };
  const log = overLog(memory.log, {
    async read(request: ReadRequest) {
      control.reads.push(request);
      if (control.failing !== undefined) throw control.failing;
      return await memory.log.read(request);
    },
  });
  const view = { name, incarnation: "i", version: 1, log } as unknown as ChannelView;
  const listener = { wakes: 0, wake: () => void listener.wakes++ };
  const store = async (...texts: string[]): Promise<readonly LogEntry[]> => {
    const records = texts.map(textRecord);
    await memory.log.append({ name, incarnation: "i", version: 1, dedupWindowMs: 0, records });
    const { head } = (await memory.log.state(name))!;
    return (
      await memory.log.read({ name, from: head - texts.length, backward: false, maxEntries: 1_000, maxBytes: 1e9 })
    ).entries;
  };
  const turns = async () => {
    do await new Promise((resolve) => setImmediate(resolve));
    while (clock.flush() > 0);
  };
  return { hub, clock, doorbell, view, listener, control, store, lines, log: memory.log, turns };
}

describe("what this node stores", () => {
  it("wakes each listener once for a turn, whatever came in it", async () => {
    const { hub, view, listener, store, clock } = await openHub();
    const tail = hub.attach(view);
    tail.listeners.add(listener);
    hub.appended(view, await store("1"));
    hub.appended(view, await store("2", "3"));
    assert.equal(listener.wakes, 0);
    clock.flush();
    assert.deepEqual([listener.wakes, tail.head, tail.range(0).count], [1, 3, 3]);
  });

  it("that nobody reads is not held", async () => {
    const { hub, view, store } = await openHub();
    hub.appended(view, await store("1"));
    assert.equal(hub.bytes, 0);
    assert.equal(hub.attach(view).head, 0);
  });

  it("out of order is put in order from the store", async () => {
    const { hub, view, listener, store, turns } = await openHub();
    const tail = hub.attach(view);
    tail.listeners.add(listener);
    const first = await store("1");
    const second = await store("2");
    const third = await store("3");
    hub.appended(view, first);
    hub.appended(view, third);
    hub.appended(view, second);
    await turns();
    assert.deepEqual([tail.head, tail.entry(2)?.id, tail.entry(3)?.id], [3, "2", "3"]);
  });

  it("before the tail knew where it starts is where it starts", async () => {
    const { hub, view, store } = await openHub();
    await store("1", "2", "3");
    const tail = hub.attach(view);
    hub.appended(view, await store("4"));
    assert.deepEqual([tail.head, tail.covers(3), tail.covers(2)], [4, true, false]);
  });
});

describe("what other nodes store", () => {
  it("is read when the doorbell rings, once, and then delivered", async () => {
    const { hub, view, listener, store, doorbell, control, turns } = await openHub();
    const tail = hub.attach(view);
    tail.listeners.add(listener);
    hub.appended(view, await store("1"));
    await store("2", "3");
    doorbell.ring({ topic: "log", key: name.key, head: 3, epoch: 1 });
    doorbell.ring({ topic: "log", key: name.key, head: 3, epoch: 1 });
    await turns();
    assert.deepEqual([tail.head, tail.entry(3)?.id, control.reads.length], [3, "3", 1]);
    doorbell.ring({ topic: "log", key: name.key, head: 3, epoch: 1 });
    doorbell.ring({ topic: "log", key: "other:channel", head: 9, epoch: 1 });
    await turns();
    assert.equal(control.reads.length, 1, "nothing new: nothing is read");
  });

  it("that is trimmed before it is read leaves it to each reader to find out", async () => {
    const { hub, view, store, doorbell, log, turns } = await openHub();
    const tail = hub.attach(view);
    hub.appended(view, await store("1"));
    await store("2", "3", "4");
    await log.trim(name, { maxAgeMs: 0, maxBytes: 0, maxMessages: 1 });
    doorbell.ring({ topic: "log", key: name.key, head: 4, epoch: 1 });
    await turns();
    assert.deepEqual([tail.head, tail.covers(1), tail.covers(4)], [4, false, true]);
  });

  it("S3-E.5: is read later when the store is away", async () => {
    const { hub, view, listener, store, doorbell, control, clock, turns, lines } = await openHub();
    const tail = hub.attach(view);
    tail.listeners.add(listener);
    hub.appended(view, await store("1"));
    await store("2");
    control.failing = new BusError("STORAGE_UNAVAILABLE", "away");
    doorbell.ring({ topic: "log", key: name.key, head: 2, epoch: 1 });
    await turns();
    assert.deepEqual([tail.head, lines.length], [1, 0]);
    control.failing = undefined;
    clock.advance(250);
    await turns();
    assert.equal(tail.head, 2);
  });

  it("is nobody's business when the channel has no listener any more", async () => {
    const { hub, view, listener, store, doorbell, control, turns } = await openHub();
    const tail = hub.attach(view);
    tail.listeners.add(listener);
    hub.appended(view, await store("1"));
    tail.listeners.delete(listener);
    hub.release(tail);
    doorbell.ring({ topic: "log", key: name.key, head: 5, epoch: 1 });
    await turns();
    assert.deepEqual([control.reads.length, hub.bytes, hub.readersOf(name.key)], [0, 0, 0]);
  });
});

describe("a channel that is deleted and created again", () => {
  it("is followed under its new incarnation, although somebody still looks for the old one", async () => {
    const { hub, view, listener, log, doorbell, turns } = await openHub();
    const old = hub.attach(view);
    old.listeners.add(listener);
    await log.delete(name, "i");
    await log.create(name, "j", 1);
    const created = { ...view, incarnation: "j" };
    const tail = hub.attach(created);
    tail.listeners.add(listener);
    assert.deepEqual([old === tail, old.gone], [false, true]);
    // Too late: what it gets is told nothing, and takes nothing from the other.
    const late = hub.attach(view);
    late.listeners.add({ wake: () => {} });
    assert.notEqual(late, tail);
    hub.release(old);
    await log.append({ name, incarnation: "j", version: 1, dedupWindowMs: 0, records: [textRecord("1")] });
    await hub.look(tail, created);
    await log.append({ name, incarnation: "j", version: 1, dedupWindowMs: 0, records: [textRecord("2")] });
    const { links } = (await log.state(name))!;
    doorbell.ring({ topic: "log", key: name.key, head: 2, epoch: links[0]!.epoch });
    await turns();
    assert.deepEqual([tail.head, tail.entry(2)?.id, hub.isRead(view), hub.isRead(created)], [2, "2", false, true]);
  });
});

describe("memory", () => {
  it("of one channel is bounded, of all of them, too", async () => {
    const { hub, view, store } = await openHub({ tailBytes: 500, totalTailBytes: 1_200 });
    const views = ["b", "c", "d", "e"].map((channel) => ({ ...view, name: channelName("a", channel) }));
    for (const one of views) hub.attach(one).listeners.add({ wake: () => {} });
    for (let i = 0; i < 40; i++) {
      const entries = await store("x".repeat(60));
      for (const one of views) {
        hub.appended(one, entries);
        assert.ok(hub.bytes <= 1_200, `${hub.bytes} bytes`);
      }
    }
    assert.ok(hub.bytes > 0);
  });

  it("of a quiet channel is let go, and a busy one's is kept", async () => {
    const { hub, view, store, clock } = await openHub();
    hub.attach(view).listeners.add({ wake: () => {} });
    hub.appended(view, await store("x"));
    clock.advance(1_000);
    assert.ok(hub.bytes > 0);
    clock.advance(1_000);
    assert.equal(hub.bytes, 0);
  });

  it("of a deleted channel is let go", async () => {
    const { hub, view, store } = await openHub();
    hub.attach(view).listeners.add({ wake: () => {} });
    hub.appended(view, await store("x"));
    hub.drop(name.key);
    assert.deepEqual([hub.bytes, hub.readersOf(name.key)], [0, 0]);
    hub.drop(name.key);
  });

  it("stops its timers when it closes", async () => {
    const { hub, clock } = await openHub();
    hub.close();
    assert.equal(clock.pending, 0);
  });
});
