import assert from "node:assert/strict";
import { describe, it } from "vitest";
import { NO_FILTER, openBus, overLog, type TestBus, type TestBusOptions } from "../../../test/support/bus-fixture.ts";
import { BusError, isBusError } from "../../core/errors.ts";
import { channelName } from "../../core/names.ts";
import type { MessageLog, ReadResult } from "../../storage/message-log.ts";

const EXPLORE = "science:explore";
const explore = channelName("science", "explore");
const texts = (from: number, to: number) => Array.from({ length: to - from + 1 }, (_, i) => `m${from + i}`);
const sayAll = (bus: TestBus, from: number, to: number) => bus.say("alice", EXPLORE, ...texts(from, to));
const trimTo = (bus: TestBus, maxMessages: number) =>
  bus.storage.log.trim(explore, { maxAgeMs: 0, maxBytes: 0, maxMessages });
const fromEarliest = { channels: [EXPLORE], start: { kind: "earliest" as const } };

/** A bus whose reads of the log go through `read` when a test sets it. */
async function openWatched(options: TestBusOptions = {}) {
  const control: {
    read?: (pass: MessageLog["read"], ...args: Parameters<MessageLog["read"]>) => ReturnType<MessageLog["read"]>;
  } = {};
  let reads = 0;
  const bus = await openBus({
    ...options,
    wrapLog: (log) =>
      overLog(log, {
        async read(request) {
          reads++;
          const pass: MessageLog["read"] = (asked) => log.read(asked);
          return control.read === undefined ? await pass(request) : await control.read(pass, request);
        },
      }),
  });
  return Object.assign(bus, { control, reads: () => reads });
}

describe("heartbeats", () => {
  it("come when there was nothing to say for so long, with the server's clock", async () => {
    const bus = await openBus();
    const reader = await bus.read({ channels: [EXPLORE], heartbeatMs: 5_000 });
    bus.clock.advance(4_999);
    assert.deepEqual(reader.pull(), []);
    bus.clock.advance(1);
    const [beat, ...more] = reader.pull();
    assert.deepEqual(
      [more.length, beat?.messages.length, Number(beat?.serverTime?.seconds) * 1_000],
      [0, 0, bus.clock.now()],
    );
    bus.clock.advance(3_000);
    await bus.say("bob", EXPLORE, "x");
    await reader.take();
    bus.clock.advance(4_000);
    assert.deepEqual(reader.pull(), [], "a message counts as well");
    bus.clock.advance(2_000);
    assert.equal(reader.pull().length, 1);
  });

  it("S3-US3.1: tell positions past what was silently skipped, and only when they moved", async () => {
    const bus = await openBus();
    const reader = await bus.read({ channels: [EXPLORE], filter: { ...NO_FILTER, senders: ["nobody"] } });
    await sayAll(bus, 1, 3);
    assert.deepEqual(await reader.take(), []);
    bus.clock.advance(15_000);
    const [beat] = reader.pull();
    assert.match(beat!.positions[0]!, /\.3$/);
    bus.clock.advance(16_000);
    assert.deepEqual(reader.pull()[0]?.positions, []);
  });

  it("do not pile up for one who does not read", async () => {
    const bus = await openBus();
    const reader = await bus.read({ channels: [EXPLORE] });
    bus.clock.advance(3_600_000);
    assert.equal(reader.pull().length, 1);
  });

  it("none comes behind the end", async () => {
    const bus = await openBus();
    const reader = await bus.read({ channels: [EXPLORE] });
    await bus.rooms.deleteChannel(explore);
    await reader.take();
    bus.clock.advance(60_000);
    bus.subscriptions.beginDrain(1);
    assert.deepEqual(await reader.take(), []);
    assert.ok(reader.last?.end, "the end is the last response");
  });
});

describe("caught up", () => {
  it("is said once, when everything that was stored at the opening was delivered", async () => {
    const bus = await openBus();
    await sayAll(bus, 1, 5);
    await bus.say("bob", "science:other", "o1");
    const reader = await bus.read({
      channels: [EXPLORE, "science:other"],
      start: { kind: "earliest" },
      maxMessages: 2,
    });
    assert.equal(reader.first.caughtUp, false);
    await reader.take();
    assert.equal(reader.caughtUpTimes, 1);
    const at = reader.responses.findIndex(({ caughtUp }) => caughtUp);
    assert.equal(reader.responses.slice(0, at).flatMap(({ messages }) => messages).length, 6);
    await sayAll(bus, 6, 8);
    await reader.take();
    assert.equal(reader.caughtUpTimes, 1);
  });

  it("is said at once when there is nothing to catch up with, and also when all of it is hidden or trimmed", async () => {
    const bus = await openBus();
    assert.equal((await bus.read(fromEarliest)).first.caughtUp, true);
    await sayAll(bus, 1, 4);
    const filtered = await bus.read({ ...fromEarliest, filter: { ...NO_FILTER, senders: ["nobody"] } });
    await filtered.take();
    assert.equal(filtered.caughtUpTimes, 1);
    const behind = await bus.read({ ...fromEarliest });
    bus.clock.advance(2_000); // the tail lets go, so that the store is read
    await bus.storage.log.trim(explore, { maxAgeMs: 1, maxBytes: 0, maxMessages: 0 });
    await behind.take();
    assert.equal(behind.caughtUpTimes, 1);
  });

  it("does not wait for a channel that is deleted meanwhile", async () => {
    const bus = await openBus();
    await sayAll(bus, 1, 2);
    const reader = await bus.read({ patterns: ["science:*"], start: { kind: "earliest" } });
    await bus.rooms.deleteChannel(explore);
    await reader.take();
    assert.equal(reader.caughtUpTimes, 1);
  });
});

describe("batches", () => {
  it("are of what came in one turn, and of one when the bus is idle", async () => {
    const bus = await openBus();
    const reader = await bus.read({ channels: [EXPLORE] });
    await Promise.all([sayAll(bus, 1, 2), sayAll(bus, 3, 4)]);
    await reader.take();
    await sayAll(bus, 5, 5);
    await reader.take();
    assert.deepEqual(
      reader.responses.map(({ messages }) => messages.length),
      [0, 4, 1],
    );
  });

  it("end at max_messages and at so many bytes, of the tail and of the store alike", async () => {
    for (const tailBytes of [1, 1_048_576]) {
      const bus = await openBus({ limits: { deliveryBytes: 1_000, tailBytes } });
      const few = await bus.read({ channels: [EXPLORE], maxMessages: 3 });
      const small = await bus.read({ channels: [EXPLORE] });
      await bus.say("alice", EXPLORE, ...Array.from({ length: 10 }, () => "x".repeat(300)));
      assert.equal((await few.take()).length, 10);
      assert.equal((await small.take()).length, 10);
      assert.ok(few.responses.every(({ messages }) => messages.length <= 3));
      assert.ok(
        small.responses.every(({ messages }) => messages.length <= 3),
        "3 messages of 300 bytes fit 1,000",
      );
    }
  });

  it("one message that is larger than a batch goes alone", async () => {
    const bus = await openBus({ limits: { deliveryBytes: 100 } });
    const reader = await bus.read({ channels: [EXPLORE] });
    await bus.say("alice", EXPLORE, "x".repeat(5_000), "y".repeat(5_000));
    assert.equal((await reader.take()).length, 2);
    assert.equal(reader.responses.length, 3);
  });

  it("of two channels take turns", async () => {
    const bus = await openBus({ limits: { deliveryBytes: 200 } });
    const reader = await bus.read({ channels: [EXPLORE, "science:other"] });
    await bus.say("alice", EXPLORE, ...Array.from({ length: 5 }, () => "e".repeat(150)));
    await bus.say("alice", "science:other", ...Array.from({ length: 5 }, () => "o".repeat(150)));
    assert.equal((await reader.take()).map((text) => text[0]).join(""), "eoeoeoeoeo");
  });

  it("are one frame for all who stand at the same place and may see all of it", async () => {
    const bus = await openBus();
    const readers = await Promise.all(["a", "b", "c"].map((agentId) => bus.read({ agentId, channels: [EXPLORE] })));
    await sayAll(bus, 1, 3);
    await bus.settle();
    const frames = readers.map(({ subscription }) => subscription.next());
    assert.ok(frames[0] !== undefined && frames.every((frame) => frame === frames[0]));
  });
});

describe("a message that has expired", () => {
  it("is passed over without a Gap, live and from the store", async () => {
    const bus = await openBus();
    const slow = await bus.read({ channels: [EXPLORE] });
    await bus.say(
      "alice",
      EXPLORE,
      "m1",
      { timeToLive: { seconds: 5n }, payload: { case: "text", value: "brief" } },
      "m2",
    );
    const quick = await bus.read(fromEarliest);
    assert.deepEqual(await quick.take(), ["m1", "brief", "m2"]);
    bus.clock.step(4_999);
    const inTime = await bus.read(fromEarliest);
    assert.deepEqual(await inTime.take(), ["m1", "brief", "m2"]);
    bus.clock.step(1);
    assert.deepEqual(await slow.take(), ["m1", "m2"]);
    bus.clock.advance(3_000);
    const late = await bus.read(fromEarliest);
    assert.deepEqual(await late.take(), ["m1", "m2"]);
    assert.deepEqual([slow.gaps, late.gaps], [[], []]);
  });
});

describe("a reader that stops asking", () => {
  it("S2-F.2: costs nothing that grows, slows nobody, and goes on from the store", async () => {
    const bus = await openBus({ limits: { tailBytes: 10_000 } });
    const stopped = await bus.read({ channels: [EXPLORE] });
    const quick = await bus.read({ agentId: "quick", channels: [EXPLORE] });
    const { gauges } = await bus.meters.json();
    assert.ok(gauges["agentbus_tail_bytes"]);
    for (let i = 0; i < 50; i++) {
      await bus.say("alice", EXPLORE, ...texts(i * 20 + 1, i * 20 + 20));
      await quick.take();
      const [held] = (await bus.meters.json()).gauges["agentbus_tail_bytes"]!;
      assert.ok(held!.value <= 10_000, `${held!.value} bytes are held`);
    }
    assert.deepEqual(quick.texts, texts(1, 1_000));
    assert.deepEqual(await stopped.take(), texts(1, 1_000));
    assert.deepEqual(stopped.gaps, []);
  });

  it("is told the Gap when retention took what it did not read", async () => {
    const bus = await openBus({ ringSize: 10, limits: { tailBytes: 1 } });
    const reader = await bus.read({ channels: [EXPLORE] });
    await sayAll(bus, 1, 25);
    assert.deepEqual(await reader.take(), texts(16, 25));
    assert.deepEqual(reader.gaps, ["1-15 1"]);
    const gapAt = reader.responses.findIndex(({ gaps }) => gaps.length > 0);
    assert.match(reader.responses[gapAt]!.positions[0]!, /\.15$/);
    assert.ok(gapAt < reader.responses.findIndex(({ messages }) => messages.length > 0), "told before what follows it");
  });

  it("fails instead with on_gap FAIL", async () => {
    const bus = await openBus({ ringSize: 10, limits: { tailBytes: 1 } });
    const reader = await bus.read({ channels: [EXPLORE], failOnGap: true });
    await sayAll(bus, 1, 25);
    assert.deepEqual(await reader.take(), []);
    assert.ok(isBusError(reader.subscription.finished?.error, "GAP"));
  });

  it("keeps what channels it gained in one response, however many came and went", async () => {
    const bus = await openBus();
    const reader = await bus.read({});
    for (let i = 0; i < 50; i++) {
      await bus.rooms.join("reader", explore);
      await bus.settle();
      await bus.rooms.leave("reader", explore);
    }
    await bus.rooms.join("reader", explore);
    await bus.settle();
    assert.equal(reader.pull().length, 1);
  });
});

describe("the store", () => {
  it("is read once at a time for each subscription, and not at all by those who read live", async () => {
    const bus = await openWatched();
    await Promise.all([sayAll(bus, 1, 3), bus.say("bob", "science:other", "o1", "o2")]);
    const before = bus.reads();
    const live = await bus.read({ channels: [EXPLORE] });
    await sayAll(bus, 4, 6);
    assert.deepEqual(await live.take(), texts(4, 6));
    assert.equal(bus.reads(), before);
    let running = 0;
    let most = 0;
    bus.control.read = async (pass, request) => {
      most = Math.max(most, ++running);
      const result = await pass(request);
      running--;
      return result;
    };
    const behind = await bus.read({ channels: [EXPLORE, "science:other"], start: { kind: "earliest" } });
    assert.equal((await behind.take()).length, 8);
    assert.equal(most, 1);
  });

  it("S3-E.5: that is away keeps the stream open; it goes on when the store is back, without a hole", async () => {
    const bus = await openWatched();
    await sayAll(bus, 1, 3);
    const reader = await bus.read(fromEarliest);
    let failures = 0;
    bus.control.read = async () => {
      failures++;
      throw new BusError("STORAGE_UNAVAILABLE", "away");
    };
    assert.deepEqual(await reader.take(), []);
    await sayAll(bus, 4, 5);
    for (let i = 0; i < 10; i++) {
      bus.clock.advance(1_000);
      await reader.take();
    }
    assert.ok(failures >= 5 && failures <= 15, `${failures} attempts in 10 s`);
    delete bus.control.read;
    bus.clock.advance(2_000);
    assert.deepEqual(await reader.take(), texts(1, 5));
    assert.deepEqual(reader.gaps, []);
  });

  it("that fails by a bug ends the stream, and says INTERNAL only", async () => {
    const bus = await openWatched();
    await sayAll(bus, 1, 3);
    const reader = await bus.read(fromEarliest);
    bus.control.read = () => Promise.reject(new TypeError("secret"));
    await reader.take();
    assert.equal(reader.subscription.finished?.error?.reason, "INTERNAL");
    assert.doesNotMatch(reader.subscription.finished.error.message, /secret/);
  });

  it("tells damaged entries as a Gap, in their place", async () => {
    const bus = await openWatched();
    await sayAll(bus, 1, 8);
    bus.control.read = async (pass, request): Promise<ReadResult> => {
      const result = await pass(request);
      const bad = (sequence: number) => (sequence >= 3 && sequence <= 4) || sequence === 8;
      const damaged = [
        { first: 3, last: 4 },
        { first: 8, last: 8 },
      ].filter(({ first }) => first > request.from);
      return { ...result, entries: result.entries.filter(({ sequence }) => !bad(sequence)), damaged };
    };
    const reader = await bus.read(fromEarliest);
    assert.deepEqual(await reader.take(), ["m1", "m2", "m5", "m6", "m7"]);
    assert.deepEqual(reader.gaps, ["3-4 3", "8-8 3"]);
    assert.equal(reader.caughtUpTimes, 1);
    assert.match(reader.positions.get(EXPLORE)!, /\.8$/);
  });

  it("has more than one read gives: the reader goes on until it is live, each message once", async () => {
    const bus = await openBus({ limits: { deliveryBytes: 2_000 } });
    for (let i = 0; i < 30; i++) await bus.say("alice", EXPLORE, ...texts(i * 100 + 1, i * 100 + 100));
    const reader = await bus.read(fromEarliest);
    assert.deepEqual(await reader.take(), texts(1, 3_000));
  });

  it("is asked about retention again when the tail let go meanwhile", async () => {
    const bus = await openBus();
    const reader = await bus.read({ channels: [EXPLORE] });
    await sayAll(bus, 1, 5);
    bus.clock.advance(2_000);
    await trimTo(bus, 2);
    assert.deepEqual(await reader.take(), ["m4", "m5"]);
    assert.deepEqual(reader.gaps, ["1-3 1"]);
  });
});

describe("a renewed epoch", () => {
  it("is told by positions, and breaks nothing for those who read on", async () => {
    const bus = await openBus();
    const reader = await bus.read({ channels: [EXPLORE] });
    await sayAll(bus, 1, 2);
    await reader.take();
    const before = reader.positions.get(EXPLORE)!;
    await bus.storage.log.renewEpoch(explore);
    await sayAll(bus, 3, 4);
    assert.deepEqual(await reader.take(), ["m3", "m4"]);
    const epochOf = (position: string) => position.slice(position.lastIndexOf("@"), position.lastIndexOf("."));
    assert.notEqual(epochOf(before), epochOf(reader.positions.get(EXPLORE)!));
    const old = await bus.read({ channels: [EXPLORE], start: { kind: "resume", positions: [before] } });
    assert.deepEqual([await old.take(), old.gaps], [["m3", "m4"], []]);
  });
});
