import { isBusError } from "../../core/errors.ts";
import type { ChannelRecord } from "../../core/room.ts";
import type { DirectoryRecord } from "../../storage/directory.ts";
import { mapBounded } from "../bounded.ts";
import type { DirectoryReplica } from "../directory/directory-replica.ts";
import { channelKey } from "../directory/record-keys.ts";
import type { ChannelView } from "../directory/registry.ts";
import type { Logs } from "./durability.ts";

/** Logs of deleted channels that the storage did not delete; those beyond keep their bytes until the channel is created anew. */
const MAX_LEFT = 10_000;

/**
 * Sees to it that a channel has its log. The record comes first and the log second; whoever stops between the two
 * leaves a channel without a log, which is made when the channel is next used.
 */
export class ChannelLogs {
  readonly #replica: DirectoryReplica;
  readonly #logs: Logs;
  /** Incarnations whose log was seen. */
  readonly #ready = new Set<string>();
  /** By incarnation: their channels are deleted, and they may not be. */
  readonly #left = new Map<string, ChannelView>();

  constructor(replica: DirectoryReplica, logs: Logs) {
    this.#replica = replica;
    this.#logs = logs;
  }

  /** Whether the channel's log is this node's alone: no other node reads it or writes to it. */
  isLocal({ log }: ChannelView): boolean {
    const { volatile, durable, capabilities } = this.#logs;
    return log === volatile && (durable === undefined ? !capabilities.shared : durable !== volatile);
  }

  isReady(view: ChannelView): boolean {
    return this.#ready.has(view.incarnation);
  }

  /** The log of a channel that was created just now, by us. */
  async create(view: ChannelView): Promise<void> {
    await view.log.create(view.name, view.incarnation, view.version);
    this.#ready.add(view.incarnation);
  }

  /**
   * Makes the log when it is missing. False: the directory knows another incarnation, or none. To create a log replaces
   * the log of another incarnation, so the directory is asked once more before; not for a log of this node alone, which
   * must work while the directory is away.
   */
  async ensure(view: ChannelView): Promise<boolean> {
    const state = await view.log.state(view.name);
    if (state?.incarnation !== view.incarnation) {
      if (!this.isLocal(view)) {
        const record = await this.#replica.refresh(channelKey(view.name));
        if (incarnationOf(record) !== view.incarnation) return false;
      }
      try {
        await view.log.create(view.name, view.incarnation, view.version);
      } catch (error) {
        if (!isBusError(error, "CHANNEL_DELETED")) throw error;
        await this.#adopt(view);
        return false;
      }
    }
    this.#ready.add(view.incarnation);
    return true;
  }

  /**
   * There is a log of a later incarnation. Its record was stored before it was made, so most often the channel was created
   * anew meanwhile. Where the storage still has the earlier record, it has lost the later one, and without it nobody
   * could use the channel again: the record is made to name the log, whose messages are kept.
   */
  async #adopt({ name, log, incarnation }: ChannelView): Promise<void> {
    // The log first: one that is being deleted is gone before the channel is created under an earlier incarnation.
    const state = await log.state(name);
    if (state === undefined || state.incarnation <= incarnation) return;
    await this.#replica.refresh(channelKey(name));
    if ((await log.state(name))?.incarnation !== state.incarnation) return;
    await this.#replica.write(channelKey(name), (current) => {
      if (incarnationOf(current) !== incarnation) return undefined;
      return { ...current!.value, incarnation: state.incarnation };
    });
  }

  /** Logs that a restart emptied: without them every reader of such a channel would find none. */
  async createForgotten(views: readonly ChannelView[]): Promise<void> {
    await mapBounded(views, (view) => this.create(view));
  }

  /** When it fails, `deleteLeft` tries again: the channel's record is gone, so nobody else ever would. */
  async delete(view: ChannelView): Promise<void> {
    this.#ready.delete(view.incarnation);
    if (this.#left.size < MAX_LEFT) this.#left.set(view.incarnation, view);
    await view.log.delete(view.name, view.incarnation);
    this.#left.delete(view.incarnation);
  }

  /** Deletes the logs whose deletion failed. One of a channel that was created anew has another incarnation, and stays. */
  async deleteLeft(): Promise<void> {
    await mapBounded([...this.#left.values()], (view) => this.delete(view));
  }

  /** The channel is gone, whoever deleted it. The log of this node alone goes with it; a shared one is the deleter's. */
  forget(view: ChannelView): void {
    this.#ready.delete(view.incarnation);
    // Never fails: a log of one node is in its memory.
    if (this.isLocal(view)) void view.log.delete(view.name, view.incarnation);
  }
}

function incarnationOf(record: DirectoryRecord | undefined): string | undefined {
  return (record?.value as ChannelRecord | undefined)?.incarnation;
}
