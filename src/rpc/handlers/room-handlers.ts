import { create } from "@bufbuild/protobuf";
import type { ServiceImpl } from "@connectrpc/connect";
import { type Channel, ChannelSchema, MemberSchema, RoomSchema } from "../../../gen/agentbus/v1/room_pb.ts";
import { RoomChangeKind, RoomChangeSchema, type RoomService } from "../../../gen/agentbus/v1/room_service_pb.ts";
import { mapBounded } from "../../bus/bounded.ts";
import type { Agents, ChannelView, RoomChange, Rooms } from "../../bus/directory/registry.ts";
import { WatchQueue } from "../../bus/watch-queue.ts";
import type { Limits } from "../../core/bus-options.ts";
import { BusError } from "../../core/errors.ts";
import { channelName, checkName, isAgentId, isName, quote } from "../../core/names.ts";
import { formatPosition } from "../../core/position.ts";
import { checkMetadata, refuseServerFields, updatePaths } from "../translation/request-fields.ts";
import {
  CHANNEL_PATHS,
  channelMessage,
  channelPatch,
  memberMessage,
  newChannel,
  newRoom,
  ROOM_PATHS,
  roomMessage,
  roomPatch,
} from "../translation/room-translation.ts";
import type { Access } from "./access.ts";
import { pageOf, pageRequest } from "./paging.ts";

/** Positions that one UpdateRoom answers. */
const MAX_EFFECTIVE_POSITIONS = 1_000;
/** Changes in one response of WatchRoom: each is a few hundred bytes at most. */
const CHANGES_A_RESPONSE = 500;

export interface RoomHandlersOptions {
  readonly rooms: Rooms;
  readonly agents: Agents;
  readonly access: Access;
  readonly limits: Limits;
  /** Streams that read "room:channel" on this node. */
  readonly subscriptionCount: (key: string) => number;
}

/** Translates between wire and domain. Interceptors validate before it and map errors after it. */
export function createRoomHandlers(options: RoomHandlersOptions): ServiceImpl<typeof RoomService> {
  const { rooms, agents, access, limits, subscriptionCount } = options;

  function toMessage(view: ChannelView): Promise<Channel> {
    const { key } = view.name;
    return channelMessage(view, rooms.channelRecord(key), subscriptionCount(key));
  }

  return {
    async createRoom(request) {
      const room = request.room!;
      refuseServerFields(RoomSchema, room, "room");
      checkMetadata("room.metadata", room.metadata, limits);
      const { room: view, created } = await rooms.createRoom(newRoom(room));
      return { room: roomMessage(view), created };
    },

    async updateRoom(request) {
      const room = request.room!;
      refuseServerFields(RoomSchema, room, "room");
      const paths = updatePaths(request.updateMask, ROOM_PATHS);
      if (paths.has("metadata")) checkMetadata("room.metadata", room.metadata, limits);
      const { room: view, effective } = await rooms.updateRoom(room.room, roomPatch(room, paths));
      return {
        room: roomMessage(view),
        effectivePositions: effective
          .slice(0, MAX_EFFECTIVE_POSITIONS)
          .map(({ key, epoch, sequence }) => formatPosition(key, epoch, sequence)),
      };
    },

    getRoom(request) {
      checkName("room", request.room);
      const view = rooms.room(request.room);
      if (view === undefined) throw new BusError("ROOM_NOT_FOUND", `there is no room ${quote(request.room)}`);
      return { room: roomMessage(view) };
    },

    listRooms(request) {
      const page = pageRequest(request, isName);
      const found = rooms.listRooms({ pattern: request.pattern, after: page.after, limit: page.limit });
      const { messages, nextPageToken } = pageOf(
        RoomSchema,
        found.map(roomMessage),
        (room) => room.room,
        page,
        limits.responseBytes,
      );
      return { rooms: messages, nextPageToken };
    },

    async deleteRoom(request) {
      await rooms.deleteRoom(request.room, request.force);
      return {};
    },

    async createChannel(request) {
      const channel = request.channel!;
      refuseServerFields(ChannelSchema, channel, "channel");
      checkMetadata("channel.metadata", channel.metadata, limits);
      const { channel: view, created } = await rooms.createChannel(newChannel(channel), request.createRoom);
      return { channel: await toMessage(view), created };
    },

    async updateChannel(request) {
      const channel = request.channel!;
      refuseServerFields(ChannelSchema, channel, "channel");
      const paths = updatePaths(request.updateMask, CHANNEL_PATHS);
      if (paths.has("metadata")) checkMetadata("channel.metadata", channel.metadata, limits);
      const name = channelName(channel.room, channel.channel);
      const updated = await rooms.updateChannel(name, channelPatch(channel, paths));
      return {
        channel: await toMessage(updated.channel),
        effectivePosition: formatPosition(name.key, updated.epoch, updated.sequence),
      };
    },

    async getChannel(request) {
      checkName("room", request.room);
      const { key } = channelName(request.room, request.channel);
      const view = rooms.channel(key);
      if (view === undefined) throw new BusError("CHANNEL_NOT_FOUND", `there is no channel ${quote(key)}`);
      return { channel: await toMessage(view) };
    },

    async listChannels(request) {
      const page = pageRequest(request, isChannelKey);
      const { room, pattern } = request;
      const views = rooms.listChannels({ room, pattern, after: page.after, limit: page.limit });
      const { messages, nextPageToken } = pageOf(
        ChannelSchema,
        await mapBounded(views, toMessage),
        (channel) => channelName(channel.room, channel.channel).key,
        page,
        limits.responseBytes,
      );
      return { channels: messages, nextPageToken };
    },

    async deleteChannel(request) {
      await rooms.deleteChannel(channelName(request.room, request.channel));
      return {};
    },

    async joinChannel(request, context) {
      const agentId = access.actor(context, request.agentId);
      const name = channelName(request.room, request.channel);
      // Before the agent is registered on demand: a request that is refused leaves no trace.
      await rooms.checkJoin(agentId, name);
      await agents.ensure(agentId);
      const { channel, joined } = await rooms.join(agentId, name);
      agents.touch(agentId);
      return { channel: await toMessage(channel), joined };
    },

    async leaveChannel(request, context) {
      const agentId = access.actor(context, request.agentId);
      const left = await rooms.leave(agentId, channelName(request.room, request.channel));
      agents.touch(agentId);
      return { left };
    },

    async listMembers(request) {
      const page = pageRequest(request, isAgentId);
      const name = channelName(request.room, request.channel);
      // The storage reads pages of at most 1,000: a full one is followed by another, if only by an empty one.
      const limit = Math.min(page.limit, 1_000);
      const found = await rooms.listMembers(name, page.after, limit);
      const size = Math.min(page.size, limit - 1);
      const { messages, nextPageToken } = pageOf(
        MemberSchema,
        found.map(memberMessage),
        (member) => member.agentId,
        { ...page, size },
        limits.responseBytes,
      );
      return { members: messages, nextPageToken };
    },

    async *watchRoom(request, { signal }) {
      const { room } = request;
      const queue = new WatchQueue<RoomChange>(limits.watchBacklog, CHANGES_A_RESPONSE);
      const stop = rooms.onChange((change) => {
        if (change.room !== room) return;
        queue.push(change);
        if (change.kind === "ROOM_DELETED") queue.finish();
      });
      try {
        if (rooms.room(room) === undefined) throw new BusError("ROOM_NOT_FOUND", `there is no room ${quote(room)}`);
        yield {};
        for await (const changes of queue.batches(signal)) yield { changes: changes.map(changeMessage) };
      } finally {
        stop();
      }
    },
  };
}

function changeMessage({ kind, channel, agentId }: RoomChange) {
  return create(RoomChangeSchema, { kind: RoomChangeKind[kind], channel, agentId });
}

function isChannelKey(key: string): boolean {
  const [room, channel, ...more] = key.split(":");
  return more.length === 0 && isName(room ?? "") && isName(channel ?? "");
}
