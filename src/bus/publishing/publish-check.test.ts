import assert from "node:assert/strict";
import { describe, it } from "vitest";
import { openBus, type Said, type TestBus, type TestBusOptions } from "../../../test/support/bus-fixture.ts";
import { createSharedBackend } from "../../../test/support/shared-backend.ts";
import { EMPTY_PROFILE } from "../../core/agent.ts";
import { DEFAULT_BUS_OPTIONS, type Limits } from "../../core/bus-options.ts";
import { isBusError, type Reason } from "../../core/errors.ts";
import { channelName } from "../../core/names.ts";
import type { RoutingConfig } from "../../core/room.ts";
import { RoutingRegistry } from "../../routing/routing-registry.ts";

const refused = (reason: Reason, index?: number) => (error: unknown) =>
  isBusError(error, reason) && (index === undefined || error.details.index === index);
const said = (value: string, rest: Exclude<Said, string> = {}): Said => ({ ...rest, payload: { case: "text", value } });
const routing = (part: Partial<RoutingConfig>): RoutingConfig => ({
  ...DEFAULT_BUS_OPTIONS.channelDefaults.routing,
  ...part,
});

/** A bus with bob, who can fly, and a room for each way of routing, in which channels come to be on demand. */
async function openRooms(settings: TestBusOptions = {}): Promise<TestBus> {
  const strategies = new RoutingRegistry().register("nobody", () => ({ route: () => [] }));
  const bus = await openBus({ routing: strategies, ...settings });
  const capabilities = [{ name: "fly", description: "", inputSchema: "" }];
  await bus.agents.register("bob", { ...EMPTY_PROFILE, capabilities, groups: ["team"] });
  for (const [room, config] of [
    ["capability", routing({ strategy: "CAPABILITY" })],
    ["turns", routing({ strategy: "ROUND_ROBIN" })],
    ["individual", routing({ strategy: "INDIVIDUAL" })],
    ["decides", routing({ allowSenderRecipients: false })],
    ["absent", routing({ strategy: "SUBGROUP", recipients: { agents: [], groups: ["gone"], select: undefined } })],
    ["custom", routing({ strategy: "CUSTOM", custom: "nobody" })],
  ] as const) {
    await bus.rooms.createRoom({ room, description: "", metadata: {}, defaults: { routing: config } });
  }
  await bus.rooms.createRoom({
    room: "closed",
    description: "",
    metadata: {},
    defaults: {},
    autoCreateChannels: false,
  });
  return bus;
}

/** Everything that a refused request could leave behind. */
function traces({ agents, rooms }: TestBus) {
  return { ...count(agents.counts), ...count(rooms.counts), inbox: rooms.channel("_inbox:bob") !== undefined };
}

const count = (counts: object) => Object.fromEntries(Object.entries(counts));

describe("a publish that is refused creates nothing:", () => {
  const fly: Said = said("x", { name: "fly" });
  const toBob = said("x", { to: { agents: ["bob"] } });
  const cases: readonly [string, Reason, string, Said][] = [
    ["a capability that no member has", "NO_CANDIDATE", "capability:new", fly],
    ["a capability that the message does not name", "NO_CANDIDATE", "capability:new", "x"],
    ["nobody whose turn it could be", "NO_CANDIDATE", "turns:new", "x"],
    ["a room for one, and nobody named", "RECIPIENT_REQUIRED", "individual:new", "x"],
    ["a room that decides alone", "RECIPIENTS_NOT_ALLOWED", "decides:new", toBob],
    ["a room routed to a group without agents", "NO_CANDIDATE", "absent:new", "x"],
    ["a strategy of one's own that chooses nobody", "NO_CANDIDATE", "custom:new", "x"],
    ["a room that creates no channels", "CHANNEL_NOT_FOUND", "closed:new", "x"],
    ["an unknown recipient", "UNKNOWN_RECIPIENT", "new:new", said("x", { to: { agents: ["bob", "nobody"] } })],
    ["the inbox of somebody unknown", "UNKNOWN_RECIPIENT", "", said("x", { to: { agents: ["nobody"] } })],
    ["more than is allowed with what the server adds", "MESSAGE_TOO_LARGE", "new:new", "x".repeat(1_048_560)],
  ];
  for (const sender of ["stranger", "bob"]) {
    it.each(cases)(`S3-FR-010 S3-E.4: from ${sender}: %s: %s`, async (_, reason, channel, message) => {
      const bus = await openRooms();
      const before = traces(bus);
      await assert.rejects(bus.say(sender, channel, toBob, message), (error: unknown) => isBusError(error));
      await assert.rejects(bus.say(sender, channel, message), refused(reason));
      assert.deepEqual(traces(bus), before);
    });
  }

  it.each<[string, Partial<Limits>]>([
    ["rooms", { rooms: 7 }],
    ["channels", { channels: 0 }],
    ["agents", { agents: 1 }],
    ["implicitAgents", { implicitAgents: 0 }],
    ["audience", { audience: 1 }],
  ])("S0-2.2.2: limits.%s is reached", async (_, limits) => {
    const bus = await openRooms({ limits });
    const before = traces(bus);
    const message = said("x", { to: { agents: ["bob", "stranger"] } });
    await assert.rejects(bus.say("stranger", "new:new", message), refused("TOO_MANY"));
    assert.deepEqual(traces(bus), before);
  });

  it("where agents do not register themselves: AGENT_NOT_FOUND", async () => {
    const bus = await openRooms({ implicitAgents: false });
    const before = traces(bus);
    await assert.rejects(bus.say("stranger", "new:new", "x"), refused("AGENT_NOT_FOUND"));
    assert.deepEqual(traces(bus), before);
  });

  it("on another node, too: nothing is there when it asks the storage", async () => {
    const backend = createSharedBackend();
    const a = await openRooms({ backend, nodeId: "a" });
    const b = await openBus({ backend, nodeId: "b" });
    backend.ringFilter = () => false;
    await a.rooms.createRoom({
      room: "fresh",
      description: "",
      metadata: {},
      defaults: { routing: routing({ strategy: "ROUND_ROBIN" }) },
    });
    await assert.rejects(b.say("stranger", "fresh:new", "x"), refused("NO_CANDIDATE"));
    assert.deepEqual(
      [b.agents.get("stranger"), await backend.directory.count("channel", "fresh")],
      [undefined, 0],
      "node b did not know the room before, and did know how it is routed",
    );
  });
});

describe("a publish that creates its sender or its channel", () => {
  it("lets the sender name itself before it is known", async () => {
    const bus = await openRooms();
    const { results } = await bus.say("stranger", "new:new", said("x", { to: { agents: ["stranger"] } }));
    assert.deepEqual(results[0]!.audience, ["stranger"]);
    await bus.say("other", "", said("note to self", { to: { agents: ["other"] } }));
  });

  it("takes one turn, not two", async () => {
    const bus = await openRooms();
    for (const agentId of ["a", "b", "c"]) {
      await bus.agents.ensure(agentId);
      await bus.rooms.join(agentId, channelName("turns", "x"));
      bus.agents.heartbeat(agentId, "ONLINE");
    }
    const chosen: unknown[] = [];
    for (let i = 0; i < 3; i++) chosen.push((await bus.say(`new-${i}`, "turns:x", "x")).results[0]!.audience);
    assert.deepEqual(chosen, [["a"], ["b"], ["c"]]);
  });

  it("S4-8c: counts against limits.pendingPublishes while it waits for that", async () => {
    const backend = createSharedBackend();
    const bus = await openBus({ backend, limits: { pendingPublishes: 2 } });
    const { directory } = backend;
    const put = directory.put.bind(directory);
    let go = () => {};
    const gate = new Promise<void>((resolve) => (go = resolve));
    directory.put = async (...args) => {
      await gate;
      return await put(...args);
    };
    const waiting = [bus.say("alice", "new:new", "1"), bus.say("bob", "new:new", "2")];
    await bus.settle();
    assert.equal(bus.publisher.pending, 2);
    await assert.rejects(bus.say("carol", "new:new", "3"), refused("OVERLOADED"));
    go();
    await Promise.all(waiting);
    assert.equal(bus.publisher.pending, 0);
    await bus.say("carol", "new:new", "3");
  });
});

describe("a subscription that is refused creates nothing:", () => {
  it.each<[string, Reason, readonly string[], Partial<Limits>]>([
    ["a channel that may not be created", "CHANNEL_NOT_FOUND", ["new:new", "closed:new"], {}],
    ["no place for two more channels", "TOO_MANY", ["new:one", "new:two"], { channels: 1 }],
    ["no place for two more rooms", "TOO_MANY", ["one:new", "two:new"], { rooms: 8 }],
    ["too many channels for one", "TOO_MANY", ["new:one", "new:two"], { channelsPerSubscription: 1 }],
    ["too many subscriptions", "TOO_MANY", ["new:one"], { subscriptions: 0 }],
    ["no more agents", "TOO_MANY", ["new:one"], { agents: 1 }],
  ])("S3-FR-010: %s", async (_, reason, channels, limits) => {
    const bus = await openRooms({ limits });
    const before = traces(bus);
    await assert.rejects(bus.read({ agentId: "stranger", channels }), refused(reason));
    assert.deepEqual(traces(bus), before);
  });
});
