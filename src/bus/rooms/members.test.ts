import assert from "node:assert/strict";
import { describe, it } from "vitest";
import { createBackend, openNode, textRecord } from "../../../test/support/registry-fixture.ts";
import { waitUntil } from "../../../test/support/wait.ts";
import { isBusError, type Reason } from "../../core/errors.ts";
import { type ChannelName, channelName, inboxOf } from "../../core/names.ts";
import type { RoutingConfig } from "../../core/room.ts";
import type { ChannelView, NewChannel, NewRoom } from "../directory/registry.ts";

const explore = channelName("science", "explore");
const refused = (reason: Reason) => (error: unknown) => isBusError(error, reason);
const _room = (part: Partial<NewRoom> = {}): NewRoom => ({
  room: "science",
  description: "",
  metadata: {},
  defaults: {},
  ...part,
});
const channel = (part: Partial<NewChannel> = {}): NewChannel => ({
  name: explore,
  description: "",
  metadata: {},
  config: {},
  ...part,
});
const routing = (part: Partial<RoutingConfig>): RoutingConfig => ({
  strategy: "BROADCAST",
  allowSenderRecipients: true,
  recipients: undefined,
  capabilities: [],
  limit: 0,
  custom: "",
  ...part,
});
const append = (view: ChannelView, text: string) =>
  view.log.append({
    name: view.name,
    incarnation: view.incarnation,
    version: view.version,
    dedupWindowMs: 1_000,
    records: [textRecord(text)],
  });

describe("members", () => {
  // The node that had not heard of the leaving said "is a member already", and the agent was none.
  it("who left on another node and joins again on one that has not heard of it is a member", async () => {
    const backend = createBackend("shared");
    const [a, b] = [await openNode(backend), await openNode(backend)];
    await a.rooms.createChannel(channel(), true);
    await a.rooms.join("alice", explore);
    await waitUntil(() => b.rooms.channel(explore.key)?.members.has("alice"));
    b.link.deafen();
    await a.rooms.leave("alice", explore);
    assert.ok(b.rooms.channel(explore.key)!.members.has("alice"), "nobody told it");
    assert.equal((await b.rooms.join("alice", explore)).joined, true);
    await waitUntil(() => a.rooms.channel(explore.key)!.members.has("alice"));
    assert.equal((await b.rooms.join("alice", explore)).joined, false);
  });

  it("S3-E.1: a full channel refuses with CHANNEL_FULL and its members stay, however many come at once", async () => {
    const { rooms } = await openNode();
    await rooms.createChannel(channel({ config: { maxMembers: 3 } }), true);
    const ids = Array.from({ length: 10 }, (_, i) => `agent-${i}`);
    const outcomes = await Promise.allSettled(ids.map((id) => rooms.join(id, explore)));
    const members = rooms.channel(explore.key)!.members;
    assert.equal(members.size, 3);
    for (const [at, outcome] of outcomes.entries()) {
      if (outcome.status === "fulfilled") assert.ok(members.has(ids[at]!));
      else assert.ok(refused("CHANNEL_FULL")(outcome.reason), String(outcome.reason));
    }
    const [member] = members;
    assert.deepEqual((await rooms.join(member!, explore)).joined, false, "a member may join again");
    assert.equal(await rooms.leave(member!, explore), true);
    assert.equal((await rooms.join("late", explore)).joined, true);
  });

  it("S3-E.1: two nodes never both give away the last place", async () => {
    const backend = createBackend("shared");
    const [a, b] = [await openNode(backend), await openNode(backend)];
    await a.rooms.createChannel(channel({ config: { maxMembers: 5 } }), true);
    await waitUntil(() => b.rooms.channel(explore.key));
    const joins = Array.from({ length: 20 }, (_, i) => (i % 2 ? a : b).rooms.join(`agent-${i}`, explore));
    const outcomes = await Promise.allSettled(joins);
    assert.equal(outcomes.filter((outcome) => outcome.status === "fulfilled").length, 5);
    assert.equal(await backend.storage.directory.count("member", explore.key), 5);
  });

  it("join twice and leave twice without harm, are listed by id, and outlive a restart", async () => {
    const backend = createBackend("durable");
    const { rooms } = await openNode(backend);
    const told: string[] = [];
    rooms.onMember(({ joined, agentId }) => told.push(`${agentId} ${joined}`));
    for (const id of ["bob", "alice", "alice", "carol"]) await rooms.join(id, explore);
    assert.deepEqual([await rooms.leave("carol", explore), await rooms.leave("carol", explore)], [true, false]);
    assert.deepEqual(told, ["bob true", "alice true", "carol true", "carol false"]);
    assert.deepEqual(
      (await rooms.listMembers(explore, "", 10)).map((member) => member.agentId),
      ["alice", "bob"],
    );
    assert.deepEqual(
      (await rooms.listMembers(explore, "alice", 10)).map((member) => member.agentId),
      ["bob"],
    );
    await assert.rejects(rooms.leave("bob", channelName("science", "none")), refused("CHANNEL_NOT_FOUND"));

    const again = await openNode(backend);
    assert.deepEqual([...again.rooms.channel(explore.key)!.members].sort(), ["alice", "bob"]);
    assert.deepEqual(
      again.rooms.joinedBy("bob").map((view) => view.name.key),
      [explore.key],
    );
    assert.equal(again.agents.state("bob"), "OFFLINE", "presence does not outlive it");
  });
});

describe("finding", () => {
  const keys = (views: readonly ChannelView[]) => views.map((view) => view.name.key);

  it("S3-K.3: by pattern, inboxes never", async () => {
    const { rooms, agents } = await openNode();
    await agents.ensure("alice");
    await rooms.ensureInbox("alice");
    for (const key of ["science:explore", "science:general", "science.lab:general", "sciences:x", "chat:general"]) {
      const [roomName, name] = key.split(":") as [string, string];
      await rooms.ensureChannel(channelName(roomName, name));
    }
    assert.deepEqual(keys(rooms.matching("science:*")), ["science:explore", "science:general"]);
    assert.deepEqual(keys(rooms.matching("science.*:general")), ["science.lab:general"]);
    assert.deepEqual(keys(rooms.matching("**:general")), ["chat:general", "science.lab:general", "science:general"]);
    assert.equal(rooms.matching("**").length, 5);
    assert.throws(() => rooms.matching("_inbox:*"), refused("BAD_NAME"));
    assert.deepEqual(
      rooms.listRooms({ pattern: "science.*", after: "", limit: 9 }).map((view) => view.record.room),
      ["science.lab"],
    );
    assert.deepEqual(
      rooms.listRooms({ pattern: "", after: "science", limit: 1 }).map((view) => view.record.room),
      ["science.lab"],
    );
    assert.deepEqual(keys(rooms.listChannels({ room: "science", pattern: "", after: "science:explore", limit: 9 })), [
      "science:general",
    ]);
    assert.deepEqual(keys(rooms.listChannels({ room: "science", pattern: "**:explore", after: "", limit: 9 })), [
      "science:explore",
    ]);
  });

  it("an inbox is made for agents that exist, routed to its agent alone", async () => {
    const { rooms, agents } = await openNode();
    assert.throws(() => rooms.ensureInbox("alice"), refused("AGENT_NOT_FOUND"));
    await agents.ensure("alice");
    const inbox = await rooms.ensureInbox("alice");
    assert.equal(inbox.name.key, "_inbox:alice");
    assert.equal(rooms.ensureInbox("alice"), inbox);
    assert.equal(rooms.ensureChannel(inboxOf("alice")), inbox);
    assert.deepEqual(inbox.config.routing.recipients?.agents, ["alice"]);
    assert.deepEqual({ ...rooms.counts }, { rooms: 0, channels: 0 });
    await assert.rejects(rooms.join("bob", inboxOf("alice")), refused("RESERVED_NAME"));
  });
});

describe("two nodes", () => {
  const node = () => openNode(createBackend("shared"));

  it("find at once what the other one created, and follow what it changes and deletes", async () => {
    const a = await node();
    const b = await openNode(a.backend, { autoCreateChannels: false });
    const created = await a.rooms.ensureChannel(explore);
    assert.equal(
      (await b.rooms.ensureChannel(explore)).incarnation,
      created.incarnation,
      "though its ring may still be on its way",
    );
    await a.rooms.updateChannel(explore, { config: { routing: routing({ strategy: "ROUND_ROBIN" }) } });
    await waitUntil(() => b.rooms.channel(explore.key)?.config.routing.strategy === "ROUND_ROBIN");
    assert.equal(b.rooms.channel(explore.key)?.version, a.rooms.channel(explore.key)?.version);
    await a.rooms.join("alice", explore);
    await waitUntil(() => b.rooms.channel(explore.key)?.members.has("alice"));
    await a.rooms.deleteRoom("science", true);
    await waitUntil(() => b.rooms.counts.rooms === 0 && b.rooms.channel(explore.key) === undefined);
  });

  it("that create the same channel at the same time get the same one", async () => {
    const a = await node();
    const b = await openNode(a.backend);
    const names: ChannelName[] = Array.from({ length: 10 }, (_, i) => channelName("r", `c${i}`));
    const pairs = await Promise.all(
      names.map(async (name) => [await a.rooms.ensureChannel(name), await b.rooms.ensureChannel(name)] as const),
    );
    const raced = await Promise.all(
      names.map(async (_, i) => {
        const name = channelName("r", `raced${i}`);
        return Promise.all([a.rooms.ensureChannel(name), b.rooms.ensureChannel(name)]);
      }),
    );
    for (const [left, right] of [...pairs, ...raced]) assert.equal(left.incarnation, right.incarnation);
  });

  it("reload tells a node whose view is old what became of the channel", async () => {
    const a = await node();
    const b = await openNode(a.backend);
    await a.rooms.ensureChannel(explore);
    const old = await b.rooms.ensureChannel(explore);
    await a.rooms.deleteChannel(explore);
    assert.equal(await b.rooms.reload(explore), undefined);
    await a.rooms.ensureChannel(explore);
    const fresh = await b.rooms.reload(explore);
    assert.notEqual(fresh?.incarnation, old.incarnation);
    assert.equal((await append(fresh!, "x")).kind, "appended");
  });
});
