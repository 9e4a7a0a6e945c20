import { BusError } from "../../core/errors.ts";
import { type ChannelName, isInbox } from "../../core/names.ts";
import type { ChannelRecord, InheritedDefaults } from "../../core/room.ts";
import type { DirectoryReplica } from "../directory/directory-replica.ts";
import { channelKey, roomKey } from "../directory/record-keys.ts";
import type { ChannelView, RoomView } from "../directory/registry.ts";
import { sameData } from "../directory/same-data.ts";
import type { ChannelViews } from "./channel-views.ts";

/** How often the room may change while its defaults are passed on. */
const MAX_ATTEMPTS = 10;

/**
 * Writes what channels have of their rooms into the channels' own records. Two records that are changed apart would make
 * two configurations under one version, on two nodes that have each heard of one change.
 */
export class Inheritance {
  readonly #replica: DirectoryReplica;
  readonly #views: ChannelViews;

  constructor(replica: DirectoryReplica, views: ChannelViews) {
    this.#replica = replica;
    this.#views = views;
  }

  /** What a channel inherits, as far as this node knows; undefined: nothing. */
  of(name: ChannelName): InheritedDefaults | undefined {
    const room = isInbox(name) ? undefined : this.#views.room(name.room);
    return room && inheritedFrom(room);
  }

  /** Gives a channel the defaults that its room has now, wherever they were changed. */
  async pass(name: ChannelName): Promise<void> {
    for (let attempt = 0; attempt < MAX_ATTEMPTS; attempt++) {
      const seen = this.#replica.get(channelKey(name))?.version;
      await this.#replica.refresh(roomKey(name.room));
      const inherited = this.of(name);
      if (inherited === undefined || !(await this.#write(name, inherited, seen))) return;
    }
    throw new BusError(
      "CONCURRENT_UPDATE",
      `the defaults of room ${name.room} are being changed all the time; try again`,
    );
  }

  /**
   * The channel under a version above one that its log has seen, behind a storage that lost changes of records and not
   * those of logs: the log would take nothing any more. Undefined: it is gone.
   */
  async raise({ name }: ChannelView, above: number): Promise<ChannelView | undefined> {
    await this.#replica.write(channelKey(name), (current) => {
      if (current === undefined) return undefined;
      const record = current.value as ChannelRecord;
      const offset = record.versionOffset ?? 0;
      const missing = above - (current.version + offset);
      return missing <= 0 ? undefined : { ...record, versionOffset: offset + missing };
    });
    return this.#views.channel(name.key);
  }

  /** Answers whether the channel has newer ones already, which were not there when the room was read. */
  async #write(name: ChannelName, inherited: InheritedDefaults, seen: number | undefined): Promise<boolean> {
    let isOvertaken = false;
    await this.#replica.write(channelKey(name), (current) => {
      isOvertaken = false;
      if (current === undefined) return undefined;
      const record = current.value as ChannelRecord;
      const isNewer = record.inherited !== undefined && record.inherited.version > inherited.version;
      isOvertaken = isNewer && current.version !== seen;
      return isOvertaken || sameData(record.inherited, inherited) ? undefined : { ...record, inherited };
    });
    return isOvertaken;
  }
}

function inheritedFrom({ version, record }: RoomView): InheritedDefaults {
  return { version, config: record.defaults };
}
