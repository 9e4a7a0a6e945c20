import { BusError } from "../../core/errors.ts";
import type { Logger } from "../../core/logger.ts";
import { type ChannelName, inboxOf, isInbox, quote } from "../../core/names.ts";
import type { ChannelRecord, LogPlace, MemberRecord } from "../../core/room.ts";
import type { RecordChange } from "../directory/directory-replica.ts";
import { channelKey, roomKey } from "../directory/record-keys.ts";
import type { ChannelEvent, ChannelView, MemberEvent, RoomChange, Rooms } from "../directory/registry.ts";
import { Listeners } from "../listeners.ts";
import { ChannelLogs } from "./channel-logs.ts";
import { ChannelViews, type ChannelViewsOptions, type ViewChange } from "./channel-views.ts";
import { Inheritance } from "./inheritance.ts";
import { Members } from "./members.ts";
import { Memberships } from "./memberships.ts";
import { channelNotFound, RoomWriter, type RoomWriterOptions } from "./room-writer.ts";

/** Rooms, channels and members as this node knows them; `apply` keeps it so, and tells whoever listens. */
export class RoomState {
  readonly memberships = new Memberships();
  readonly views: ChannelViews;
  readonly channels: Listeners<ChannelEvent>;
  readonly members: Listeners<MemberEvent>;
  /** Where members joined channels that are not known here yet, by channel and agent. */
  readonly #early = new Map<string, Map<string, LogPlace>>();
  readonly changes: Listeners<RoomChange>;

  constructor(options: Omit<ChannelViewsOptions, "members">) {
    this.views = new ChannelViews({ ...options, members: this.memberships });
    this.channels = listeners(options.log);
    this.members = listeners(options.log);
    this.changes = listeners(options.log);
  }

  apply(change: RecordChange): void {
    if (change.key.kind === "room") this.#applyRoom(change);
    if (change.key.kind === "channel") this.#applyChannel(change);
    if (change.key.kind === "member") this.#applyMember(change);
  }

  #applyRoom(change: RecordChange): void {
    const room = change.key.id;
    this.views.applyRoom(change);
    if (change.before === undefined) return;
    this.changes.tell({ kind: change.after ? "ROOM_UPDATED" : "ROOM_DELETED", room, channel: "", agentId: "" });
  }

  #applyChannel(change: RecordChange): void {
    const { before, after } = this.views.applyChannel(change);
    const again = before !== undefined && after !== undefined && before.incarnation !== after.incarnation;
    for (const part of again
      ? [
          { before, after: undefined },
          { before: undefined, after },
        ]
      : [{ before, after }]) {
      this.#tellView(part);
      const name = (part.after ?? part.before)?.name;
      if (name === undefined || isInbox(name)) continue;
      const kind = part.before ? (part.after ? "CHANNEL_UPDATED" : "CHANNEL_DELETED") : "CHANNEL_CREATED";
      this.changes.tell({ kind, room: name.room, channel: name.channel, agentId: "" });
    }
  }

  #applyMember(change: RecordChange): void {
    const { parent: key, id: agentId } = change.key;
    const joined = change.after !== undefined;
    this.memberships.apply(change);
    const channel = this.views.channel(key);
    const behind = (change.after?.value as MemberRecord | undefined)?.joinedBehind;
    if (channel === undefined) this.#keepEarly(key, agentId, behind);
    // Without a channel: its deletion was told, or its creation will be, with those who are its members by then.
    if (channel !== undefined && joined !== (change.before !== undefined)) {
      this.#tellMember(joined, agentId, channel, behind);
    }
  }

  #keepEarly(key: string, agentId: string, behind: LogPlace | undefined): void {
    const early = this.#early.get(key) ?? new Map<string, LogPlace>();
    if (behind === undefined) early.delete(agentId);
    else early.set(agentId, behind);
    if (early.size === 0) this.#early.delete(key);
    else this.#early.set(key, early);
  }

  #tellView({ before, after }: ViewChange): void {
    if (before === undefined && after === undefined) return;
    if (after === undefined) this.channels.tell({ kind: "deleted", channel: before! });
    else this.channels.tell({ kind: before === undefined ? "created" : "updated", channel: after });
    if (before !== undefined || after === undefined) return;
    const early = this.#early.get(after.name.key);
    this.#early.delete(after.name.key);
    for (const agentId of after.members) this.#tellMember(true, agentId, after, early?.get(agentId));
  }

  #tellMember(joined: boolean, agentId: string, channel: ChannelView, behind: LogPlace | undefined): void {
    this.members.tell({ joined, agentId, channel, behind });
    const kind = joined ? "MEMBER_JOINED" : "MEMBER_LEFT";
    this.changes.tell({ kind, room: channel.name.room, channel: channel.name.channel, agentId });
  }
}

export interface RoomsOptions extends Omit<RoomWriterOptions, "views" | "channelLogs" | "inheritance"> {
  readonly state: RoomState;
  readonly agentExists: (agentId: string) => boolean;
}

export interface OpenRooms extends Rooms {
  /** The agent is gone: its memberships and its inbox go, too. */
  forgetAgent(agentId: string): Promise<void>;
  /** Deletes what this node could not delete of deleted channels. */
  finishDeletions(): Promise<void>;
}

/** Opens rooms over a loaded replica. */
export async function createRooms(options: RoomsOptions): Promise<OpenRooms> {
  const { state, replica, directory, clock, logs } = options;
  const { views, memberships } = state;
  const channelLogs = new ChannelLogs(replica, logs);
  const inheritance = new Inheritance(replica, views);
  const writer = new RoomWriter({ ...options, views, channelLogs, inheritance });
  const members = new Members({ directory, replica, views, memberships, clock });
  const creating = new Map<string, Promise<ChannelView>>();

  state.channels.add(({ kind, channel }) => {
    if (kind === "deleted") channelLogs.forget(channel);
    if (kind === "created") writer.counted(channel.name.key);
  });
  await channelLogs.createForgotten([...views.all].filter((view) => channelLogs.isLocal(view)));

  /** Callers that come while it is being made wait for the same one. */
  function once(name: ChannelName, make: () => Promise<ChannelView>): Promise<ChannelView> {
    const running = creating.get(name.key);
    if (running !== undefined) return running;
    const made = withLog(make).finally(() => creating.delete(name.key));
    creating.set(name.key, made);
    return made;
  }

  async function withLog(make: () => Promise<ChannelView>): Promise<ChannelView> {
    const view = await make();
    if (channelLogs.isReady(view) || (await channelLogs.ensure(view))) return view;
    const newer = views.channel(view.name.key);
    if (newer === undefined) throw channelNotFound(view.name);
    if (!(await channelLogs.ensure(newer))) {
      throw new BusError("CHANNEL_DELETED", `channel ${view.name.key} is being deleted and created; try again`);
    }
    return newer;
  }

  function ready(key: string): ChannelView | undefined {
    const view = views.channel(key);
    return view !== undefined && channelLogs.isReady(view) ? view : undefined;
  }

  function ensureInbox(agentId: string): ChannelView | Promise<ChannelView> {
    const name = inboxOf(agentId);
    const view = ready(name.key);
    if (view !== undefined) return view;
    if (!options.agentExists(agentId)) {
      throw new BusError("AGENT_NOT_FOUND", `there is no agent ${quote(agentId)}: it has no inbox`);
    }
    return once(name, () => writer.createInbox(agentId));
  }

  function ensureChannel(name: ChannelName): ChannelView | Promise<ChannelView> {
    if (isInbox(name)) return ensureInbox(name.channel);
    return ready(name.key) ?? once(name, () => writer.createOnDemand(name));
  }

  return {
    channel: (key) => views.channel(key),
    ensureChannel,
    plan(name) {
      if (isInbox(name) || views.channel(name.key) !== undefined) return views.planned(name);
      return writer.checkOnDemand([name]).then(() => views.planned(name));
    },
    checkEnsurable: (names) => writer.checkOnDemand(names.filter((name) => !isInbox(name))),
    ensureInbox,
    async reload(name, staleAt = 0) {
      await replica.refresh(roomKey(name.room));
      await replica.refresh(channelKey(name));
      const known = views.channel(name.key);
      const isSetBack = known !== undefined && known.version < staleAt;
      const view = isSetBack ? await inheritance.raise(known, staleAt) : known;
      if (view === undefined || (await channelLogs.ensure(view))) return view;
      return views.channel(name.key);
    },
    async ensureLog(view) {
      return (await channelLogs.ensure(view)) ? view : views.channel(view.name.key);
    },
    matching: (pattern) => views.channels("", pattern, "", Number.POSITIVE_INFINITY),
    joinedBy: (agentId) =>
      memberships.joinedBy(agentId).flatMap((key) => {
        const view = views.channel(key);
        return view === undefined ? [] : [view];
      }),
    onChannel: (listener) => state.channels.add(listener),
    onMember: (listener) => state.members.add(listener),
    onChange: (listener) => state.changes.add(listener),

    createRoom: (record) => writer.createRoom(record),
    updateRoom: (room, patch) => writer.updateRoom(room, patch),
    room: (room) => views.room(room),
    listRooms: ({ pattern, after, limit }) => views.rooms(pattern, after, limit),
    deleteRoom: (room, force) => writer.deleteRoom(room, force),
    createChannel: (record, createRoom) => writer.createChannel(record, createRoom),
    updateChannel: (name, patch) => writer.updateChannel(name, patch),
    channelRecord(key) {
      const record = views.record(key);
      return record && { record: record.value as ChannelRecord, version: record.version };
    },
    listChannels: ({ room, pattern, after, limit }) => views.channels(room, pattern, after, limit),
    deleteChannel: (name) => writer.deleteChannel(name),
    finishDeletions: () => channelLogs.deleteLeft(),
    async checkJoin(agentId, name) {
      checkJoinable(name);
      await writer.checkOnDemand([name]);
      const channel = views.channel(name.key);
      if (channel !== undefined) members.checkRoomFor(agentId, channel);
    },
    async join(agentId, name) {
      checkJoinable(name);
      const channel = await ensureChannel(name);
      return { joined: await members.join(agentId, channel), channel };
    },
    leave: (agentId, name) => members.leave(agentId, name),
    listMembers: (name, after, limit) => members.list(name, after, limit),
    counts: {
      get rooms() {
        return views.roomCount;
      },
      get channels() {
        return views.channelCount;
      },
    },
    async forgetAgent(agentId) {
      await members.leaveAll(agentId);
      await writer.deleteInbox(agentId);
    },
  };
}

function checkJoinable(name: ChannelName): void {
  if (!isInbox(name)) return;
  throw new BusError("RESERVED_NAME", `${quote(name.key)}: an inbox is read by its agent, nobody joins it`);
}

function listeners<E>(log: Logger): Listeners<E> {
  return new Listeners(log);
}
