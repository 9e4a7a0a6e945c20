import assert from "node:assert/strict";
import { describe, expect, it } from "vitest";
import { encode, openBus, overLog, type Said, type TestBusOptions } from "../../test/support/bus-fixture.ts";
import { DAMAGES } from "../../test/support/envelopes.ts";
import { createSeededRandom } from "../../test/support/seeded-random.ts";
import { EMPTY_PROFILE } from "../core/agent.ts";
import { BusError, isBusError, type Reason } from "../core/errors.ts";
import { channelName } from "../core/names.ts";
import type { RoutingConfig } from "../core/room.ts";
import type { MessageLog } from "../storage/message-log.ts";

const EXPLORE = "science:explore";
const explore = channelName("science", "explore");
const refused = (reason: Reason, index?: number) => (error: unknown) =>
  isBusError(error, reason) && (index === undefined || error.details.index === index);
const said = (value: string, rest: Exclude<Said, string> = {}): Said => ({ ...rest, payload: { case: "text", value } });
const routing = (part: Partial<RoutingConfig>): RoutingConfig => ({
  strategy: "BROADCAST", allowSenderRecipients: true, recipients: undefined, capabilities: [], limit: 0, custom: "", ...part,
});

/** Appends that a test holds, lets go or fails, in their order. */
async function openHeld(options: TestBusOptions = {}) {
  const held: { go(): void; fail(error: unknown): void }[] = [];
  let holding = false;
  const bus = await openBus({
    ...options,
    wrapLog: (log) =>
      overLog(log, {
        append(batch) {
          if (!holding) return log.append(batch);
          const { promise, resolve, reject } = Promise.withResolvers<Awaited<ReturnType<MessageLog["append"]>>>();
          held.push({ go: () => resolve(log.append(batch)), fail: reject });
          return promise;
        },
      }),
  });
  return Object.assign(bus, { held, hold: (on: boolean) => void (holding = on) });
}

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
    assert.deepEqual(results.map(({ duplicate, audience }) => [duplicate, audience]), [[false, null], [false, null]]);
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
    assert.deepEqual(stages, [["validate", 3], ["route", 3], ["append", 3], ["deliver", 3]]);
    assert.equal(histograms["agentbus_publish_duration_seconds"]![0]!.count, 3);
    const published = counters["agentbus_messages_published_total"]!.find(({ labels }) => labels["type"] === "message");
    assert.equal(published?.value, 6);
    assert.equal(bus.publisher.publishedCount, 6);
  });

  it("is stored before it is answered or shown to anyone", async () => {
    const bus = await openHeld();
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
    const bus = await openHeld();
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
    const bus = await openHeld();
    const reader = await bus.read({ channels: [EXPLORE] });
    await bus.agents.ensure("alice");
    bus.hold(true);
    const all = Promise.all(Array.from({ length: 50 }, (_, i) => bus.say("alice", EXPLORE, `m${i}`)));
    await bus.settle();
    for (const append of bus.held) append.go();
    await all;
    assert.deepEqual(await reader.take(), Array.from({ length: 50 }, (_, i) => `m${i}`));
  });

  it("S3-E.5: too many at once are refused with a delay, and none of them is lost track of", async () => {
    const bus = await openHeld({ limits: { pendingPublishes: 3 } });
    await bus.say("alice", EXPLORE, "x");
    bus.hold(true);
    const waiting = [1, 2, 3].map((i) => bus.say("alice", EXPLORE, `${i}`));
    await assert.rejects(bus.say("alice", EXPLORE, "4"), (error: unknown) => isBusError(error, "OVERLOADED") && error.details.retryDelayMs === 1_000);
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
    expect(counters["agentbus_publish_failures_total"]).toEqual([{ labels: { reason: "UNKNOWN_RECIPIENT" }, value: 1 }]);
  });

  it("a client that fails all the time does not fill the log", async () => {
    const bus = await openBus();
    for (let i = 0; i < 1_000; i++) await bus.say("alice", EXPLORE, said("x", { to: { agents: ["nobody"] } })).catch(() => {});
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

describe("recipients", () => {
  async function withAgents(settings: TestBusOptions = {}) {
    const bus = await openBus(settings);
    for (const [agentId, groups, can] of [["alice", [], []], ["bob", ["team"], ["ocr"]], ["carol", ["team"], []]] as const) {
      const capabilities = can.map((name) => ({ name, description: "", inputSchema: "" }));
      await bus.agents.register(agentId, { ...EMPTY_PROFILE, groups, capabilities });
    }
    return bus;
  }
  const audienceOf = async (bus: Awaited<ReturnType<typeof openBus>>, message: Said) =>
    (await bus.say("alice", EXPLORE, message)).results[0]!.audience;

  it("S0-2.1.3b S0-2.1.3c S0-2.1.3e: are whom the sender names: agents, groups, a description, together", async () => {
    const bus = await withAgents();
    assert.deepEqual(await audienceOf(bus, said("x", { to: { agents: ["carol"] } })), ["carol"]);
    assert.deepEqual(await audienceOf(bus, said("x", { to: { groups: ["team"] } })), ["bob", "carol"]);
    assert.deepEqual(await audienceOf(bus, said("x", { to: { select: { capabilities: ["ocr"] } } })), ["bob"]);
    assert.deepEqual(await audienceOf(bus, said("x", { to: { agents: ["alice"], select: { capabilities: ["ocr"] } } })), ["alice", "bob"]);
  });

  it("S0-2.1.3d S0-2.1.3e: are whom the channel's routing names, when the sender names nobody or may not", async () => {
    const bus = await withAgents();
    const recipients = { agents: [], groups: ["team"], select: undefined };
    await bus.rooms.createChannel(
      { name: explore, description: "", metadata: {}, config: { routing: routing({ strategy: "SUBGROUP", recipients, allowSenderRecipients: false }) } },
      true,
    );
    assert.deepEqual(await audienceOf(bus, "x"), ["bob", "carol"]);
    await assert.rejects(bus.say("alice", EXPLORE, said("x", { to: { agents: ["bob"] } })), refused("RECIPIENTS_NOT_ALLOWED", 0));
    await bus.rooms.updateChannel(explore, { config: { routing: routing({ strategy: "SUBGROUP", recipients }) } });
    assert.deepEqual(await audienceOf(bus, said("x", { to: { agents: ["alice"] } })), ["alice"], "the sender's own win");
  });

  it("S0-3.2.2: a new routing takes effect behind the position that the answer states", async () => {
    const bus = await withAgents();
    await bus.say("alice", EXPLORE, "a", "b");
    const recipients = { agents: ["bob"], groups: [], select: undefined };
    const { sequence } = await bus.rooms.updateChannel(explore, { config: { routing: routing({ strategy: "INDIVIDUAL", recipients }) } });
    assert.equal(sequence, 2);
    assert.deepEqual(await audienceOf(bus, "c"), ["bob"]);
  });

  it("one unknown among many: nothing of the batch is stored", async () => {
    const bus = await withAgents();
    await bus.say("alice", EXPLORE, "first");
    await assert.rejects(bus.say("alice", EXPLORE, "x", said("y", { to: { agents: ["bob", "nobody"] } })), refused("UNKNOWN_RECIPIENT", 1));
    assert.deepEqual(await traces(bus), { agents: 3, rooms: 1, channels: 1, head: 1 });
  });

  it("are limited in number", async () => {
    const bus = await withAgents({ limits: { audience: 1 } });
    await assert.rejects(bus.say("alice", EXPLORE, said("x", { to: { groups: ["team"] } })), refused("TOO_MANY", 0));
  });
});

describe("a message without room and channel", () => {
  const direct = (...agents: string[]) => said("psst", { to: { agents } });

  it("S0-2.1.3c: goes to the inbox of its only recipient", async () => {
    const bus = await openBus();
    await bus.agents.ensure("bob@example.org");
    const { results } = await bus.say("alice", "", direct("bob@example.org"), direct("bob@example.org"));
    assert.match(results[1]!.position, /^_inbox:bob@example\.org@[0-9a-f]{8}\.2$/);
    assert.deepEqual(results[0]!.audience, ["bob@example.org"]);
    const reader = await bus.read({ agentId: "bob@example.org", channels: ["_inbox:bob@example.org"], start: { kind: "earliest" } });
    assert.deepEqual(await reader.take(), ["psst", "psst"]);
  });

  it.each<[string, readonly Said[], number]>([
    ["nobody", ["x"], 0],
    ["two", [direct("bob", "carol")], 0],
    ["a group", [said("x", { to: { groups: ["team"] } })], 0],
    ["another one than the first", [direct("bob"), direct("carol")], 1],
  ])("wants one agent in `to`, not %s", async (_, batch, index) => {
    const bus = await openBus();
    for (const agentId of ["bob", "carol"]) await bus.agents.ensure(agentId);
    await assert.rejects(bus.say("alice", "", ...batch), refused("RECIPIENT_REQUIRED", index));
  });

  it("to nobody that exists creates neither inbox nor sender", async () => {
    const bus = await openBus();
    await assert.rejects(bus.say("alice", "", direct("nobody")), refused("UNKNOWN_RECIPIENT", 0));
    assert.deepEqual([bus.agents.counts.agents, bus.rooms.channel("_inbox:nobody")], [0, undefined]);
  });

  it("to oneself is a note", async () => {
    const bus = await openBus();
    const { results } = await bus.say("alice", "", direct("alice"));
    assert.match(results[0]!.position, /^_inbox:alice@/);
  });
});

describe("idempotency", () => {
  const keyed = (key: string, value: string): Said => said(value, { idempotencyKey: key });

  it("S3-E.2: the same key with the same content is stored once and answered with the first position and id", async () => {
    const bus = await openBus();
    const reader = await bus.read({ channels: [EXPLORE] });
    const first = await bus.say("alice", EXPLORE, keyed("k", "x"));
    const again = await bus.say("alice", EXPLORE, keyed("k", "x"));
    assert.deepEqual(again.results, [{ ...first.results[0], duplicate: true }]);
    assert.deepEqual(await reader.take(), ["x"]);
    const { counters } = await bus.meters.json();
    assert.equal(counters["agentbus_messages_duplicate_total"]![0]!.value, 1);
  });

  it("an id is a key of its own", async () => {
    const bus = await openBus();
    const one = await bus.say("alice", EXPLORE, said("x", { id: "m" }));
    const two = await bus.say("alice", EXPLORE, said("x", { id: "m", timestamp: { seconds: 5n } }));
    assert.deepEqual([two.results[0]!.duplicate, two.results[0]!.position], [true, one.results[0]!.position]);
  });

  it("other content under the same key is refused, with its index, and nothing is stored", async () => {
    const bus = await openBus();
    await bus.say("alice", EXPLORE, keyed("k", "x"));
    await assert.rejects(bus.say("alice", EXPLORE, "new", keyed("k", "other")), refused("IDEMPOTENCY_CONFLICT", 1));
    assert.equal((await traces(bus)).head, 1);
  });

  it("keys of other senders and other channels are other keys", async () => {
    const bus = await openBus();
    const places = [["alice", EXPLORE], ["bob", EXPLORE], ["alice", "science:other"]] as const;
    for (const [agentId, channel] of places) {
      const { results } = await bus.say(agentId, channel, keyed("k", agentId + channel));
      assert.equal(results[0]!.duplicate, false);
    }
  });

  it("the same key twice in one batch is one message", async () => {
    const bus = await openBus();
    const { results } = await bus.say("alice", EXPLORE, keyed("k", "x"), "y", keyed("k", "x"));
    assert.deepEqual(results.map(({ duplicate, position }) => [duplicate, position.at(-1)]), [[false, "1"], [false, "2"], [true, "1"]]);
    assert.equal((await traces(bus)).head, 2);
    await assert.rejects(bus.say("alice", EXPLORE, keyed("l", "x"), keyed("l", "y")), refused("IDEMPOTENCY_CONFLICT", 1));
  });

  it("is forgotten after the window, and with its channel", async () => {
    const bus = await openBus();
    await bus.say("alice", EXPLORE, keyed("k", "x"));
    bus.clock.advance(119_999);
    assert.equal((await bus.say("alice", EXPLORE, keyed("k", "x"))).results[0]!.duplicate, true);
    bus.clock.advance(1);
    assert.equal((await bus.say("alice", EXPLORE, keyed("k", "y"))).results[0]!.duplicate, false);
    await bus.rooms.deleteChannel(explore);
    assert.equal((await bus.say("alice", EXPLORE, keyed("k", "z"))).results[0]!.duplicate, false);
  });

  it("is answered as what would have been when the first is trimmed", async () => {
    const bus = await openBus({ ringSize: 2 });
    const { results } = await bus.say("alice", EXPLORE, said("x", { id: "m" }));
    await bus.say("alice", EXPLORE, "1", "2", "3");
    const again = await bus.say("alice", EXPLORE, said("x", { id: "m" }));
    assert.deepEqual([again.results[0]!.duplicate, again.results[0]!.position], [true, results[0]!.position]);
  });

  it("after an unknown outcome the same again is stored once", async () => {
    const bus = await openHeld();
    await bus.say("alice", EXPLORE, "first");
    bus.hold(true);
    const lost = bus.say("alice", EXPLORE, keyed("k", "x"));
    bus.held[0]!.go();
    await lost; // it was stored; suppose that its answer never arrived
    bus.hold(false);
    assert.equal((await bus.say("alice", EXPLORE, keyed("k", "x"))).results[0]!.duplicate, true);
    assert.equal((await traces(bus)).head, 2);
  });
});

describe("rates", () => {
  it("S2-R.1: a sender that is too fast is told how long to wait, and nobody else is slowed", async () => {
    const bus = await openBus({ limits: { senderRate: 10, senderBurst: 5 } });
    await bus.say("alice", EXPLORE, "1", "2", "3", "4", "5");
    await assert.rejects(bus.say("alice", EXPLORE, "6", "7"), (error: unknown) => isBusError(error, "RATE_LIMITED") && error.details.retryDelayMs === 200);
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
    const bus = await openHeld();
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
    const bus = await openHeld();
    await bus.agents.ensure("bob");
    await bus.say("alice", EXPLORE, "x");
    bus.hold(true);
    const publish = bus.say("alice", EXPLORE, "y");
    const recipients = { agents: ["bob"], groups: [], select: undefined };
    const { sequence } = await bus.rooms.updateChannel(explore, { config: { routing: routing({ strategy: "INDIVIDUAL", recipients }) } });
    bus.hold(false);
    bus.held[0]!.go();
    const { results } = await publish;
    assert.deepEqual([sequence, results[0]!.position.at(-1), results[0]!.audience], [1, "2", ["bob"]]);
  });

  it("always: CONCURRENT_UPDATE after a bounded number of attempts", async () => {
    let attempts = 0;
    const bus = await openBus({
      wrapLog: (log) => overLog(log, { append: async () => (attempts++, { kind: "stale", version: 1_000 }) }),
    });
    await assert.rejects(bus.say("alice", EXPLORE, "x"), refused("CONCURRENT_UPDATE"));
    assert.ok(attempts <= 10);
  });
});
