import assert from "node:assert/strict";
import { describe, expect, it } from "vitest";
import { encode, openBus, overLog, type Said } from "../../../test/support/bus-fixture.ts";
import { DAMAGES } from "../../../test/support/envelopes.ts";
import { openHeldBus } from "../../../test/support/held-bus.ts";
import { createSeededRandom } from "../../../test/support/seeded-random.ts";
import { BusError, isBusError, type Reason } from "../../core/errors.ts";
import { channelName } from "../../core/names.ts";
import type { RoutingConfig } from "../../core/room.ts";

const EXPLORE = "science:explore";
const explore = channelName("science", "explore");
const refused = (reason: Reason, index?: number) => (error: unknown) =>
  isBusError(error, reason) && (index === undefined || error.details.index === index);
const said = (value: string, rest: Exclude<Said, string> = {}): Said => ({ ...rest, payload: { case: "text", value } });
const routing = (part: Partial<RoutingConfig>): RoutingConfig => ({
  strategy: "BROADCAST",
  allowSenderRecipients: true,
  recipients: undefined,
  capabilities: [],
  limit: 0,
  custom: "",
  ...part,
});

/** Everything that a refused publish could leave behind. */
async function traces(bus: Awaited<ReturnType<typeof openBus>>) {
  const view = bus.rooms.channel(EXPLORE);
  return {
    agents: bus.agents.counts.agents,
    rooms: bus.rooms.counts.rooms,
    channels: bus.rooms.counts.channels,
    head: view === undefined ? 0 : ((await view.log.state(explore))?.head ?? 0),
  };
}

describe("a publish", () => {
  it("S0-2.1.2 S2-F.1: says for each message, in order, its id, where it stands, and what was reached", async () => {
    const bus = await openBus();
    const { results, durability } = await bus.say("alice", EXPLORE, said("a", { id: "mine" }), "b");
    assert.equal(durability, "VOLATILE");
    assert.deepEqual(
      results.map(({ duplicate, audience }) => [duplicate, audience]),
      [
        [false, null],
        [false, null],
      ],
    );
    assert.deepEqual([results[0]!.id, results[1]!.id.startsWith("uuid-")], ["mine", true]);
    assert.match(results[0]!.position, /^science:explore@[0-9a-f]{8}\.1$/);
    assert.match(results[1]!.position, /\.2$/);
  });

  it("S0-2.1.3a: without recipients reaches all who read the channel", async () => {
    const bus = await openBus();
    const readers = await Promise.all(["a", "b", "c"].map((agentId) => bus.read({ agentId, channels: [EXPLORE] })));
    await bus.say("alice", EXPLORE, "to all");
    for (const reader of readers) assert.deepEqual(await reader.take(), ["to all"]);
  });

  it("S2-F.1: runs validate, route, append and deliver, each timed and counted", async () => {
    const bus = await openBus();
    await bus.read({ channels: [EXPLORE] });
    for (let i = 0; i < 3; i++) await bus.say("alice", EXPLORE, "x", "y");
    const { histograms, counters } = await bus.meters.json();
    const stages = histograms["agentbus_stage_duration_seconds"]!.map(({ labels, count }) => [labels["stage"], count]);
    assert.deepEqual(stages, [
      ["validate", 3],
      ["route", 3],
      ["append", 3],
      ["deliver", 3],
    ]);
    assert.equal(histograms["agentbus_publish_duration_seconds"]![0]!.count, 3);
    const published = counters["agentbus_messages_published_total"]!.find(({ labels }) => labels["type"] === "message");
    assert.equal(published?.value, 6);
    assert.equal(bus.publisher.publishedCount, 6);
  });

  it("is stored before it is answered or shown to anyone", async () => {
    const bus = await openHeldBus();
    const reader = await bus.read({ channels: [EXPLORE] });
    await bus.agents.ensure("alice");
    bus.hold(true);
    let answered = false;
    const publish = bus.say("alice", EXPLORE, "x").then(() => (answered = true));
    assert.deepEqual(await reader.take(), []);
    assert.deepEqual([answered, bus.publisher.pending], [false, 1]);
    bus.held[0]!.go();
    await publish;
    assert.deepEqual([await reader.take(), bus.publisher.pending], [["x"], 0]);
  });

  it("that the store refuses is shown to nobody", async () => {
    const bus = await openHeldBus();
    const reader = await bus.read({ channels: [EXPLORE] });
    await bus.agents.ensure("alice");
    bus.hold(true);
    const publish = bus.say("alice", EXPLORE, "x");
    await bus.settle();
    bus.held[0]!.fail(new BusError("STORAGE_UNAVAILABLE", "away"));
    await assert.rejects(publish, refused("STORAGE_UNAVAILABLE"));
    bus.hold(false);
    await bus.say("alice", EXPLORE, "y");
    assert.deepEqual(await reader.take(), ["y"]);
  });

  it("of one sender is stored in the order it came, while many are in flight", async () => {
    const bus = await openHeldBus();
    const reader = await bus.read({ channels: [EXPLORE] });
    await bus.agents.ensure("alice");
    bus.hold(true);
    const all = Promise.all(Array.from({ length: 50 }, (_, i) => bus.say("alice", EXPLORE, `m${i}`)));
    await bus.settle();
    for (const append of bus.held) append.go();
    await all;
    assert.deepEqual(
      await reader.take(),
      Array.from({ length: 50 }, (_, i) => `m${i}`),
    );
  });

  it("S3-E.5: too many at once are refused with a delay, and none of them is lost track of", async () => {
    const bus = await openHeldBus({ limits: { pendingPublishes: 3 } });
    await bus.say("alice", EXPLORE, "x");
    bus.hold(true);
    const waiting = [1, 2, 3].map((i) => bus.say("alice", EXPLORE, `${i}`));
    await assert.rejects(
      bus.say("alice", EXPLORE, "4"),
      (error: unknown) => isBusError(error, "OVERLOADED") && error.details.retryDelayMs === 1_000,
    );
    const [pressure] = (await bus.meters.json()).gauges["agentbus_backpressure_active"]!;
    assert.equal(pressure?.value, 1);
    for (const append of bus.held) append.go();
    await Promise.all(waiting);
    bus.hold(false);
    await bus.say("alice", EXPLORE, "4");
  });

  it("S1-7.2: that fails is logged with agent and reason, and counted", async () => {
    const bus = await openBus();
    await assert.rejects(bus.say("alice", EXPLORE, said("x", { to: { agents: ["nobody"] } })));
    const line = bus.lines.find(({ text }) => text.startsWith("Failed to send message: "));
    assert.equal(line?.level, "error");
    expect(line?.fields).toMatchObject({ agent: "alice", reason: "UNKNOWN_RECIPIENT" });
    const { counters } = await bus.meters.json();
    expect(counters["agentbus_publish_failures_total"]).toEqual([
      { labels: { reason: "UNKNOWN_RECIPIENT" }, value: 1 },
    ]);
  });

  it("a client that fails all the time does not fill the log", async () => {
    const bus = await openBus();
    for (let i = 0; i < 1_000; i++)
      await bus.say("alice", EXPLORE, said("x", { to: { agents: ["nobody"] } })).catch(() => {});
    assert.ok(bus.lines.length <= 101, `${bus.lines.length} lines`);
  });
});

describe("a publish that is refused leaves no trace", () => {
  it.each(DAMAGES)("S3-US2.2 S3-FR-010: $name", async (damage) => {
    const bus = await openBus();
    const good = encode("good");
    const bad = damage.apply(encode(said("bad", { id: "x" })), createSeededRandom(1));
    const messages = [good, bad];
    const publish = bus.publisher.publish({ agentId: "alice", room: "science", channel: "explore", messages });
    const error: unknown = await publish.catch((thrown: unknown) => thrown);
    assert.ok(isBusError(error) && damage.reasons.includes(error.reason), String(error));
    assert.equal(error.details.index, 1);
    assert.deepEqual(await traces(bus), { agents: 0, rooms: 0, channels: 0, head: 0 });
  });

  it.each<[Reason, string, readonly Said[], number | undefined]>([
    ["UNKNOWN_RECIPIENT", "an unknown agent", ["a", said("b", { to: { agents: ["nobody"] } })], 1],
    ["UNKNOWN_RECIPIENT", "an empty group", ["a", said("b", { to: { groups: ["nobody"] } })], 1],
    ["MESSAGE_TOO_LARGE", "a message that is too large", ["a", "x".repeat(2_000_000)], 1],
    ["INVALID_FIELD", "no message", [], undefined],
    ["INVALID_FIELD", "too many messages", Array.from({ length: 101 }, () => "x"), undefined],
  ])("S3-E.4: %s for %s", async (reason, _, batch, index) => {
    const bus = await openBus();
    await assert.rejects(bus.say("alice", EXPLORE, ...batch), refused(reason, index));
    assert.deepEqual(await traces(bus), { agents: 0, rooms: 0, channels: 0, head: 0 });
  });

  it.each<[Reason, string, string]>([
    ["BAD_NAME", "sci ence", "x"],
    ["BAD_NAME", "science", ""],
    ["BAD_NAME", "", "x"],
    ["RESERVED_NAME", "_inbox", "bob"],
    ["RESERVED_NAME", "science", "_x"],
  ])("S3-FR-002: %s for %j:%j", async (reason, room, channel) => {
    const bus = await openBus();
    const publish = bus.publisher.publish({ agentId: "alice", room, channel, messages: [encode("x")] });
    await assert.rejects(publish, refused(reason));
    assert.deepEqual(await traces(bus), { agents: 0, rooms: 0, channels: 0, head: 0 });
  });
});

describe("rates", () => {
  it("S2-R.1: a sender that is too fast is told how long to wait, and nobody else is slowed", async () => {
    const bus = await openBus({ limits: { senderRate: 10, senderBurst: 5 } });
    await bus.say("alice", EXPLORE, "1", "2", "3", "4", "5");
    await assert.rejects(
      bus.say("alice", EXPLORE, "6", "7"),
      (error: unknown) => isBusError(error, "RATE_LIMITED") && error.details.retryDelayMs === 200,
    );
    await bus.say("bob", EXPLORE, "1");
    bus.clock.advance(200);
    await bus.say("alice", EXPLORE, "6", "7");
  });

  it("answers to answers have a rate of their own", async () => {
    const bus = await openBus({ limits: { reactionRate: 1, reactionBurst: 1 } });
    const { results } = await bus.say("bob", EXPLORE, "cause");
    const causation = results[0]!.position;
    await bus.say("alice", EXPLORE, said("1", { causation }));
    await assert.rejects(bus.say("alice", EXPLORE, said("2", { causation })), refused("RATE_LIMITED"));
    await bus.say("alice", EXPLORE, "not an answer");
  });
});

describe("a channel that changes while a publish runs", () => {
  it("deleted: CHANNEL_DELETED, nothing stored; the retry makes it anew where that is allowed", async () => {
    const bus = await openHeldBus();
    await bus.say("alice", EXPLORE, "x");
    bus.hold(true);
    const publish = bus.say("alice", EXPLORE, "y");
    await bus.rooms.deleteChannel(explore);
    bus.held[0]!.go();
    await assert.rejects(publish, refused("CHANNEL_DELETED"));
    bus.hold(false);
    const { results } = await bus.say("alice", EXPLORE, "y");
    assert.match(results[0]!.position, /\.1$/);
  });

  it("S0-3.2.2: rerouted: it is routed again, by the new routing", async () => {
    const bus = await openHeldBus();
    await bus.agents.ensure("bob");
    await bus.say("alice", EXPLORE, "x");
    bus.hold(true);
    const publish = bus.say("alice", EXPLORE, "y");
    const recipients = { agents: ["bob"], groups: [], select: undefined };
    const { sequence } = await bus.rooms.updateChannel(explore, {
      config: { routing: routing({ strategy: "INDIVIDUAL", recipients }) },
    });
    bus.hold(false);
    bus.held[0]!.go();
    const { results } = await publish;
    assert.deepEqual([sequence, results[0]!.position.at(-1), results[0]!.audience], [1, "2", ["bob"]]);
  });

  /** Alice's batches "x1", "x2", ... are on their way to the log as the channel's routing changes. `conflict`: before them one whose key was used. */
  async function changing(count: number, conflict = false) {
    const bus = await openHeldBus();
    await bus.agents.ensure("bob");
    await bus.say("alice", EXPLORE, said("first", { idempotencyKey: "first" }));
    const reader = await bus.read({ agentId: "bob", channels: [EXPLORE] });
    bus.hold(true);
    const conflicting = conflict ? bus.say("alice", EXPLORE, said("other", { idempotencyKey: "first" })) : undefined;
    const inFlight = Array.from({ length: count }, (_, i) => bus.say("alice", EXPLORE, `x${i + 1}`));
    const change = (agentId: string) =>
      bus.rooms.updateChannel(explore, {
        config: {
          routing: routing({
            strategy: "INDIVIDUAL",
            recipients: { agents: [agentId], groups: [], select: undefined },
          }),
        },
      });
    await change("bob");
    return { bus, reader, inFlight, conflicting, change };
  }

  // The one behind was routed by the new configuration and stored at once, while the one before it was routed again.
  it("a batch that is routed again is not overtaken by a later one", async () => {
    const { bus, reader, inFlight } = await changing(1);
    const later = bus.say("alice", EXPLORE, "y");
    await bus.settle();
    assert.deepEqual([bus.held.length, bus.publisher.pending], [1, 2], "the later one waits, and counts");
    bus.hold(false);
    bus.held[0]!.go();
    await Promise.all([...inFlight, later]);
    assert.deepEqual([await reader.take(), bus.publisher.pending], [["x1", "y"], 0]);
  });

  it("several that are routed again keep their order, and what came meanwhile goes behind them", async () => {
    const { bus, reader, inFlight } = await changing(3);
    const later = ["y1", "y2"].map((text) => bus.say("alice", EXPLORE, text));
    for (const append of bus.held) append.go();
    // One after another, however slow the first is.
    for (let at = 3; at < 6; at++) {
      await bus.settle();
      assert.equal(bus.held.length, at + 1);
      bus.held[at]!.go();
    }
    await Promise.all(inFlight);
    await bus.settle();
    assert.equal(bus.held.length, 8, "those behind share the next commit");
    for (const append of bus.held) append.go();
    await Promise.all(later);
    assert.deepEqual(await reader.take(), ["x1", "x2", "x3", "y1", "y2"]);
  });

  it("what waits for a batch that is routed again waits also when the channel changes once more", async () => {
    const { bus, reader, inFlight, change } = await changing(1);
    const later = bus.say("alice", EXPLORE, "y");
    await change("alice");
    const last = bus.say("alice", EXPLORE, "z");
    bus.held[0]!.go();
    await bus.settle();
    bus.hold(false);
    bus.held[1]!.go();
    const outcomes = await Promise.all([...inFlight, later, last]);
    assert.deepEqual(
      outcomes.map(({ results }) => [results[0]!.position.at(-1), results[0]!.audience]),
      [
        ["2", ["alice"]],
        ["3", ["alice"]],
        ["4", ["alice"]],
      ],
    );
    assert.deepEqual(await reader.take(), [], "none of them was routed by what was in force before");
  });

  it("a batch that is routed again and must be sent again fails those behind it: nothing is stored before it", async () => {
    const { bus, reader, inFlight } = await changing(2);
    const later = bus.say("alice", EXPLORE, "y");
    for (const append of bus.held) append.go();
    await bus.settle();
    bus.held[2]!.fail(new BusError("STORAGE_UNAVAILABLE", "away"));
    bus.hold(false);
    for (const publish of [...inFlight, later]) await assert.rejects(publish, refused("STORAGE_UNAVAILABLE"));
    assert.equal(bus.publisher.pending, 0);
    await bus.say("alice", EXPLORE, "x1", "x2", "y");
    assert.deepEqual(await reader.take(), ["x1", "x2", "y"]);
  });

  it("a batch that the log did not take, and that must be sent again, fails those that waited behind it", async () => {
    const { bus, reader, inFlight } = await changing(2);
    const later = bus.say("alice", EXPLORE, "y");
    const settled = Promise.allSettled([...inFlight, later]);
    for (const append of bus.held) append.fail(new BusError("STORAGE_UNAVAILABLE", "away"));
    bus.hold(false);
    for (const { status } of await settled) assert.equal(status, "rejected");
    await bus.say("alice", EXPLORE, "x1", "x2", "y");
    assert.deepEqual(await reader.take(), ["x1", "x2", "y"]);
  });

  it("a batch that is refused for good when it is routed again fails nobody else", async () => {
    const { bus, reader, inFlight, conflicting } = await changing(1, true);
    const later = bus.say("alice", EXPLORE, "y");
    bus.hold(false);
    for (const append of bus.held) append.go();
    await assert.rejects(conflicting!, refused("IDEMPOTENCY_CONFLICT"));
    await Promise.all([...inFlight, later]);
    assert.deepEqual(await reader.take(), ["x1", "y"]);
  });

  it("always: CONCURRENT_UPDATE after a bounded number of attempts", async () => {
    let attempts = 0;
    const bus = await openBus({
      wrapLog: (log) =>
        overLog(log, {
          append() {
            attempts++;
            return Promise.resolve({ kind: "stale" as const, version: 1_000 });
          },
        }),
    });
    await assert.rejects(bus.say("alice", EXPLORE, "x"), refused("CONCURRENT_UPDATE"));
    assert.ok(attempts <= 10);
  });
});
