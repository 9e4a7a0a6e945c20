import type { BusOptions } from "../../core/bus-options.ts";
import type { Clock, Random } from "../../core/clock.ts";
import { epochAt } from "../../core/epoch-chain.ts";
import { BusError } from "../../core/errors.ts";
import { type ChannelName, channelName, checkName, inboxOf, isInbox, quote } from "../../core/names.ts";
import type { ChannelRecord, RoomRecord } from "../../core/room.ts";
import type { RoutingRegistry } from "../../routing/routing-registry.ts";
import type { Directory } from "../../storage/directory.ts";
import { mapBounded } from "../bounded.ts";
import type { DirectoryReplica } from "../directory/directory-replica.ts";
import { channelKey, memberKey, roomKey } from "../directory/record-keys.ts";
import type { ChannelPatch, ChannelView, NewChannel, NewRoom, RoomPatch, RoomView } from "../directory/registry.ts";
import { sameData } from "../directory/same-data.ts";
import { Lanes } from "../lanes.ts";
import type { ChannelLogs } from "./channel-logs.ts";
import type { ChannelViews } from "./channel-views.ts";
import { checkDurability, type Logs, logFor } from "./durability.ts";
import { laterIncarnation } from "./incarnation.ts";
import type { Inheritance } from "./inheritance.ts";
import { checkConfig, patchChannel, patchRoom } from "./room-patches.ts";

export interface RoomWriterOptions {
  readonly options: BusOptions;
  readonly directory: Directory;
  readonly replica: DirectoryReplica;
  readonly views: ChannelViews;
  readonly channelLogs: ChannelLogs;
  readonly inheritance: Inheritance;
  readonly logs: Logs;
  readonly routing: RoutingRegistry;
  readonly clock: Clock;
  readonly random: Random;
  /** Other nodes write to the same storage: what is not known here may be there all the same. */
  readonly shared: boolean;
}

export interface Effective {
  readonly key: string;
  readonly epoch: number;
  readonly sequence: number;
}

/**
 * Creates, changes and deletes rooms and channels. What touches one room is done one after another on this node, so a
 * room is never deleted while a channel comes to be in it.
 */
export class RoomWriter {
  readonly #deps: RoomWriterOptions;
  readonly #lanes = new Lanes();
  /** Channels that are being created: each counts against the limit before the views count it, and no longer. */
  readonly #places = new Set<string>();

  constructor(deps: RoomWriterOptions) {
    this.#deps = deps;
  }

  /** The views count this channel from now on. */
  counted(key: string): void {
    this.#places.delete(key);
  }

  async createRoom(wanted: NewRoom): Promise<{ room: RoomView; created: boolean }> {
    checkName("room", wanted.room);
    checkConfig(wanted.defaults, this.#deps.routing, this.#deps.logs);
    return await this.#lanes.run(wanted.room, async () => {
      const { created } = await this.#putRoom(wanted);
      const room = this.#requireRoom(wanted.room);
      if (created || sameRoom(room.record, wanted)) return { room, created };
      throw new BusError("ROOM_EXISTS", `room ${wanted.room} is there with another configuration; update it instead`);
    });
  }

  async updateRoom(name: string, patch: RoomPatch): Promise<{ room: RoomView; effective: readonly Effective[] }> {
    checkName("room", name);
    checkConfig(patch.defaults ?? {}, this.#deps.routing, this.#deps.logs);
    return await this.#lanes.run(name, async () => {
      await this.#findRoom(name);
      await this.#deps.replica.write(roomKey(name), (current) => {
        if (current === undefined) throw roomNotFound(name);
        return changed(current.value, patchRoom(current.value as RoomRecord, patch));
      });
      if (patch.defaults !== undefined) await this.#passOn(name);
      // Also those whose routing was the same before: asked again after a failure, the answer is still whole.
      const affected = this.#deps.views
        .channelsOf(name)
        .filter(({ name: { key } }) => patch.defaults?.routing !== undefined && !this.#hasOwnRouting(key));
      return { room: this.#requireRoom(name), effective: await mapBounded(affected, (view) => this.#fence(view)) };
    });
  }

  /** Also to channels that this node has not heard of. */
  async #passOn(room: string): Promise<void> {
    const { replica, views, inheritance, shared } = this.#deps;
    if (shared) await replica.sync("channel", room);
    await mapBounded(views.channelsOf(room), (view) => inheritance.pass(view.name));
  }

  async deleteRoom(name: string, force: boolean): Promise<void> {
    checkName("room", name);
    await this.#lanes.run(name, async () => {
      await this.#findRoom(name);
      const channels = this.#deps.views.channelsOf(name);
      if (channels.length > 0 && !force) {
        throw new BusError("ROOM_NOT_EMPTY", `room ${name} has ${channels.length} channels; delete them, or use force`);
      }
      await mapBounded(channels, (view) => this.#remove(view));
      await this.#deps.replica.remove(roomKey(name));
      if (this.#deps.shared) await this.#removeLate(name);
    });
  }

  /** Channels that another node created while their room was being deleted. */
  async #removeLate(room: string): Promise<void> {
    const { directory, replica, views } = this.#deps;
    for (;;) {
      const late = await directory.list({ kind: "channel", parent: room, limit: 1_000 });
      for (const { key } of late) {
        // Created anew meanwhile, the room keeps what is in it.
        if ((await replica.refresh(roomKey(room))) !== undefined) return;
        await replica.refresh(key);
        const view = views.channel(channelName(room, key.id).key);
        if (view !== undefined) await this.#remove(view);
      }
      if (late.length < 1_000) return;
    }
  }

  async createChannel(wanted: NewChannel, createRoom: boolean): Promise<{ channel: ChannelView; created: boolean }> {
    const { name } = wanted;
    checkName("room", name.room);
    checkName("channel", name.channel);
    checkConfig(wanted.config, this.#deps.routing, this.#deps.logs);
    return await this.#lanes.run(name.room, async () => {
      const room = await this.#findRoom(name.room, !createRoom);
      if (room === undefined) await this.#putRoom(emptyRoom(name.room));
      const { created, channel } = await this.#putChannel(wanted);
      if (created || sameChannel(this.#deps.views.record(name.key)?.value as ChannelRecord, wanted)) {
        return { channel, created };
      }
      throw new BusError(
        "CHANNEL_EXISTS",
        `channel ${name.key} is there with another configuration; update it instead`,
      );
    });
  }

  async updateChannel(name: ChannelName, patch: ChannelPatch): Promise<Effective & { channel: ChannelView }> {
    checkName("room", name.room);
    checkName("channel", name.channel);
    checkConfig(patch.config ?? {}, this.#deps.routing, this.#deps.logs);
    return await this.#lanes.run(name.room, async () => {
      await this.findChannel(name);
      await this.#deps.replica.write(channelKey(name), (current) => {
        if (current === undefined) throw channelNotFound(name);
        return changed(current.value, patchChannel(current.value as ChannelRecord, patch));
      });
      const channel = this.#deps.views.channel(name.key);
      if (channel === undefined) throw channelNotFound(name);
      return { channel, ...(await this.#fence(channel)) };
    });
  }

  async deleteChannel(name: ChannelName): Promise<void> {
    checkName("room", name.room);
    checkName("channel", name.channel);
    await this.#lanes.run(name.room, async () => {
      const view = await this.findChannel(name);
      if (view === undefined) throw channelNotFound(name);
      await this.#remove(view);
    });
  }

  /** The channel, created when the bus and its room allow it. Throws ROOM_NOT_FOUND, CHANNEL_NOT_FOUND, TOO_MANY. */
  async createOnDemand(name: ChannelName): Promise<ChannelView> {
    checkName("room", name.room);
    checkName("channel", name.channel);
    return await this.#lanes.run(name.room, async () => {
      const known = await this.findChannel(name);
      if (known !== undefined) return known;
      const room = await this.#findCreatable(name);
      if (room === undefined) await this.#putRoom(emptyRoom(name.room));
      return (await this.#putChannel(emptyChannel(name))).channel;
    });
  }

  /** Throws what `createOnDemand` would for one of them, limits as far as this node knows. Creates nothing. */
  async checkOnDemand(names: readonly ChannelName[]): Promise<void> {
    const { options, views, logs } = this.#deps;
    const newRooms = new Set<string>();
    const newChannels = new Set<string>();
    for (const name of names) {
      checkName("room", name.room);
      checkName("channel", name.channel);
      if ((await this.findChannel(name)) !== undefined) continue;
      if ((await this.#findCreatable(name)) === undefined) newRooms.add(name.room);
      newChannels.add(name.key);
      checkDurability(views.defaultsOf(name.room).durability, logs);
    }
    const { rooms } = options.limits;
    if (newRooms.size > 0 && views.roomCount + newRooms.size > rooms) throw tooMany("rooms", rooms);
    if (newChannels.size > 0) this.#checkLimit(newChannels.size);
  }

  /** The room that lets the channel be created on demand; undefined: the room itself may be, too. */
  async #findCreatable(name: ChannelName): Promise<RoomView | undefined> {
    const { options } = this.#deps;
    const room = await this.#findRoom(name.room, !options.autoCreateRooms);
    if (!(room?.record.autoCreateChannels ?? options.autoCreateChannels)) throw channelNotFound(name);
    return room;
  }

  #checkLimit(newChannels: number): void {
    const { channels } = this.#deps.options.limits;
    if (this.#deps.views.channelCount + this.#places.size + newChannels > channels) throw tooMany("channels", channels);
  }

  /** Like any channel, but in no room and outside of every limit but that of agents. */
  async createInbox(agentId: string): Promise<ChannelView> {
    const name = inboxOf(agentId);
    return await this.#lanes.run(name.key, async () => {
      const known = await this.findChannel(name);
      return known ?? (await this.#putChannel(emptyChannel(name))).channel;
    });
  }

  async deleteInbox(agentId: string): Promise<void> {
    const name = inboxOf(agentId);
    await this.#lanes.run(name.key, async () => {
      const view = await this.findChannel(name);
      if (view !== undefined) await this.#remove(view);
    });
  }

  /** Also a channel that only the storage knows yet. */
  async findChannel(name: ChannelName): Promise<ChannelView | undefined> {
    const known = this.#deps.views.channel(name.key);
    if (known !== undefined || !this.#deps.shared) return known;
    await this.#deps.replica.refresh(roomKey(name.room));
    await this.#deps.replica.refresh(channelKey(name));
    return this.#deps.views.channel(name.key);
  }

  async #findRoom(name: string, required = true): Promise<RoomView | undefined> {
    if (this.#deps.shared && this.#deps.views.room(name) === undefined) await this.#deps.replica.refresh(roomKey(name));
    const room = this.#deps.views.room(name);
    if (room === undefined && required) throw roomNotFound(name);
    return room;
  }

  #requireRoom(name: string): RoomView {
    const room = this.#deps.views.room(name);
    if (room === undefined) throw roomNotFound(name);
    return room;
  }

  async #putRoom(wanted: NewRoom): Promise<{ created: boolean }> {
    const { replica, clock, options } = this.#deps;
    const record: RoomRecord = { ...wanted, createdAtMs: clock.now() };
    const put = (current: unknown) => (current === undefined ? record : undefined);
    const outcome = await replica.write(roomKey(wanted.room), put, options.limits.rooms);
    if (outcome.kind === "full") throw tooMany("rooms", options.limits.rooms);
    return { created: outcome.kind === "stored" };
  }

  async #putChannel(wanted: NewChannel): Promise<{ channel: ChannelView; created: boolean }> {
    const { name } = wanted;
    const counted = !isInbox(name);
    if (counted && this.#deps.views.channel(name.key) === undefined) {
      this.#checkLimit(1);
      this.#places.add(name.key);
    }
    try {
      return await this.#putChannelRecord(wanted, counted);
    } finally {
      this.#places.delete(name.key);
    }
  }

  async #putChannelRecord(wanted: NewChannel, counted: boolean): Promise<{ channel: ChannelView; created: boolean }> {
    const { replica, views, logs, clock, random, options, channelLogs, inheritance } = this.#deps;
    const { name } = wanted;
    if (views.channel(name.key) === undefined) await this.#removeMembers(name.key); // left behind by a crash
    const durability = wanted.config.durability ?? views.defaultsOf(name.room).durability;
    checkDurability(durability, logs);
    // A log is replaced by one of a later incarnation only, and another node's clock may have made the last one.
    const left = await logFor(durability, logs).state(name);
    const inherited = inheritance.of(name);
    const record: ChannelRecord = {
      room: name.room,
      channel: name.channel,
      description: wanted.description,
      metadata: wanted.metadata,
      config: wanted.config,
      ...(inherited !== undefined && { inherited }),
      durability,
      incarnation: laterIncarnation(left?.incarnation, random, clock.now()),
      createdAtMs: clock.now(),
    };
    const put = (current: unknown) => (current === undefined ? record : undefined);
    const limit = counted ? options.limits.channels : undefined;
    const outcome = await replica.write(channelKey(name), put, limit);
    if (outcome.kind === "full") throw tooMany("channels", options.limits.channels);
    const channel = views.channel(name.key);
    if (channel === undefined) throw channelNotFound(name); // deleted by another node at the same moment
    if (outcome.kind === "stored") {
      await this.#checkRoom(channel, inherited?.version);
      await channelLogs.create(channel);
    } else if (!channelLogs.isReady(channel)) await channelLogs.ensure(channel);
    return { channel, created: outcome.kind === "stored" };
  }

  /**
   * Another node may have deleted or changed the room while the channel came to be in it. It writes the room first and
   * looks for its channels then, so one of the two sees the other.
   */
  async #checkRoom({ name, incarnation }: ChannelView, inherits: number | undefined): Promise<void> {
    if (!this.#deps.shared || isInbox(name)) return;
    const room = await this.#deps.replica.refresh(roomKey(name.room));
    if (room !== undefined) {
      if (room.version !== inherits) await this.#deps.inheritance.pass(name);
      return;
    }
    const record = await this.#deps.replica.refresh(channelKey(name));
    if ((record?.value as ChannelRecord | undefined)?.incarnation === incarnation) {
      await this.#deps.replica.remove(channelKey(name), record!.version);
    }
    throw new BusError("CONCURRENT_UPDATE", `room ${name.room} was deleted while ${name.key} was created; try again`);
  }

  /** The record first: from then on nobody finds the channel, and what is left behind is nobody's. */
  async #remove(view: ChannelView): Promise<void> {
    await this.#deps.replica.remove(channelKey(view.name));
    await this.#removeMembers(view.name.key);
    await this.#deps.channelLogs.delete(view);
  }

  async #removeMembers(key: string): Promise<void> {
    await mapBounded([...this.#deps.views.membersOf(key)], (agentId) =>
      this.#deps.replica.remove(memberKey(key, agentId)),
    );
    this.#deps.views.forgetMembers(key);
  }

  /** From which position on the channel is routed as its view says. */
  async #fence(view: ChannelView): Promise<Effective> {
    if (!this.#deps.channelLogs.isReady(view)) await this.#deps.channelLogs.ensure(view);
    const sequence = await view.log.fence(view.name, view.incarnation, view.version);
    const state = await view.log.state(view.name);
    if (state === undefined) throw channelNotFound(view.name);
    return { key: view.name.key, epoch: epochAt(state.links, sequence), sequence };
  }

  #hasOwnRouting(key: string): boolean {
    return (this.#deps.views.record(key)?.value as ChannelRecord | undefined)?.config.routing !== undefined;
  }
}

export function channelNotFound(name: ChannelName): BusError {
  return new BusError("CHANNEL_NOT_FOUND", `there is no channel ${quote(name.key)}`);
}

export function roomNotFound(room: string): BusError {
  return new BusError("ROOM_NOT_FOUND", `there is no room ${quote(room)}`);
}

function tooMany(limit: "rooms" | "channels", value: number): BusError {
  return new BusError("TOO_MANY", `there are limits.${limit} (${value}) ${limit} already`);
}

function emptyRoom(room: string): NewRoom {
  return { room, description: "", metadata: {}, defaults: {} };
}

function emptyChannel(name: ChannelName): NewChannel {
  return { name: channelName(name.room, name.channel), description: "", metadata: {}, config: {} };
}

function changed<T extends object>(before: object, after: T): T | undefined {
  return sameData(before, after) ? undefined : after;
}

function sameRoom(record: RoomRecord, wanted: NewRoom): boolean {
  return sameData({ ...wanted, createdAtMs: record.createdAtMs }, record);
}

/** A durability that is not asked for is the one that the channel has. */
function sameChannel(record: ChannelRecord | undefined, wanted: NewChannel): boolean {
  if (record === undefined) return false;
  const { durability: has, ...config } = record.config;
  const { durability: wants, ...wantedConfig } = wanted.config;
  return (
    (wants === undefined || wants === record.durability) &&
    sameData(config, wantedConfig) &&
    record.description === wanted.description &&
    sameData(record.metadata, wanted.metadata)
  );
}
