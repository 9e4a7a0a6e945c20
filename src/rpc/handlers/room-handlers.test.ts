import assert from "node:assert/strict";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { describe, it } from "vitest";
import { AgentKind } from "../../../gen/agentbus/v1/agent_pb.ts";
import { RecipientsSchema } from "../../../gen/agentbus/v1/message_pb.ts";
import { Durability, RoutingStrategy } from "../../../gen/agentbus/v1/room_pb.ts";
import { RoomChangeKind, RoomService } from "../../../gen/agentbus/v1/room_service_pb.ts";
import { createBackend, type NodeOptions, openNode, textRecord } from "../../../test/support/registry-fixture.ts";
import { clientOf, openAccess, reasonOf } from "../../../test/support/rpc-fixture.ts";
import { DEFAULT_LIMITS } from "../../core/bus-options.ts";
import type { Reason } from "../../core/errors.ts";
import { createRoomHandlers } from "./room-handlers.ts";

async function open(options: NodeOptions = {}, backend = createBackend()) {
  const node = await openNode(backend, options);
  const limits = { ...DEFAULT_LIMITS, ...options.limits };
  const handlers = createRoomHandlers({ ...node, access: openAccess, limits, subscriptionCount: () => 3 });
  return { ...node, client: clientOf(RoomService, handlers) };
}

const refused = (reason: Reason) => (error: unknown) => {
  assert.equal(reasonOf(error), reason, String(error));
  return true;
};

describe("RoomService", () => {
  it("S3-FR-004: creates, reads, lists and deletes channels", async () => {
    const { client, rooms } = await open();
    const config = {
      routing: {
        strategy: RoutingStrategy.SUBGROUP,
        recipients: { groups: ["team"], select: { kinds: [AgentKind.HUMAN], limit: 2 } },
      },
      retention: { maxAgeDuration: { seconds: 60n }, maxMessages: 5n },
      dedupWindow: { seconds: 30n },
      maxMembers: 7,
    };
    const wanted = { room: "science", channel: "explore", description: "d", metadata: { k: "v" }, config };
    const { channel, created } = await client.createChannel({ channel: wanted, createRoom: true });
    assert.ok(created && channel);
    assert.equal((await client.createChannel({ channel: wanted })).created, false);
    assert.deepEqual([channel.config?.routing?.recipients?.groups, channel.config?.maxMembers], [["team"], 7]);
    assert.equal(channel.config?.retention?.maxBytes, 0n, "unset stays unset");
    assert.equal(channel.effectiveConfig?.retention?.maxBytes, 1_073_741_824n);
    assert.equal(channel.effectiveConfig?.durability, Durability.VOLATILE);
    assert.deepEqual([channel.revision, channel.headSequence, channel.firstSequence], [1n, 0n, 1n]);

    const { name, incarnation, version, log } = rooms.channel("science:explore")!;
    await log.append({ name, incarnation, version, dedupWindowMs: 1, records: [textRecord("x")] });
    const read = (await client.getChannel({ room: "science", channel: "explore" })).channel!;
    assert.deepEqual([read.headSequence, read.firstSequence, read.subscriptionCount], [1n, 1n, 3]);
    assert.match(read.headPosition, /^science:explore@[0-9a-f]{8}\.1$/);
    assert.deepEqual((await client.listChannels({ pattern: "science:*" })).channels, [read]);
    await client.deleteChannel({ room: "science", channel: "explore" });
    await assert.rejects(client.getChannel({ room: "science", channel: "explore" }), refused("CHANNEL_NOT_FOUND"));
  });

  it("S0-2.1.1: creates, reads, lists and deletes rooms with their own policy", async () => {
    const { client } = await open();
    const wanted = {
      room: "lab.science",
      metadata: { a: "b" },
      autoCreateChannels: false,
      defaults: { maxMembers: 3 },
    };
    const { room } = await client.createRoom({ room: wanted });
    assert.deepEqual(
      [room?.autoCreateChannels, room?.defaults?.maxMembers, room?.revision, room?.channelCount],
      [false, 3, 1n, 0],
    );
    assert.deepEqual((await client.getRoom({ room: "lab.science" })).room, room);
    assert.deepEqual((await client.listRooms({ pattern: "lab.*" })).rooms, [room]);
    assert.deepEqual((await client.listRooms({ pattern: "lab" })).rooms, []);
    await client.createChannel({ channel: { room: "lab.science", channel: "x" } });
    await assert.rejects(client.deleteRoom({ room: "lab.science" }), refused("ROOM_NOT_EMPTY"));
    await client.deleteRoom({ room: "lab.science", force: true });
    await assert.rejects(client.getRoom({ room: "lab.science" }), refused("ROOM_NOT_FOUND"));
  });

  it("S0-3.2.2: an update changes exactly what its mask names and says from where on it holds", async () => {
    const { client } = await open();
    const channel = { room: "science", channel: "explore" };
    await client.createChannel({
      channel: { ...channel, description: "old", config: { maxMembers: 3 } },
      createRoom: true,
    });
    const routing = { strategy: RoutingStrategy.ROUND_ROBIN };
    const updated = await client.updateChannel({
      channel: { ...channel, description: "ignored", config: { routing, maxMembers: 9 } },
      updateMask: { paths: ["config.routing"] },
    });
    assert.match(updated.effectivePosition, /^science:explore@[0-9a-f]{8}\.0$/);
    assert.deepEqual([updated.channel?.description, updated.channel?.config?.maxMembers], ["old", 3]);
    assert.equal(updated.channel?.config?.routing?.strategy, RoutingStrategy.ROUND_ROBIN);
    const whole = await client.updateChannel({
      channel: { ...channel, config: {} },
      updateMask: { paths: ["config"] },
    });
    assert.equal(whole.channel?.effectiveConfig?.maxMembers, 10_000, "named but unset: back to the default");
    await assert.rejects(
      client.updateChannel({
        channel: { ...channel, config: { durability: Durability.SYNCED } },
        updateMask: { paths: ["config"] },
      }),
      refused("DURABILITY_UNAVAILABLE"),
    );

    const room = await client.updateRoom({
      room: {
        room: "science",
        defaults: { routing: { strategy: RoutingStrategy.CAPABILITY } },
        autoCreateChannels: true,
      },
      updateMask: { paths: ["defaults.routing", "auto_create_channels"] },
    });
    assert.match(room.effectivePositions[0]!, /^science:explore@[0-9a-f]{8}\.0$/);
    assert.equal(room.room?.autoCreateChannels, true);
  });

  it("a durability that differs from the channel's is IMMUTABLE", async () => {
    const { client } = await open({}, createBackend("durable"));
    const channel = { room: "science", channel: "explore" };
    await client.createChannel({ channel, createRoom: true });
    const update = (durability: Durability) =>
      client.updateChannel({ channel: { ...channel, config: { durability } }, updateMask: { paths: ["config"] } });
    await assert.rejects(update(Durability.VOLATILE), refused("IMMUTABLE"));
    await update(Durability.STORED);
  });

  it("refuses masks, server fields, metadata and numbers that are not as they should be, and stores nothing", async () => {
    const { client, rooms } = await open();
    const channel = { room: "science", channel: "explore" };
    const mask = (...paths: string[]) => client.updateRoom({ room: { room: "science" }, updateMask: { paths } });
    await assert.rejects(mask(), refused("INVALID_FIELD"));
    await assert.rejects(mask("description", "revision"), refused("INVALID_FIELD"));
    await assert.rejects(mask("description"), refused("ROOM_NOT_FOUND"));
    await assert.rejects(client.createRoom({ room: { room: "science", revision: 1n } }), refused("SERVER_FIELD"));
    await assert.rejects(
      client.createChannel({ channel: { ...channel, effectiveConfig: {} }, createRoom: true }),
      refused("SERVER_FIELD"),
    );
    await assert.rejects(
      client.createRoom({ room: { room: "science", metadata: { k: "v".repeat(8_192) } } }),
      refused("INVALID_FIELD"),
    );
    await assert.rejects(
      client.createRoom({ room: { room: "science", metadata: { "": "v" } } }),
      refused("INVALID_FIELD"),
    );
    await assert.rejects(client.createRoom({ room: { room: "_science" } }), refused("INVALID_FIELD"));
    await assert.rejects(client.createRoom({}), refused("INVALID_FIELD"));
    const retention = { maxMessages: 2n ** 60n };
    await assert.rejects(
      client.createChannel({ channel: { ...channel, config: { retention } }, createRoom: true }),
      refused("INVALID_FIELD"),
    );
    await assert.rejects(client.getChannel({ room: "_inbox", channel: "alice" }), refused("RESERVED_NAME"));
    await assert.rejects(client.listMembers({ room: "_inbox", channel: "alice" }), refused("RESERVED_NAME"));
    await assert.rejects(client.listRooms({ pattern: "sci*" }), refused("BAD_NAME"));
    assert.deepEqual({ ...rooms.counts }, { rooms: 0, channels: 0 });
  });

  it("refuses recipients with a field that it does not know: ignoring it could widen who reads", async () => {
    const { client } = await open();
    // Field 9 of Recipients, a varint.
    const recipients = fromBinary(
      RecipientsSchema,
      Uint8Array.of(...toBinary(RecipientsSchema, create(RecipientsSchema, { agents: ["a"] })), 0x48, 1),
    );
    const config = { routing: { strategy: RoutingStrategy.SUBGROUP, recipients } };
    await assert.rejects(
      client.createChannel({ channel: { room: "science", channel: "x", config }, createRoom: true }),
      refused("UNKNOWN_FIELD"),
    );
  });

  it("S3-FR-004: joining and leaving, with the members listed page by page", async () => {
    const { client, agents } = await open();
    const name = { room: "science", channel: "explore" };
    for (const agentId of ["carol", "alice", "bob"]) assert.ok((await client.joinChannel({ ...name, agentId })).joined);
    const again = await client.joinChannel({ ...name, agentId: "bob" });
    assert.deepEqual([again.joined, again.channel?.memberCount], [false, 3]);
    assert.equal(agents.get("bob")?.record.implicit, true);
    const first = await client.listMembers({ ...name, pageSize: 2 });
    const second = await client.listMembers({ ...name, pageSize: 2, pageToken: first.nextPageToken });
    const ids = [first, second].map((page) => page.members.map((member) => member.agentId));
    assert.deepEqual([ids, second.nextPageToken], [[["alice", "bob"], ["carol"]], ""]);
    assert.ok(first.members[0]?.joinTime);
    assert.deepEqual(
      [
        (await client.leaveChannel({ ...name, agentId: "bob" })).left,
        (await client.leaveChannel({ ...name, agentId: "bob" })).left,
      ],
      [true, false],
    );
    await assert.rejects(
      client.leaveChannel({ ...name, channel: "none", agentId: "bob" }),
      refused("CHANNEL_NOT_FOUND"),
    );
  });

  it("a refused join leaves no trace", async () => {
    const { client, agents } = await open();
    await assert.rejects(
      client.joinChannel({ agentId: "alice", room: "_inbox", channel: "bob" }),
      refused("RESERVED_NAME"),
    );
    await assert.rejects(
      client.joinChannel({ agentId: "", room: "science", channel: "x" }),
      refused("AGENT_ID_REQUIRED"),
    );
    assert.equal(agents.counts.agents, 0);
  });

  it("S3-E.1: a full channel is CHANNEL_FULL", async () => {
    const { client } = await open();
    const name = { room: "science", channel: "explore" };
    await client.createChannel({ channel: { ...name, config: { maxMembers: 1 } }, createRoom: true });
    await client.joinChannel({ ...name, agentId: "alice" });
    await assert.rejects(client.joinChannel({ ...name, agentId: "bob" }), refused("CHANNEL_FULL"));
    assert.deepEqual(
      (await client.listMembers(name)).members.map((member) => member.agentId),
      ["alice"],
    );
  });

  it("pages end by size or by bytes, meet every channel once, and take no token of another kind", async () => {
    const { client } = await open({ limits: { responseBytes: 4_096 } });
    const description = "x".repeat(1_500);
    for (let i = 0; i < 25; i++) {
      await client.createChannel({ channel: { room: `r${i % 2}`, channel: `c${i}`, description }, createRoom: true });
    }
    const seen: string[] = [];
    let pages = 0;
    for (let pageToken = ""; pages === 0 || pageToken !== ""; pages++) {
      const page = await client.listChannels({ pageSize: 10, pageToken });
      assert.ok(page.channels.length <= 3, "1.5 KB each: three pass 4 KiB");
      seen.push(...page.channels.map(({ room, channel }) => `${room}:${channel}`));
      pageToken = page.nextPageToken;
    }
    assert.deepEqual(seen, [...seen].sort());
    assert.equal(new Set(seen).size, 25);
    assert.ok(pages >= 9);
    for (const pageToken of ["!", "YQ", "YTpiOmM", "YTpi="]) {
      await assert.rejects(client.listChannels({ pageToken }), refused("INVALID_FIELD"));
    }
  });

  it("WatchRoom tells what happens in one room, first that it listens, and ends with the room", async () => {
    const { client, rooms } = await open();
    await client.createRoom({ room: { room: "science" } });
    await assert.rejects(async () => {
      for await (const _ of client.watchRoom({ room: "none" })) assert.fail("nothing to watch");
    }, refused("ROOM_NOT_FOUND"));
    const told: string[] = [];
    let first = true;
    for await (const { changes } of client.watchRoom({ room: "science" })) {
      if (first) {
        first = false;
        assert.equal(changes.length, 0);
        await client.joinChannel({ agentId: "alice", room: "chat", channel: "x" });
        await client.joinChannel({ agentId: "alice", room: "science", channel: "x" });
        await rooms.deleteRoom("science", true);
      }
      told.push(...changes.map(({ kind, channel, agentId }) => `${kind} ${channel} ${agentId}`.trim()));
    }
    const { CHANNEL_CREATED, MEMBER_JOINED, CHANNEL_DELETED, ROOM_DELETED } = RoomChangeKind;
    assert.deepEqual(told, [
      `${CHANNEL_CREATED} x`,
      `${MEMBER_JOINED} x alice`,
      `${CHANNEL_DELETED} x`,
      `${ROOM_DELETED}`,
    ]);
  });

  it("WatchRoom ends a watcher that is too slow, and lets go of one that leaves", async () => {
    const { client, rooms } = await open({ limits: { watchBacklog: 5 } });
    await client.createRoom({ room: { room: "science" } });
    await assert.rejects(async () => {
      for await (const { changes } of client.watchRoom({ room: "science" })) {
        if (changes.length > 0) continue;
        for (let i = 0; i < 10; i++) await rooms.updateRoom("science", { description: `${i}` });
      }
    }, refused("WATCHER_TOO_SLOW"));
    const call = new AbortController();
    await assert.rejects(async () => {
      for await (const _ of client.watchRoom({ room: "science" }, { signal: call.signal })) call.abort();
    });
  });
});
