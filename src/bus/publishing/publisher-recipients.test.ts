import assert from "node:assert/strict";
import { describe, it } from "vitest";
import { openBus, type Said, type TestBusOptions } from "../../../test/support/bus-fixture.ts";
import { openHeldBus } from "../../../test/support/held-bus.ts";
import { EMPTY_PROFILE } from "../../core/agent.ts";
import { isBusError, type Reason } from "../../core/errors.ts";
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

describe("recipients", () => {
  async function withAgents(settings: TestBusOptions = {}) {
    const bus = await openBus(settings);
    for (const [agentId, groups, can] of [
      ["alice", [], []],
      ["bob", ["team"], ["ocr"]],
      ["carol", ["team"], []],
    ] as const) {
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
    assert.deepEqual(
      await audienceOf(bus, said("x", { to: { agents: ["alice"], select: { capabilities: ["ocr"] } } })),
      ["alice", "bob"],
    );
  });

  it("S0-2.1.3d S0-2.1.3e: are whom the channel's routing names, when the sender names nobody or may not", async () => {
    const bus = await withAgents();
    const recipients = { agents: [], groups: ["team"], select: undefined };
    await bus.rooms.createChannel(
      {
        name: explore,
        description: "",
        metadata: {},
        config: { routing: routing({ strategy: "SUBGROUP", recipients, allowSenderRecipients: false }) },
      },
      true,
    );
    assert.deepEqual(await audienceOf(bus, "x"), ["bob", "carol"]);
    await assert.rejects(
      bus.say("alice", EXPLORE, said("x", { to: { agents: ["bob"] } })),
      refused("RECIPIENTS_NOT_ALLOWED", 0),
    );
    await bus.rooms.updateChannel(explore, { config: { routing: routing({ strategy: "SUBGROUP", recipients }) } });
    assert.deepEqual(
      await audienceOf(bus, said("x", { to: { agents: ["alice"] } })),
      ["alice"],
      "the sender's own win",
    );
  });

  it("S0-3.2.2: a new routing takes effect behind the position that the answer states", async () => {
    const bus = await withAgents();
    await bus.say("alice", EXPLORE, "a", "b");
    const recipients = { agents: ["bob"], groups: [], select: undefined };
    const { sequence } = await bus.rooms.updateChannel(explore, {
      config: { routing: routing({ strategy: "INDIVIDUAL", recipients }) },
    });
    assert.equal(sequence, 2);
    assert.deepEqual(await audienceOf(bus, "c"), ["bob"]);
  });

  it("one unknown among many: nothing of the batch is stored", async () => {
    const bus = await withAgents();
    await bus.say("alice", EXPLORE, "first");
    await assert.rejects(
      bus.say("alice", EXPLORE, "x", said("y", { to: { agents: ["bob", "nobody"] } })),
      refused("UNKNOWN_RECIPIENT", 1),
    );
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
    const reader = await bus.read({
      agentId: "bob@example.org",
      channels: ["_inbox:bob@example.org"],
      start: { kind: "earliest" },
    });
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
    const places = [
      ["alice", EXPLORE],
      ["bob", EXPLORE],
      ["alice", "science:other"],
    ] as const;
    for (const [agentId, channel] of places) {
      const { results } = await bus.say(agentId, channel, keyed("k", agentId + channel));
      assert.equal(results[0]!.duplicate, false);
    }
  });

  it("the same key twice in one batch is one message", async () => {
    const bus = await openBus();
    const { results } = await bus.say("alice", EXPLORE, keyed("k", "x"), "y", keyed("k", "x"));
    assert.deepEqual(
      results.map(({ duplicate, position }) => [duplicate, position.at(-1)]),
      [
        [false, "1"],
        [false, "2"],
        [true, "1"],
      ],
    );
    assert.equal((await traces(bus)).head, 2);
    await assert.rejects(
      bus.say("alice", EXPLORE, keyed("l", "x"), keyed("l", "y")),
      refused("IDEMPOTENCY_CONFLICT", 1),
    );
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
    const bus = await openHeldBus();
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
