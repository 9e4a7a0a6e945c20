import assert from "node:assert/strict";
import { describe, it } from "vitest";
import { createBackend, openNode, textRecord } from "../../../test/support/registry-fixture.ts";
import { waitUntil } from "../../../test/support/wait.ts";
import { type AgentProfile, EMPTY_PROFILE } from "../../core/agent.ts";
import { isBusError, type Reason } from "../../core/errors.ts";
import type { Selection } from "../../core/message.ts";
import { channelName, inboxOf } from "../../core/names.ts";
import type { AgentEvent, AgentQuery } from "../directory/registry.ts";

const refused = (reason: Reason) => (error: unknown) => isBusError(error, reason);
const profile = (part: Partial<AgentProfile> = {}): AgentProfile => ({ ...EMPTY_PROFILE, ...part });
const able = (...names: string[]) => names.map((name) => ({ name, description: "", inputSchema: "" }));
const select = (part: Partial<Selection>): Selection => ({
  kinds: [],
  labels: {},
  capabilities: [],
  limit: 0,
  ...part,
});
const query = (part: Partial<AgentQuery>): AgentQuery => ({
  kinds: [],
  states: [],
  group: "",
  capabilities: [],
  labels: {},
  after: "",
  limit: 100,
  ...part,
});

describe("agents", () => {
  it("S3-FR-008 S3-K.2: are registered with their profile, changed in parts and found again after a restart", async () => {
    const backend = createBackend("durable");
    const { agents, clock } = await openNode(backend);
    const full = profile({
      kind: "HUMAN",
      screenName: "Alice",
      avatar: "http://a",
      personality: "calm",
      clientId: "c1",
      groups: ["team"],
    });
    const { agent, created } = await agents.register("alice", full);
    assert.equal(created, true);
    assert.deepEqual([agent.record.screenName, agent.record.createdAtMs, agent.version], ["Alice", clock.now(), 1]);
    assert.equal((await agents.register("alice", full)).agent.version, 1, "the same again changes nothing");
    assert.equal((await agents.update("alice", { personality: "brisk" })).version, 2);
    await assert.rejects(agents.update("zoe", {}), refused("AGENT_NOT_FOUND"));

    const again = await openNode(backend);
    assert.deepEqual([again.agents.get("alice")?.record.personality, again.agents.get("alice")?.version], ["brisk", 2]);
    assert.deepEqual(again.agents.inGroup("team"), ["alice"]);
  });

  it("are registered implicitly by use, once, and properly later", async () => {
    const { agents } = await openNode();
    const events: string[] = [];
    agents.onChange(({ kind, agent }: AgentEvent) =>
      events.push(`${kind} ${agent.record.agentId} ${agent.record.implicit}`),
    );
    const [a, b] = await Promise.all([agents.ensure("bob"), agents.ensure("bob")]);
    assert.equal(a, b);
    assert.equal(agents.ensure("bob"), a, "no promise when nothing is to do");
    assert.deepEqual([a.record.implicit, a.record.kind], [true, "SERVICE"]);
    assert.equal((await agents.register("bob", profile({ kind: "AI_AGENT" }))).created, true);
    assert.equal((await agents.register("bob", profile({ kind: "SERVICE" }))).created, false);
    assert.deepEqual(events, ["CREATED bob true", "UPDATED bob false", "UPDATED bob false"]);
  });

  it("are refused with bad or reserved ids, and unknown ones where every agent must be registered", async () => {
    const { agents } = await openNode(undefined, { implicitAgents: false });
    await assert.rejects(agents.register("a b", profile()), refused("BAD_NAME"));
    await assert.rejects(agents.register("_bus", profile()), refused("RESERVED_NAME"));
    await assert.rejects(async () => agents.ensure("bob"), refused("AGENT_NOT_FOUND"));
    await assert.rejects(async () => agents.ensure("_bus"), refused("RESERVED_NAME"));
    assert.throws(() => agents.heartbeat("bob", undefined), refused("AGENT_NOT_FOUND"));
    assert.throws(() => agents.openStream("bob", () => {}), refused("AGENT_NOT_FOUND"));
    agents.touch("bob");
    assert.deepEqual({ ...agents.counts }, { agents: 0, online: 0 });
  });

  it("stop at limits.implicitAgents and limits.agents, also when they come all at once", async () => {
    const { agents } = await openNode(undefined, { limits: { implicitAgents: 3, agents: 5 } });
    const ids = Array.from({ length: 10 }, (_, i) => `a${i}`);
    const used = await Promise.allSettled(ids.map(async (id) => agents.ensure(id)));
    assert.equal(used.filter((outcome) => outcome.status === "fulfilled").length, 3);
    const registered = await Promise.allSettled(ids.map((id) => agents.register(id, profile())));
    assert.equal(agents.counts.agents, 5);
    for (const outcome of [...used, ...registered]) {
      if (outcome.status === "rejected") assert.ok(refused("TOO_MANY")(outcome.reason), String(outcome.reason));
    }
  });

  it("S0-2.1.3b: are found by group, kind, labels and capabilities, and no longer when those change", async () => {
    const { agents } = await openNode();
    await agents.register(
      "a",
      profile({ kind: "AI_AGENT", groups: ["g"], capabilities: able("x"), labels: { t: "1" } }),
    );
    await agents.register(
      "b",
      profile({ kind: "AI_AGENT", groups: ["g", "h"], capabilities: able("x", "y"), labels: { t: "2" } }),
    );
    await agents.register("c", profile({ kind: "HUMAN", capabilities: able("y") }));
    assert.deepEqual(agents.inGroup("g"), ["a", "b"]);
    assert.deepEqual(agents.inGroup("none"), []);
    assert.deepEqual(agents.fitting(select({ capabilities: ["x", "y"] })), ["b"]);
    assert.deepEqual(agents.fitting(select({ kinds: ["AI_AGENT"] })), ["a", "b"]);
    assert.deepEqual(agents.fitting(select({ labels: { t: "1" } })), ["a"]);
    assert.deepEqual(agents.fitting(select({ labels: { constructor: "x" } })), []);
    assert.deepEqual(agents.fitting(select({ capabilities: ["none"] })), []);
    await agents.update("a", { groups: [], capabilities: able("y") });
    assert.deepEqual(agents.inGroup("g"), ["b"]);
    assert.deepEqual(agents.fitting(select({ capabilities: ["y"] })), ["a", "b", "c"]);
    await agents.delete("b");
    assert.deepEqual([agents.inGroup("g"), agents.inGroup("h"), agents.exists("b")], [[], [], false]);
  });

  it("are listed by id, page by page, by what they are and whether they are here", async () => {
    const { agents } = await openNode();
    for (const id of ["c", "a", "d", "b"])
      await agents.register(id, profile({ groups: id < "c" ? ["g"] : [], labels: { id } }));
    agents.openStream("b", () => {});
    const ids = (part: Partial<AgentQuery>) => agents.list(query(part)).map((agent) => agent.record.agentId);
    assert.deepEqual(ids({ limit: 2 }), ["a", "b"]);
    assert.deepEqual(ids({ limit: 2, after: "b" }), ["c", "d"]);
    assert.deepEqual(ids({ after: "aa" }), ["b", "c", "d"]);
    assert.deepEqual(ids({ states: ["ONLINE"] }), ["b"]);
    assert.deepEqual(ids({ group: "g", states: ["OFFLINE", "AWAY"] }), ["a"]);
    assert.deepEqual(ids({ labels: { id: "d" } }), ["d"]);
    assert.deepEqual(ids({ kinds: ["HUMAN"] }), []);
  });

  it("that are deleted lose streams, memberships and inbox, and are told as DELETED", async () => {
    const { agents, rooms } = await openNode();
    await agents.ensure("bob");
    await rooms.ensureInbox("bob");
    await rooms.join("bob", channelName("science", "explore"));
    const events: string[] = [];
    let ended = 0;
    agents.openStream("bob", () => ended++);
    agents.onChange(({ kind }) => events.push(kind));
    await agents.delete("bob");
    assert.deepEqual([ended, events, agents.state("bob")], [1, ["DELETED"], "OFFLINE"]);
    assert.deepEqual([rooms.joinedBy("bob"), rooms.channel(inboxOf("bob").key)], [[], undefined]);
    await assert.rejects(agents.delete("bob"), refused("AGENT_NOT_FOUND"));
  });

  it("S3-FR-008: when they came and what they did last is known, and written down for the next start", async () => {
    const backend = createBackend("durable");
    const node = await openNode(backend);
    const { agents, clock } = node;
    await agents.register("alice", profile());
    assert.equal(agents.connectedAtMs("alice"), 0);
    clock.advance(1_000);
    const connectedAt = clock.now();
    agents.openStream("alice", () => {});
    clock.advance(1_000);
    agents.touch("alice");
    const touchedAt = clock.now();
    assert.deepEqual([agents.connectedAtMs("alice"), agents.lastActivityAtMs("alice")], [connectedAt, touchedAt]);
    await node.close();
    assert.equal(clock.pending, 0, "every timer is stopped");
    const again = await openNode(backend);
    assert.deepEqual(
      [again.agents.connectedAtMs("alice"), again.agents.lastActivityAtMs("alice")],
      [connectedAt, touchedAt],
    );
    assert.equal(again.agents.get("alice")?.version, 1, "the profile did not change");
  });

  it("of another node are known at once when they are used here, and end their streams here when deleted there", async () => {
    const backend = createBackend("shared");
    const a = await openNode(backend);
    const b = await openNode(backend, { implicitAgents: false });
    await a.agents.register("alice", profile());
    assert.equal((await b.agents.ensure("alice")).record.agentId, "alice");
    let ended = 0;
    b.agents.openStream("alice", () => ended++);
    await a.agents.delete("alice");
    await waitUntil(() => ended === 1 && b.agents.get("alice") === undefined);
  });
});

describe("what the janitor looks after", () => {
  const IDLE = 60_000;
  const options = { implicitIdleMs: IDLE, cleanupIntervalMs: 10_000 };

  it("agents that were only used are forgotten when idle, offline and without mail", async () => {
    const node = await openNode(undefined, options);
    const { agents, rooms, clock } = node;
    for (const id of ["idle", "busy", "here", "mail"]) await agents.ensure(id);
    await agents.register("registered", profile());
    await rooms.join("idle", channelName("science", "explore"));
    agents.openStream("here", () => {});
    const inbox = await rooms.ensureInbox("mail");
    await inbox.log.append({
      name: inbox.name,
      incarnation: inbox.incarnation,
      version: inbox.version,
      dedupWindowMs: 1_000,
      records: [textRecord("hello")],
    });
    await rooms.ensureInbox("idle");
    const forgotten: string[] = [];
    agents.onChange(({ kind, agent }) => kind === "DELETED" && forgotten.push(agent.record.agentId));
    clock.advance(IDLE - 1);
    agents.touch("busy");
    await node.cleanUp();
    assert.equal(agents.counts.agents, 5);
    clock.advance(2);
    await node.cleanUp();
    const left = agents.list(query({})).map((agent) => agent.record.agentId);
    assert.deepEqual([left, forgotten], [["busy", "here", "mail", "registered"], ["idle"]]);
    assert.deepEqual([rooms.joinedBy("idle"), rooms.channel(inboxOf("idle").key)], [[], undefined]);
  });

  it("a message that comes in while an agent is being forgotten brings it back, with the message", async () => {
    const node = await openNode(undefined, options);
    const { agents, rooms, clock } = node;
    await agents.ensure("late");
    const { name, incarnation, version, log } = await rooms.ensureInbox("late");
    agents.onChange(({ kind }) => {
      if (kind !== "DELETED") return;
      void log.append({ name, incarnation, version, dedupWindowMs: 1_000, records: [textRecord("hello")] });
    });
    clock.advance(2 * IDLE);
    await node.cleanUp();
    assert.equal(agents.get("late")?.record.implicit, true);
    assert.equal((await rooms.channel(name.key)?.log.state(name))?.head, 1);
  });

  it("a restart does not make a busy agent look idle", async () => {
    const backend = createBackend("durable");
    const node = await openNode(backend, options);
    await node.agents.ensure("busy");
    for (let i = 0; i < 4; i++) {
      node.clock.advance(IDLE / 3);
      node.agents.touch("busy");
      await node.cleanUp();
    }
    const again = await openNode(backend, options); // the first one is killed: nothing is written at its end
    await again.cleanUp();
    assert.ok(again.agents.get("busy"));
  });

  it("memberships and inboxes that a crash left behind go, those of agents that exist stay", async () => {
    const backend = createBackend("durable");
    const first = await openNode(backend);
    for (const id of ["gone", "here"]) {
      await first.agents.ensure(id);
      await first.rooms.ensureInbox(id);
      await first.rooms.join(id, channelName("science", "explore"));
    }
    await backend.storage.directory.delete({ kind: "agent", parent: "", id: "gone" });
    const { rooms, cleanUp } = await openNode(backend);
    await cleanUp();
    assert.deepEqual([rooms.joinedBy("gone"), rooms.channel(inboxOf("gone").key)], [[], undefined]);
    assert.deepEqual([rooms.joinedBy("here").length, rooms.channel(inboxOf("here").key)?.name.channel], [1, "here"]);
  });

  it("retention, of every channel, by its own timer", async () => {
    const { rooms, clock } = await openNode(undefined, options);
    const { channel } = await rooms.createChannel(
      {
        name: channelName("science", "explore"),
        description: "",
        metadata: {},
        config: { retention: { maxMessages: 2 } },
      },
      true,
    );
    const { name, incarnation, version, log } = channel;
    for (const text of ["1", "2", "3"])
      await log.append({ name, incarnation, version, dedupWindowMs: 1, records: [textRecord(text)] });
    clock.advance(options.cleanupIntervalMs);
    await waitUntil(async () => (await log.state(name))?.floor === 2);
    clock.advance(8 * 86_400_000);
    await waitUntil(async () => (await log.state(name))?.floor === 4);
  });
});
