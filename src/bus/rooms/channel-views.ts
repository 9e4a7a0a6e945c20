import type { BusOptions } from "../../core/bus-options.ts";
import { isBusError } from "../../core/errors.ts";
import type { Logger } from "../../core/logger.ts";
import { type ChannelName, channelName, INBOX_ROOM, isInbox } from "../../core/names.ts";
import { compileChannelPattern, compileRoomPattern } from "../../core/patterns.ts";
import { type ChannelConfig, type ChannelRecord, mergeChannelConfig, type RoomRecord } from "../../core/room.ts";
import type { RoutingRegistry } from "../../routing/routing-registry.ts";
import type { RoutingStrategy } from "../../routing/routing-strategy.ts";
import type { DirectoryRecord } from "../../storage/directory.ts";
import type { RecordChange } from "../directory/directory-replica.ts";
import { isInboxRecord } from "../directory/record-keys.ts";
import type { ChannelView, PlannedChannel, RoomView } from "../directory/registry.ts";
import { sameData } from "../directory/same-data.ts";
import { SortedIds } from "../sorted-ids.ts";
import { defaultDurability, type Logs, logFor } from "./durability.ts";
import type { Memberships } from "./memberships.ts";

export interface ChannelViewsOptions {
  readonly options: BusOptions;
  readonly logs: Logs;
  readonly routing: RoutingRegistry;
  readonly members: Memberships;
  readonly log: Logger;
}

const NOBODY: ReadonlySet<string> = new Set();

/** What became of a channel's view; both are set when it changed, and when it was deleted and created again. */
export interface ViewChange {
  readonly before: ChannelView | undefined;
  readonly after: ChannelView | undefined;
}

/** Rooms and channels as the ways of messages see them: records with every default filled in. */
export class ChannelViews {
  readonly #deps: ChannelViewsOptions;
  readonly #defaults: ChannelConfig;
  readonly #rooms = new Map<string, DirectoryRecord>();
  readonly #roomNames = new SortedIds();
  readonly #records = new Map<string, DirectoryRecord>();
  readonly #views = new Map<string, ChannelView>();
  /** Without inboxes. A room's channels lie together, because ":" follows the room's name. */
  readonly #keys = new SortedIds();

  constructor(deps: ChannelViewsOptions) {
    this.#deps = deps;
    const { channelDefaults } = deps.options;
    const durability = defaultDurability(channelDefaults.durability, deps.logs.capabilities);
    this.#defaults = { ...channelDefaults, durability };
  }

  get roomCount(): number {
    return this.#roomNames.size;
  }

  /** Without inboxes. */
  get channelCount(): number {
    return this.#keys.size;
  }

  get all(): Iterable<ChannelView> {
    return this.#views.values();
  }

  channel(key: string): ChannelView | undefined {
    return this.#views.get(key);
  }

  record(key: string): DirectoryRecord | undefined {
    return this.#records.get(key);
  }

  room(room: string): RoomView | undefined {
    const record = this.#rooms.get(room);
    if (record === undefined) return undefined;
    const keys = this.#keys;
    return {
      record: record.value as RoomRecord,
      version: record.version,
      get channelCount() {
        return keys.countWithPrefix(`${room}:`);
      },
    };
  }

  channelsOf(room: string): readonly ChannelView[] {
    return Array.from(this.#keys.from("", `${room}:`), (key) => this.#views.get(key)!);
  }

  /** By name, behind `after`. An empty pattern: all. Throws BAD_NAME. */
  rooms(pattern: string, after: string, limit: number): readonly RoomView[] {
    const compiled = pattern === "" ? undefined : compileRoomPattern(pattern);
    const found: RoomView[] = [];
    for (const room of this.#roomNames.from(after, compiled?.prefix)) {
      if (found.length === limit) break;
      if (compiled?.matches(room) ?? true) found.push(this.room(room)!);
    }
    return found;
  }

  /** By "room:channel", behind `after`, inboxes never. An empty room or pattern: all. Throws BAD_NAME. */
  channels(room: string, pattern: string, after: string, limit: number): readonly ChannelView[] {
    const compiled = pattern === "" ? undefined : compileChannelPattern(pattern);
    const found: ChannelView[] = [];
    for (const key of this.#keys.from(after, room === "" ? compiled?.prefix : `${room}:`)) {
      if (found.length === limit) break;
      const view = this.#views.get(key)!;
      if (compiled?.matches(view.name) ?? true) found.push(view);
    }
    return found;
  }

  membersOf(key: string): ReadonlySet<string> {
    return this.#deps.members.of(key);
  }

  /** The channel is gone and its memberships are removed. */
  forgetMembers(key: string): void {
    if (!this.#views.has(key)) this.#deps.members.forget(key);
  }

  /** What a channel that asks for nothing of its own gets in this room; `channel` matters for an inbox only. */
  defaultsOf(room: string, channel = ""): ChannelConfig {
    if (room === INBOX_ROOM) return this.#inboxConfig(channel);
    return mergeChannelConfig(
      this.#defaults,
      (this.#rooms.get(room)?.value as RoomRecord | undefined)?.defaults ?? {},
      {},
    );
  }

  /** A channel as it is, or as it would be created on demand; with a strategy of its own. */
  planned(name: ChannelName): PlannedChannel {
    const known = this.#views.get(name.key);
    const config = known?.config ?? this.defaultsOf(name.room, name.channel);
    return { name, config, strategy: this.#strategy(name, config), members: known?.members ?? NOBODY };
  }

  /** Its channels stay as they are, until their own records say what they inherit. */
  applyRoom({ key: { id: room }, after }: RecordChange): void {
    if (after === undefined) {
      this.#rooms.delete(room);
      this.#roomNames.delete(room);
    } else {
      this.#rooms.set(room, after);
      this.#roomNames.add(room);
    }
  }

  applyChannel({ key: recordKey, after }: RecordChange): ViewChange {
    const { key } = channelName(recordKey.parent, recordKey.id);
    const before = this.#views.get(key);
    if (after === undefined) {
      this.#records.delete(key);
      this.#views.delete(key);
      this.#keys.delete(key);
      return { before, after: undefined };
    }
    const view = this.#view(after, before);
    this.#records.set(key, after);
    this.#views.set(key, view);
    if (!isInboxRecord(recordKey)) this.#keys.add(key);
    return { before, after: view };
  }

  #view(record: DirectoryRecord, before: ChannelView | undefined): ChannelView {
    const value = record.value as ChannelRecord;
    const name = channelName(value.room, value.channel);
    const config = this.#config(name, value);
    const again = before?.incarnation === value.incarnation && sameData(before.config.routing, config.routing);
    return {
      name,
      config,
      incarnation: value.incarnation,
      version: record.version + (value.versionOffset ?? 0),
      // A strategy remembers whose turn it is: it is replaced only when the routing changed.
      strategy: again ? before.strategy : this.#strategy(name, config),
      members: this.#deps.members.of(name.key),
      log: logFor(value.durability, this.#deps.logs),
    };
  }

  /** By the channel's record alone: nodes hear of a room and of its channels at different times. */
  #config(name: ChannelName, value: ChannelRecord): ChannelConfig {
    if (isInbox(name)) return { ...this.#inboxConfig(name.channel), durability: value.durability };
    const config = mergeChannelConfig(this.#defaults, value.inherited?.config ?? {}, {
      ...value.config,
      durability: value.durability,
    });
    return { ...config, maxMembers: Math.min(config.maxMembers, this.#deps.options.limits.maxMembers) };
  }

  /** An inbox keeps as long as any channel, as durably as the storage can, for its one reader. */
  #inboxConfig(agentId: string): ChannelConfig {
    return {
      ...this.#defaults,
      routing: {
        strategy: "INDIVIDUAL",
        allowSenderRecipients: true,
        recipients: { agents: [agentId], groups: [], select: undefined },
        capabilities: [],
        limit: 0,
        custom: "",
      },
      durability: defaultDurability("VOLATILE", this.#deps.logs.capabilities),
      maxMembers: 0,
    };
  }

  #strategy(name: ChannelName, config: ChannelConfig): RoutingStrategy {
    try {
      return this.#deps.routing.create(config.routing);
    } catch (error) {
      if (!isBusError(error)) throw error;
      // Stored by a server that knew a strategy which this one does not: the channel is there, publishing is refused.
      this.#deps.log.error({ err: error, channel: name.key }, "the channel cannot be routed");
      return {
        route: () => {
          throw error;
        },
      };
    }
  }
}
