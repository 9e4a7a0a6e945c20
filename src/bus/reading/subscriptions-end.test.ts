import assert from "node:assert/strict";
import { describe, it } from "vitest";
import { EndReason } from "../../../gen/agentbus/v1/bus_service_pb.ts";
import { openBus, overLog, subscribeInput, type TestBus } from "../../../test/support/bus-fixture.ts";
import { isBusError, type Reason } from "../../core/errors.ts";
import { channelName } from "../../core/names.ts";
import type { Subscription } from "./subscription.ts";

const EXPLORE = "science:explore";
const explore = channelName("science", "explore");
const refused = (reason: Reason) => (error: unknown) => isBusError(error, reason);
const texts = (from: number, to: number) => Array.from({ length: to - from + 1 }, (_, i) => `m${from + i}`);
const _sayAll = (bus: TestBus, channel: string, from: number, to: number) =>
  bus.say("alice", channel, ...texts(from, to));
const _trimTo = (bus: TestBus, maxMessages: number) =>
  bus.storage.log.trim(explore, { maxAgeMs: 0, maxBytes: 0, maxMessages });

describe("the end of a subscription", () => {
  it("exclusive: the newest takes over, the older one is told and finished", async () => {
    const bus = await openBus();
    const older = await bus.read({ channels: [EXPLORE], exclusive: "main" });
    const other = await bus.read({ channels: [EXPLORE], exclusive: "side" });
    const newer = await bus.read({ channels: [EXPLORE], exclusive: "main" });
    await older.take();
    assert.equal(older.last?.end?.reason, EndReason.TAKEN_OVER);
    assert.deepEqual(older.subscription.finished, { error: undefined });
    older.subscription.close(true);
    await bus.say("alice", EXPLORE, "hi");
    assert.deepEqual([await older.take(), await other.take(), await newer.take()], [[], ["hi"], ["hi"]]);
    const newest = await bus.read({ channels: [EXPLORE], exclusive: "main" });
    await newer.take();
    assert.equal(newer.last?.end?.reason, EndReason.TAKEN_OVER, "the place was the newer one's");
    await bus.say("alice", EXPLORE, "still");
    assert.deepEqual(await newest.take(), ["still"]);
  });

  it.each([
    ["its caller has left", "CANCELLED", (opening: Subscription) => opening.close(false)],
    ["it has ended", "opened", (opening: Subscription) => opening.end("AGENT_GONE", "the agent was disconnected")],
  ] as const)("exclusive: a stream that opens when %s takes the name from nobody", async (_, outcome, finish) => {
    let hold: Promise<unknown> | undefined;
    const bus = await openBus({
      wrapLog: (log) =>
        overLog(log, {
          async state(name) {
            await hold;
            return await log.state(name);
          },
        }),
    });
    const live = await bus.read({ channels: [EXPLORE], exclusive: "main" });
    const { promise, resolve } = Promise.withResolvers<void>();
    hold = promise;
    let made: Subscription | undefined;
    const opening = bus.subscriptions.open(
      subscribeInput({ channels: [EXPLORE], exclusive: "main" }),
      (subscription) => {
        made = subscription;
      },
    );
    const opened = opening.then(
      () => "opened",
      (error: unknown) => (isBusError(error) ? error.reason : ""),
    );
    await bus.settle();
    finish(made!);
    resolve();
    assert.equal(await opened, outcome);
    assert.equal(live.subscription.finished, undefined);
  });

  it("another agent's exclusive stream of the same name is left alone", async () => {
    const bus = await openBus();
    const alice = await bus.read({ agentId: "alice", channels: [EXPLORE], exclusive: "main" });
    await bus.read({ agentId: "bob", channels: [EXPLORE], exclusive: "main" });
    assert.equal(alice.subscription.finished, undefined);
  });

  it("a deleted channel ends the streams that named it; others lose that channel alone", async () => {
    const bus = await openBus();
    await bus.say("alice", "science:other", "x");
    const named = await bus.read({ channels: [EXPLORE, "science:other"] });
    const matched = await bus.read({ patterns: ["science:*"] });
    await bus.rooms.deleteChannel(explore);
    await named.take();
    assert.deepEqual([named.last?.end?.reason, named.last?.end?.channel], [EndReason.CHANNEL_DELETED, EXPLORE]);
    await bus.say("alice", "science:other", "y");
    assert.deepEqual(await matched.take(), ["y"]);
    await bus.say("alice", EXPLORE, "born again");
    assert.deepEqual(await matched.take(), ["born again"]);
  });

  // The record goes first and the log last: a stream that was opened between the two stayed open for ever, silent.
  it("a channel that is deleted while a stream opens is not read as if it were there", async () => {
    let hold: Promise<unknown> | undefined;
    const bus = await openBus({
      wrapLog: (log) =>
        overLog(log, {
          async state(name) {
            const state = await log.state(name);
            await hold;
            return state;
          },
        }),
    });
    await bus.say("alice", EXPLORE, "x");
    const { promise, resolve } = Promise.withResolvers<void>();
    hold = promise;
    const opening = bus.read({ channels: [EXPLORE] });
    const matching = bus.read({ patterns: ["science:*"] });
    await bus.settle();
    await bus.rooms.deleteChannel(explore);
    resolve();
    await assert.rejects(opening, refused("CHANNEL_DELETED"));
    assert.deepEqual([...(await matching).positions.keys()], []);
  });

  it.each(["disconnect", "delete"] as const)("agent gone (%s): its streams end, and say so", async (how) => {
    const bus = await openBus();
    const reader = await bus.read({ channels: [EXPLORE] });
    await bus.agents[how]("reader");
    await reader.take();
    assert.equal(reader.last?.end?.reason, EndReason.AGENT_GONE);
    assert.equal(bus.agents.state("reader"), "OFFLINE");
  });

  // The end came before the first response, which a client then took for a stream that goes on.
  it("comes last, also when it comes while the stream opens", async () => {
    const { promise: gate, resolve } = Promise.withResolvers<void>();
    const bus = await openBus({
      wrapLog: (log) => overLog(log, { state: (name) => gate.then(() => log.state(name)) }),
    });
    const input = { channels: [EXPLORE], exclusive: "main" };
    const older = bus.read(input);
    await bus.settle();
    const newer = bus.read(input);
    await bus.settle();
    resolve();
    const reader = await older;
    await reader.take();
    assert.ok(reader.first.opened);
    assert.equal(reader.last?.end?.reason, EndReason.TAKEN_OVER);
    assert.equal(reader.responses.length, 2);
    reader.subscription.close(true);
    await bus.say("alice", EXPLORE, "hi");
    assert.deepEqual(await (await newer).take(), ["hi"]);
    assert.equal(bus.subscriptions.readersOf(EXPLORE), 1, "the older one reads nothing");
  });

  it("draining says go away at once, refuses new streams, and ends with DRAINING at the end", async () => {
    const bus = await openBus();
    const reader = await bus.read({ channels: [EXPLORE] });
    bus.subscriptions.beginDrain(5_000);
    await reader.take();
    assert.equal(reader.last?.goAway?.graceDuration?.seconds, 5n);
    await assert.rejects(bus.read({ channels: [EXPLORE] }), refused("DRAINING"));
    await bus.say("alice", EXPLORE, "still delivered");
    assert.deepEqual(await reader.take(), ["still delivered"]);
    bus.subscriptions.endAll();
    await reader.take();
    assert.equal(reader.subscription.finished?.error?.reason, "DRAINING");
  });

  it("a stream that opens while the node begins to leave is told in its first response", async () => {
    const { promise: gate, resolve } = Promise.withResolvers<void>();
    const bus = await openBus({
      wrapLog: (log) => overLog(log, { state: (name) => gate.then(() => log.state(name)) }),
    });
    const opening = bus.read({ channels: [EXPLORE] });
    await bus.settle();
    bus.subscriptions.beginDrain(5_000);
    bus.clock.advance(60_000);
    resolve();
    const reader = await opening;
    await reader.take();
    assert.deepEqual(
      [reader.responses.length, reader.first.opened?.agentId, reader.first.goAway?.graceDuration?.seconds],
      [1, "reader", 5n],
    );
  });

  it("closing leaves nothing behind", async () => {
    const bus = await openBus();
    const timers = bus.clock.pending;
    const reader = await bus.read({ channels: [EXPLORE], patterns: ["science:*"], exclusive: "x" });
    reader.subscription.close(true);
    reader.subscription.close(true);
    assert.deepEqual(
      [bus.subscriptions.count, bus.subscriptions.readersOf(EXPLORE), bus.clock.pending],
      [0, 0, timers],
    );
    await bus.say("alice", EXPLORE, "x");
    assert.equal(reader.subscription.next(), undefined);
  });
});
