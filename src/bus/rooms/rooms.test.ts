import assert from "node:assert/strict";
import { describe, it } from "vitest";
import { createBackend, openNode, textRecord } from "../../../test/support/registry-fixture.ts";
import { isBusError, type Reason } from "../../core/errors.ts";
import { channelName, inboxOf } from "../../core/names.ts";
import type { Durability, RoutingConfig } from "../../core/room.ts";
import type { ChannelView, NewChannel, NewRoom, RoomChange } from "../directory/registry.ts";

const explore = channelName("science", "explore");
const refused = (reason: Reason) => (error: unknown) => isBusError(error, reason);
const room = (part: Partial<NewRoom> = {}): NewRoom => ({
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

describe("rooms and channels on demand", () => {
  it("S3-K.3 S3-K.4: come to be when they are used, once, with the server's defaults", async () => {
    const { rooms } = await openNode();
    const [a, b] = await Promise.all([rooms.ensureChannel(explore), rooms.ensureChannel(explore)]);
    assert.equal(a, b);
    assert.equal(rooms.ensureChannel(explore), a, "no promise when nothing is to do");
    assert.equal(a.config.routing.strategy, "BROADCAST");
    assert.deepEqual({ ...rooms.counts }, { rooms: 1, channels: 1 });
    assert.equal((await append(a, "x")).kind, "appended");
  });

  it("S3-K.3: are refused where the configuration does not allow them", async () => {
    const closed = await openNode(undefined, { autoCreateRooms: false });
    await assert.rejects(async () => closed.rooms.ensureChannel(explore), refused("ROOM_NOT_FOUND"));
    await closed.rooms.createRoom(room());
    await closed.rooms.ensureChannel(explore);

    const fixed = await openNode(undefined, { autoCreateChannels: false });
    await assert.rejects(async () => fixed.rooms.ensureChannel(explore), refused("CHANNEL_NOT_FOUND"));
    assert.equal(fixed.rooms.counts.rooms, 0, "nothing was left behind");
    await fixed.rooms.createRoom(room({ autoCreateChannels: true }));
    await fixed.rooms.ensureChannel(explore);
  });

  it("never take reserved or malformed names", async () => {
    const { rooms } = await openNode();
    await assert.rejects(async () => rooms.ensureChannel(channelName("_x", "y")), refused("RESERVED_NAME"));
    await assert.rejects(async () => rooms.ensureChannel(channelName("x", "_y")), refused("RESERVED_NAME"));
    await assert.rejects(async () => rooms.ensureChannel(channelName("x", "a b")), refused("BAD_NAME"));
    await assert.rejects(rooms.createRoom(room({ room: "_inbox" })), refused("RESERVED_NAME"));
    await assert.rejects(rooms.deleteChannel(inboxOf("alice")), refused("RESERVED_NAME"));
    assert.deepEqual({ ...rooms.counts }, { rooms: 0, channels: 0 });
  });

  it("stop at limits.rooms and limits.channels, also when they come all at once", async () => {
    const { rooms } = await openNode(undefined, { limits: { rooms: 3, channels: 10 } });
    const names = Array.from({ length: 24 }, (_, i) => channelName(`r${i % 4}`, `c${i}`));
    const outcomes = await Promise.allSettled(names.map(async (name) => rooms.ensureChannel(name)));
    const failed = outcomes.filter((outcome) => outcome.status === "rejected");
    assert.deepEqual({ ...rooms.counts }, { rooms: 3, channels: 10 }, "every place is taken, and none twice");
    assert.equal(failed.length, 14);
    for (const { reason } of failed)
      assert.ok(isBusError(reason, "TOO_MANY") && /limits\.(rooms|channels)/.test(reason.message));
  });
});

describe("creating", () => {
  it("the same again is OK, another configuration is ALREADY_EXISTS", async () => {
    const { rooms } = await openNode();
    const wanted = room({ metadata: { a: "1", b: "2" }, defaults: { maxMembers: 5 } });
    assert.equal((await rooms.createRoom(wanted)).created, true);
    assert.equal((await rooms.createRoom({ ...wanted, metadata: { b: "2", a: "1" } })).created, false);
    await assert.rejects(rooms.createRoom(room()), refused("ROOM_EXISTS"));

    assert.equal((await rooms.createChannel(channel({ description: "d" }), false)).created, true);
    assert.equal((await rooms.createChannel(channel({ description: "d" }), false)).created, false);
    await assert.rejects(rooms.createChannel(channel({ config: { maxMembers: 1 } }), false), refused("CHANNEL_EXISTS"));
  });

  it("a channel wants its room, or is told to create it", async () => {
    const { rooms } = await openNode();
    await assert.rejects(rooms.createChannel(channel(), false), refused("ROOM_NOT_FOUND"));
    await rooms.createChannel(channel(), true);
    assert.equal(rooms.room("science")?.channelCount, 1);
  });

  it("S0-2.1.1: a channel's configuration is its own over its room's over the server's", async () => {
    const { rooms } = await openNode(undefined, { limits: { maxMembers: 50 } });
    await rooms.createRoom(room({ defaults: { maxMembers: 7, retention: { maxMessages: 10, maxBytes: 1_000 } } }));
    const { channel: view } = await rooms.createChannel(channel({ config: { retention: { maxMessages: 3 } } }), false);
    assert.deepEqual(view.config.retention, { maxAgeMs: 604_800_000, maxMessages: 3, maxBytes: 1_000 });
    assert.equal(view.config.maxMembers, 7);
    const { channel: big } = await rooms.createChannel(
      channel({ name: channelName("science", "big"), config: { maxMembers: 1_000 } }),
      false,
    );
    assert.equal(big.config.maxMembers, 50, "the server's limit holds");
  });

  it("refuses routing that cannot work, and stores nothing", async () => {
    const { rooms } = await openNode();
    const custom = { routing: routing({ strategy: "CUSTOM", custom: "nope" }) };
    await assert.rejects(rooms.createRoom(room({ defaults: custom })), refused("UNKNOWN_STRATEGY"));
    await assert.rejects(
      rooms.createChannel(channel({ config: { routing: routing({ strategy: "SUBGROUP" }) } }), true),
      refused("INVALID_FIELD"),
    );
    assert.deepEqual({ ...rooms.counts }, { rooms: 0, channels: 0 });
  });

  it("a server set to less keeps the channels it has, and takes no new ones that ask for more", async () => {
    const backend = createBackend("durable");
    let durability: Durability = "SYNCED";
    const lowered = {
      ...backend,
      capabilities: {
        ...backend.capabilities,
        get durability() {
          return durability;
        },
      },
    };
    const synced = { durability: "SYNCED" } as const;
    const { rooms } = await openNode(lowered);
    await rooms.createChannel(channel({ config: synced }), true);
    durability = "STORED";
    await rooms.updateRoom("science", { description: "all its channels are looked at again" });
    assert.equal(rooms.channel(explore.key)!.log, backend.storage.log);
    const another = channel({ name: channelName("science", "another"), config: synced });
    await assert.rejects(rooms.createChannel(another, false), refused("DURABILITY_UNAVAILABLE"));
    const again = await openNode(lowered);
    assert.equal(again.rooms.channel(explore.key)!.log, backend.storage.log);
  });

  it("what the storage cannot reach is DURABILITY_UNAVAILABLE; what it can decides the default and the log", async () => {
    const memory = await openNode();
    await assert.rejects(
      memory.rooms.createChannel(channel({ config: { durability: "STORED" } }), true),
      refused("DURABILITY_UNAVAILABLE"),
    );
    assert.equal((await memory.rooms.ensureChannel(explore)).config.durability, "VOLATILE");

    const backend = createBackend("durable");
    const { rooms } = await openNode(backend);
    const stored = await rooms.ensureChannel(explore);
    assert.equal(stored.config.durability, "STORED");
    assert.equal(stored.log, backend.storage.log);
    const { channel: fleeting } = await rooms.createChannel(
      channel({ name: channelName("science", "x"), config: { durability: "VOLATILE" } }),
      false,
    );
    assert.notEqual(fleeting.log, backend.storage.log);
    await rooms.createRoom(room({ room: "chat", defaults: { durability: "VOLATILE" } }));
    assert.equal((await rooms.ensureChannel(channelName("chat", "y"))).config.durability, "VOLATILE");
    await assert.rejects(
      openNode(createBackend(), { channelDefaults: { ...stored.config, durability: "SYNCED" } }),
      refused("DURABILITY_UNAVAILABLE"),
    );
  });

  it("heals a channel whose log was never made: the crash came between record and log", async () => {
    const backend = createBackend("durable");
    const first = await openNode(backend);
    const view = await first.rooms.ensureChannel(explore);
    await backend.storage.log.delete(explore, view.incarnation);
    const { rooms } = await openNode(backend);
    const healed = await rooms.ensureChannel(explore);
    assert.equal(healed.incarnation, view.incarnation);
    assert.equal((await append(healed, "x")).kind, "appended");
    await backend.storage.log.delete(explore, view.incarnation);
    assert.equal((await append((await rooms.reload(explore))!, "y")).kind, "appended");
  });

  it("channels of a log that forgets have one after a restart", async () => {
    const backend = createBackend("durable");
    await (await openNode(backend)).rooms.createChannel(channel({ config: { durability: "VOLATILE" } }), true);
    const { rooms } = await openNode(backend);
    assert.ok(await rooms.channel(explore.key)!.log.state(explore));
  });
});

describe("changing", () => {
  it("S0-3.2.2: a channel's routing changes at a sequence that the answer states", async () => {
    const { rooms } = await openNode();
    const before = await rooms.ensureChannel(explore);
    await append(before, "1");
    await append(before, "2");
    const {
      channel: after,
      sequence,
      epoch,
    } = await rooms.updateChannel(explore, { config: { routing: routing({ strategy: "ROUND_ROBIN" }) } });
    assert.equal(sequence, 2);
    assert.equal(epoch, (await after.log.state(explore))?.links[0]?.epoch);
    assert.ok(after.version > before.version && after.strategy !== before.strategy);
    assert.equal((await append(before, "3")).kind, "stale", "nothing is stored as it was routed before");
    assert.equal((await append(after, "3")).kind, "appended");
    const again = await rooms.updateChannel(explore, { config: { routing: routing({ strategy: "ROUND_ROBIN" }) } });
    assert.deepEqual([again.sequence, again.channel.version], [2, after.version], "the same again changes nothing");
  });

  it("S0-3.2.2: a room's routing changes for those of its channels that have none of their own", async () => {
    const { rooms } = await openNode();
    const plain = await rooms.ensureChannel(explore);
    const own = channelName("science", "own");
    await rooms.createChannel(
      channel({ name: own, config: { routing: routing({ allowSenderRecipients: false }) } }),
      false,
    );
    await append(plain, "1");
    const { effective, room: view } = await rooms.updateRoom("science", {
      defaults: { routing: routing({ strategy: "CAPABILITY" }) },
    });
    assert.deepEqual(
      effective.map(({ key, sequence }) => [key, sequence]),
      [[explore.key, 1]],
    );
    assert.equal(view.version, 2);
    assert.equal((await append(plain, "2")).kind, "stale");
    assert.equal(rooms.channel(explore.key)?.config.routing.strategy, "CAPABILITY");
    assert.equal(rooms.channel(own.key)?.config.routing.strategy, "BROADCAST");
  });

  it("keeps a strategy, and whose turn it is, when something else changes", async () => {
    const { rooms } = await openNode();
    const { strategy } = await rooms.ensureChannel(explore);
    const { channel: described } = await rooms.updateChannel(explore, {
      description: "new",
      config: { maxMembers: 3 },
    });
    assert.equal(described.strategy, strategy);
    await rooms.updateRoom("science", { description: "new" });
    assert.equal(rooms.channel(explore.key)?.strategy, strategy);
  });

  it("null takes a part back to what the room or the server says", async () => {
    const { rooms } = await openNode();
    await rooms.createRoom(room({ autoCreateChannels: false, defaults: { maxMembers: 4 } }));
    await rooms.createChannel(channel({ config: { maxMembers: 2 } }), false);
    assert.equal((await rooms.updateChannel(explore, { config: { maxMembers: null } })).channel.config.maxMembers, 4);
    const { room: view } = await rooms.updateRoom("science", {
      defaults: { maxMembers: null },
      autoCreateChannels: null,
    });
    assert.deepEqual([view.record.defaults, view.record.autoCreateChannels], [{}, undefined]);
    assert.equal(rooms.channel(explore.key)?.config.maxMembers, 10_000);
  });

  it("durability is fixed at creation, whatever becomes of the defaults", async () => {
    const { rooms } = await openNode(createBackend("durable"));
    await rooms.ensureChannel(explore);
    await assert.rejects(rooms.updateChannel(explore, { config: { durability: "VOLATILE" } }), refused("IMMUTABLE"));
    await rooms.updateChannel(explore, { config: { durability: "STORED" } });
    await rooms.updateRoom("science", { defaults: { durability: "VOLATILE" } });
    assert.equal(rooms.channel(explore.key)?.config.durability, "STORED");
    assert.equal((await rooms.ensureChannel(channelName("science", "later"))).config.durability, "VOLATILE");
  });

  it("what is not there is not found", async () => {
    const { rooms } = await openNode();
    await assert.rejects(rooms.updateRoom("science", {}), refused("ROOM_NOT_FOUND"));
    await assert.rejects(rooms.updateChannel(explore, {}), refused("CHANNEL_NOT_FOUND"));
    await assert.rejects(rooms.deleteRoom("science", true), refused("ROOM_NOT_FOUND"));
    await assert.rejects(rooms.deleteChannel(explore), refused("CHANNEL_NOT_FOUND"));
  });
});

describe("deleting", () => {
  it("a room with channels wants force, which takes channels, members and messages", async () => {
    const backend = createBackend("durable");
    const { rooms } = await openNode(backend);
    await rooms.join("alice", explore);
    await append(rooms.channel(explore.key)!, "x");
    await assert.rejects(rooms.deleteRoom("science", false), refused("ROOM_NOT_EMPTY"));
    assert.equal(rooms.counts.channels, 1);
    await rooms.deleteRoom("science", true);
    assert.deepEqual({ ...rooms.counts }, { rooms: 0, channels: 0 });
    assert.deepEqual(rooms.joinedBy("alice"), []);
    assert.equal(await backend.storage.log.state(explore), undefined);
    assert.equal(await backend.storage.directory.count("member", explore.key), 0);
  });

  it("a channel created again under its name is another one", async () => {
    const { rooms } = await openNode();
    const first = await rooms.ensureChannel(explore);
    await append(first, "x");
    await rooms.deleteChannel(explore);
    assert.equal(rooms.channel(explore.key), undefined);
    const second = await rooms.ensureChannel(explore);
    assert.notEqual(second.incarnation, first.incarnation);
    assert.equal((await append(first, "y")).kind, "gone");
    assert.deepEqual([(await second.log.state(explore))?.head, second.members.size], [0, 0]);
  });

  it("never leaves a channel in a room that is gone, whoever comes first", async () => {
    const { rooms } = await openNode();
    for (let round = 0; round < 20; round++) {
      await rooms.ensureChannel(explore);
      await Promise.allSettled([
        rooms.deleteRoom("science", true),
        Promise.resolve(rooms.ensureChannel(channelName("science", `c${round}`))),
        rooms.createChannel(channel({ name: channelName("science", "other") }), false),
      ]);
      if (rooms.room("science") === undefined) assert.equal(rooms.counts.channels, 0);
    }
  });

  it("S3-FR-002: tells what happens, in order, to those who watch", async () => {
    const { rooms } = await openNode();
    const changes: string[] = [];
    const events: string[] = [];
    rooms.onChange(({ kind, channel, agentId }: RoomChange) => changes.push(`${kind} ${channel} ${agentId}`.trim()));
    rooms.onChannel(({ kind, channel }) => events.push(`${kind} ${channel.name.key}`));
    await rooms.join("alice", explore);
    await rooms.updateChannel(explore, { description: "x" });
    await rooms.updateRoom("science", { description: "y" });
    await rooms.leave("alice", explore);
    await rooms.deleteRoom("science", true);
    assert.deepEqual(changes, [
      "CHANNEL_CREATED explore",
      "MEMBER_JOINED explore alice",
      "CHANNEL_UPDATED explore",
      "ROOM_UPDATED",
      "MEMBER_LEFT explore alice",
      "CHANNEL_DELETED explore",
      "ROOM_DELETED",
    ]);
    assert.deepEqual(
      events,
      ["created", "updated", "deleted"].map((kind) => `${kind} ${explore.key}`),
    );
  });
});
