import assert from "node:assert/strict";
import { describe, expect, it } from "vitest";
import { NO_FILTER, openBus, Reader, subscribeInput, type TestBus } from "../../../test/support/bus-fixture.ts";
import { EMPTY_PROFILE } from "../../core/agent.ts";
import { isBusError, type Reason } from "../../core/errors.ts";
import { channelName } from "../../core/names.ts";

const EXPLORE = "science:explore";
const explore = channelName("science", "explore");
const refused = (reason: Reason) => (error: unknown) => isBusError(error, reason);
const texts = (from: number, to: number) => Array.from({ length: to - from + 1 }, (_, i) => `m${from + i}`);
const sayAll = (bus: TestBus, channel: string, from: number, to: number) =>
  bus.say("alice", channel, ...texts(from, to));
const trimTo = (bus: TestBus, maxMessages: number) =>
  bus.storage.log.trim(explore, { maxAgeMs: 0, maxBytes: 0, maxMessages });

describe("the start of a subscription", () => {
  it("S0-3.2.3: unset is what is published from now on, and the first response comes at once", async () => {
    const bus = await openBus({ nodeId: "n1" });
    await sayAll(bus, EXPLORE, 1, 3);
    const reader = await bus.read({ channels: [EXPLORE] });
    const { opened, positions, caughtUp, serverTime, messages } = reader.first;
    assert.deepEqual(
      [opened?.nodeId, opened?.agentId, positions.length, caughtUp, messages.length],
      ["n1", "reader", 1, true, 0],
    );
    assert.equal(serverTime?.seconds, BigInt(bus.clock.now() / 1_000));
    await sayAll(bus, EXPLORE, 4, 5);
    assert.deepEqual(await reader.take(), ["m4", "m5"]);
  });

  it("earliest is the oldest retained message", async () => {
    const bus = await openBus();
    await sayAll(bus, EXPLORE, 1, 5);
    await trimTo(bus, 3);
    const reader = await bus.read({ channels: [EXPLORE], start: { kind: "earliest" } });
    assert.deepEqual(await reader.take(), ["m3", "m4", "m5"]);
    assert.deepEqual(reader.gaps, [], "nothing is missing that was asked for");
  });

  it("last counts what the reader gets, not what others got", async () => {
    const bus = await openBus();
    await bus.say("bob", "science:other", "here");
    await sayAll(bus, EXPLORE, 1, 4);
    await bus.say("alice", EXPLORE, { to: { agents: ["bob"] }, payload: { case: "text", value: "psst" } });
    await bus.say("reader", EXPLORE, "my own");
    const last = async (count: number, part = {}) =>
      await (await bus.read({ channels: [EXPLORE], start: { kind: "last", count }, ...part })).take();
    assert.deepEqual(await last(2), ["m3", "m4"]);
    assert.deepEqual(await last(2, { echo: true }), ["m4", "my own"]);
    assert.deepEqual(await last(99), ["m1", "m2", "m3", "m4"]);
    assert.deepEqual(await last(1, { agentId: "bob", filter: { ...NO_FILTER, directOnly: true } }), ["psst"]);
  });

  it("since is the first message accepted at or after a time", async () => {
    const bus = await openBus();
    const at: number[] = [];
    for (const text of ["m1", "m2", "m3"]) {
      at.push(bus.clock.now());
      await bus.say("alice", EXPLORE, text);
      bus.clock.advance(1_000);
    }
    const since = async (timeMs: number) =>
      (await bus.read({ channels: [EXPLORE], start: { kind: "since", timeMs } })).take();
    assert.deepEqual(await since(at[1]!), ["m2", "m3"]);
    assert.deepEqual(await since(at[1]! + 1), ["m3"]);
    assert.deepEqual(await since(0), ["m1", "m2", "m3"]);
    assert.deepEqual(await since(bus.clock.now()), []);
  });

  it("S3-US3.1: resume goes on behind each position; a channel without one is new and starts with its first message", async () => {
    const bus = await openBus();
    await sayAll(bus, EXPLORE, 1, 3);
    const first = await bus.read({ channels: [EXPLORE], start: { kind: "earliest" } });
    await first.take();
    await sayAll(bus, EXPLORE, 4, 5);
    await bus.say("alice", "science:born", "b1", "b2");
    const again = await bus.read({ patterns: ["science:*"], start: first.resume });
    const taken = await again.take();
    assert.deepEqual([...taken].sort(), ["b1", "b2", "m4", "m5"]);
    assert.deepEqual(again.gaps, []);
  });

  it("of several positions of one channel the last counts", async () => {
    const bus = await openBus();
    const { results } = await sayAll(bus, EXPLORE, 1, 3);
    const positions = [results[2]!.position, results[0]!.position];
    const reader = await bus.read({ channels: [EXPLORE], start: { kind: "resume", positions } });
    assert.deepEqual(await reader.take(), ["m2", "m3"]);
  });

  it("tells what cannot be replayed as a Gap in the first response, or fails when asked to", async () => {
    const bus = await openBus();
    const { results } = await sayAll(bus, EXPLORE, 1, 6);
    await trimTo(bus, 2);
    const start = { kind: "resume" as const, positions: [results[1]!.position] };
    const reader = await bus.read({ channels: [EXPLORE], start });
    assert.deepEqual(reader.gaps, ["3-4 1"]);
    assert.equal(reader.first.gaps.length, 1);
    assert.deepEqual(await reader.take(), ["m5", "m6"]);
    await assert.rejects(bus.read({ channels: [EXPLORE], start, failOnGap: true }), refused("GAP"));
    assert.equal(bus.subscriptions.count, 1, "the one that failed left nothing");
  });

  it("a position of a channel that was deleted and created again is told as a new epoch", async () => {
    const bus = await openBus();
    const { results } = await sayAll(bus, EXPLORE, 1, 3);
    await bus.rooms.deleteChannel(explore);
    await sayAll(bus, EXPLORE, 7, 8);
    const positions = [results[2]!.position];
    const reader = await bus.read({ channels: [EXPLORE], start: { kind: "resume", positions } });
    assert.deepEqual(reader.gaps, ["4-0 2"]);
    assert.deepEqual(await reader.take(), ["m7", "m8"]);
  });

  it("a position beyond the head shows a log that was rolled back: a new epoch and a Gap, then nothing is missed", async () => {
    const bus = await openBus();
    const { results } = await sayAll(bus, EXPLORE, 1, 3);
    const ahead = results[2]!.position.replace(/\.3$/, ".9");
    const reader = await bus.read({ channels: [EXPLORE], start: { kind: "resume", positions: [ahead] } });
    assert.deepEqual(reader.gaps, ["4-9 2"]);
    const again = await sayAll(bus, EXPLORE, 4, 4);
    assert.notEqual(again.results[0]!.position.split("@")[1]!.split(".")[0], ahead.split("@")[1]!.split(".")[0]);
    assert.deepEqual(await reader.take(), ["m4"]);
  });

  it.each<[Reason, Parameters<typeof subscribeInput>[0]]>([
    ["BAD_NAME", { channels: ["science"] }],
    ["BAD_NAME", { patterns: ["sci*:x"] }],
    ["BAD_POSITION", { channels: [EXPLORE], start: { kind: "resume", positions: ["x"] } }],
    ["INBOX_PRIVATE", { channels: ["_inbox:bob"] }],
    ["RESERVED_NAME", { channels: ["_system:x"] }],
  ])("is refused with %s and leaves no trace: %j", async (reason, input) => {
    const bus = await openBus();
    await assert.rejects(bus.read(input), refused(reason));
    assert.deepEqual([bus.subscriptions.count, bus.agents.counts.agents, bus.rooms.counts.channels], [0, 0, 0]);
  });
});

describe("what a subscription reads", () => {
  it("S3-US1.1 S3-US1.2: only its channels", async () => {
    const bus = await openBus();
    const reader = await bus.read({ channels: [EXPLORE] });
    await bus.say("alice", "science:general", "general");
    await bus.say("alice", "chat:public", "public");
    await bus.say("alice", EXPLORE, "explore");
    assert.deepEqual(await reader.take(), ["explore"]);
  });

  it("S3-US1.2 S3-K.3: what its patterns match, and what comes to exist, from its first message; never inboxes", async () => {
    const bus = await openBus();
    await bus.say("bob", "science:old", "old");
    const reader = await bus.read({ patterns: ["science:*"] });
    const all = await bus.read({ agentId: "auditor", patterns: ["**"] });
    assert.equal(reader.first.positions.length, 1);
    await Promise.all([
      bus.say("alice", "science:new", "n1"),
      bus.say("alice", "lab:new", "lab"),
      bus.say("alice", "science:old", "o2"),
    ]);
    await bus.say("alice", "", { to: { agents: ["bob"] }, payload: { case: "text", value: "secret" } });
    assert.deepEqual([...(await reader.take())].sort(), ["n1", "o2"]);
    assert.deepEqual([...(await all.take())].sort(), ["lab", "n1", "o2"]);
    assert.deepEqual([...reader.positions.keys()].sort(), ["science:new", "science:old"]);
  });

  it("tells where it stands in a channel that came to exist before its first message", async () => {
    const bus = await openBus();
    const reader = await bus.read({ patterns: ["science:*"] });
    await bus.rooms.createChannel({ name: explore, description: "", metadata: {}, config: {} }, true);
    assert.deepEqual(await reader.take(), []);
    assert.match(reader.positions.get(EXPLORE)!, /\.0$/);
  });

  it("with neither channels nor patterns its inbox and what its agent joined, also later, until it leaves", async () => {
    const bus = await openBus();
    await bus.agents.ensure("reader");
    await bus.rooms.join("reader", explore);
    const reader = await bus.read({});
    assert.deepEqual([...reader.positions.keys()].sort(), ["_inbox:reader", EXPLORE]);
    await bus.say("alice", "", { to: { agents: ["reader"] }, payload: { case: "text", value: "psst" } });
    await bus.say("alice", "science:other", "before joining");
    await bus.rooms.join("reader", channelName("science", "other"));
    await bus.settle();
    await bus.say("alice", "science:other", "joined");
    await bus.say("alice", EXPLORE, "hi");
    assert.deepEqual([...(await reader.take())].sort(), ["hi", "joined", "psst"]);
    await bus.rooms.leave("reader", explore);
    await bus.say("alice", EXPLORE, "left");
    assert.deepEqual(await reader.take(), []);
  });

  it("S0-2.1.3c: an inbox keeps what came while its agent was away", async () => {
    const bus = await openBus();
    const away = await bus.read({ agentId: "bob" });
    const { resume } = away;
    away.subscription.close(true);
    await bus.say("alice", "", { to: { agents: ["bob"] }, payload: { case: "text", value: "while you were out" } });
    const back = await bus.read({ agentId: "bob", start: resume });
    assert.deepEqual(await back.take(), ["while you were out"]);
    assert.equal(back.messages[0]!.sender, "alice");
  });

  it("its own messages only with echo", async () => {
    const bus = await openBus();
    const deaf = await bus.read({ agentId: "alice", channels: [EXPLORE] });
    const echo = await bus.read({ agentId: "alice", channels: [EXPLORE], echo: true });
    await bus.say("alice", EXPLORE, "mine");
    await bus.say("bob", EXPLORE, "yours");
    assert.deepEqual(await deaf.take(), ["yours"]);
    assert.deepEqual(await echo.take(), ["mine", "yours"]);
    assert.equal(deaf.positions.get(EXPLORE), echo.positions.get(EXPLORE), "positions are past what was left out");
  });

  it("observing makes nobody present", async () => {
    const bus = await openBus();
    await bus.read({ agentId: "ghost", channels: [EXPLORE], observe: true });
    assert.equal(bus.agents.state("ghost"), "OFFLINE");
    const present = await bus.read({ agentId: "alice", channels: [EXPLORE] });
    assert.equal(bus.agents.state("alice"), "ONLINE");
    present.subscription.close(true);
    assert.equal(bus.agents.state("alice"), "OFFLINE");
  });

  it("two subscriptions of one agent both get everything", async () => {
    const bus = await openBus();
    const both = [await bus.read({ channels: [EXPLORE] }), await bus.read({ channels: [EXPLORE] })];
    await sayAll(bus, EXPLORE, 1, 3);
    for (const reader of both) assert.deepEqual(await reader.take(), ["m1", "m2", "m3"]);
  });
});

describe("a private message", () => {
  const psst = (to: object) => ({ to, payload: { case: "text" as const, value: "psst" } });

  it("S0-2.1.3b S0-2.1.3c S3-US1.1: is shown to its audience and its sender, live and later, and to nobody else", async () => {
    const bus = await openBus();
    for (const agentId of ["bob", "carol", "eve"]) {
      await bus.agents.register(agentId, { ...EMPTY_PROFILE, groups: agentId === "carol" ? ["team"] : [] });
    }
    const readers = {
      bob: await bus.read({ agentId: "bob", channels: [EXPLORE] }),
      carol: await bus.read({ agentId: "carol", patterns: ["science:*"] }),
      eve: await bus.read({ agentId: "eve", channels: [EXPLORE] }),
      eveByPattern: await bus.read({ agentId: "eve", patterns: ["**"] }),
      alice: await bus.read({ agentId: "alice", channels: [EXPLORE], echo: true }),
    };
    await bus.say("alice", EXPLORE, "open", psst({ agents: ["bob"], groups: ["team"] }), "open again");
    const expected = { bob: 3, carol: 3, eve: 2, eveByPattern: 2, alice: 3 };
    for (const [who, reader] of Object.entries(readers)) {
      const count = expected[who as keyof typeof expected];
      assert.deepEqual((await reader.take()).length, count, who);
      assert.match(reader.positions.get(EXPLORE)!, /\.3$/, "positions are past what was hidden");
    }
    // To join the group later opens nothing.
    await bus.agents.update("eve", { groups: ["team"] });
    const later = await bus.read({ agentId: "eve", channels: [EXPLORE], start: { kind: "earliest" } });
    assert.deepEqual(await later.take(), ["open", "open again"]);
    const member = await bus.read({ agentId: "carol", channels: [EXPLORE], start: { kind: "earliest" } });
    assert.deepEqual(await member.take(), ["open", "psst", "open again"]);
  });

  it("is hidden from those who read the store, too: a reader that fell behind sees no more than a live one", async () => {
    const bus = await openBus({ limits: { tailBytes: 1 } });
    await bus.agents.ensure("bob");
    const eve = await bus.read({ agentId: "eve", channels: [EXPLORE] });
    await bus.say("alice", EXPLORE, psst({ agents: ["bob"] }), "open");
    assert.deepEqual(await eve.take(), ["open"]);
  });
});

describe("limits", () => {
  it("subscriptions of the node and of one agent", async () => {
    const bus = await openBus({ limits: { subscriptions: 3, subscriptionsPerAgent: 2 } });
    const first = await bus.read({ agentId: "a", channels: [EXPLORE] });
    await bus.read({ agentId: "a", channels: [EXPLORE] });
    await assert.rejects(bus.read({ agentId: "a", channels: [EXPLORE] }), refused("TOO_MANY"));
    await bus.read({ agentId: "b", channels: [EXPLORE] });
    await assert.rejects(bus.read({ agentId: "c", channels: [EXPLORE] }), refused("TOO_MANY"));
    first.subscription.close(true);
    await bus.read({ agentId: "a", channels: [EXPLORE] });
  });

  it("channels of one subscription, when it opens", async () => {
    const bus = await openBus({ limits: { channelsPerSubscription: 3 } });
    await Promise.all(texts(1, 4).map((channel) => bus.say("alice", `science:${channel}`, "x")));
    await assert.rejects(bus.read({ patterns: ["science:*"] }), refused("TOO_MANY"));
    assert.equal(bus.subscriptions.count, 0);
  });

  // Channels that came at the same moment were all counted against the same number, and joins were not counted at all.
  it.each(["patterns", "joins"] as const)(
    "channels of one subscription, when they come by %s, all at once",
    async (how) => {
      const bus = await openBus({ limits: { channelsPerSubscription: 3 } });
      const reader = await bus.read(how === "patterns" ? { patterns: ["science:*"] } : {});
      await Promise.all(
        texts(1, 6).map((channel) =>
          how === "patterns"
            ? bus.say("alice", `science:${channel}`, "x")
            : bus.rooms.join("reader", channelName("science", channel)),
        ),
      );
      await reader.take();
      assert.equal(reader.subscription.finished?.error?.reason, "TOO_MANY");
      assert.ok(reader.positions.size <= 3);
    },
  );

  it("agents are registered as the bus allows it", async () => {
    const bus = await openBus({ implicitAgents: false });
    await assert.rejects(bus.read({ channels: [EXPLORE] }), refused("AGENT_NOT_FOUND"));
  });
});

describe("counts", () => {
  it("S1-7.3: what was delivered, open streams and gaps", async () => {
    const bus = await openBus();
    const { results } = await sayAll(bus, EXPLORE, 1, 4);
    await trimTo(bus, 2);
    const start = { kind: "resume" as const, positions: [results[0]!.position] };
    const reader = new Reader(await bus.subscriptions.open(subscribeInput({ channels: [EXPLORE], start })), bus.settle);
    await reader.take();
    assert.equal(bus.subscriptions.deliveredCount, 2);
    const { counters, gauges } = await bus.meters.json();
    expect(counters["agentbus_gaps_total"]).toContainEqual({ labels: { cause: "RETENTION" }, value: 1 });
    expect(gauges["agentbus_subscriptions"]).toEqual([{ labels: {}, value: 1 }]);
  });
});
