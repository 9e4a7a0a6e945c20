import type { Clock } from "../../core/clock.ts";
import { BusError } from "../../core/errors.ts";
import { type ChannelName, checkName } from "../../core/names.ts";
import type { LogPlace, MemberRecord } from "../../core/room.ts";
import type { Directory } from "../../storage/directory.ts";
import { mapBounded } from "../bounded.ts";
import type { DirectoryReplica } from "../directory/directory-replica.ts";
import { memberKey } from "../directory/record-keys.ts";
import type { ChannelView } from "../directory/registry.ts";
import type { ChannelViews } from "./channel-views.ts";
import type { Memberships } from "./memberships.ts";
import { channelNotFound } from "./room-writer.ts";

export interface MembersOptions {
  readonly directory: Directory;
  readonly replica: DirectoryReplica;
  readonly views: ChannelViews;
  readonly memberships: Memberships;
  readonly clock: Clock;
}

/** Joining and leaving. The storage holds the limit of a channel, so that two nodes never both take the last place. */
export class Members {
  readonly #deps: MembersOptions;

  constructor(deps: MembersOptions) {
    this.#deps = deps;
  }

  /** Answers whether the agent was no member before. Throws CHANNEL_FULL, CHANNEL_DELETED. */
  async join(agentId: string, channel: ChannelView): Promise<boolean> {
    const { replica, clock, views } = this.#deps;
    const { key } = channel.name;
    // Before the record is there: whatever is published once the join was answered lies behind it, on every node.
    const joinedBehind = await endOf(channel);
    const member: MemberRecord = { agentId, joinedAtMs: clock.now(), ...(joinedBehind && { joinedBehind }) };
    const put = (current: unknown) => (current === undefined ? member : undefined);
    const outcome = await replica.write(memberKey(key, agentId), put, channel.config.maxMembers);
    if (outcome.kind === "full") throw full(channel);
    if (views.channel(key)?.incarnation !== channel.incarnation) {
      await replica.remove(memberKey(key, agentId));
      throw new BusError("CHANNEL_DELETED", `channel ${key} was deleted while ${agentId} joined; join again`);
    }
    return outcome.kind === "stored";
  }

  /** Throws CHANNEL_FULL as far as this node knows; the storage decides. */
  checkRoomFor(agentId: string, channel: ChannelView): void {
    const { members, config } = channel;
    if (members.size >= config.maxMembers && !members.has(agentId)) throw full(channel);
  }

  /** Answers whether the agent was a member. */
  async leave(agentId: string, name: ChannelName): Promise<boolean> {
    checkName("room", name.room);
    if (this.#deps.views.channel(name.key) === undefined) throw channelNotFound(name);
    return await this.#deps.replica.remove(memberKey(name.key, agentId));
  }

  /** By id, behind `after`. Throws CHANNEL_NOT_FOUND. */
  async list(name: ChannelName, after: string, limit: number): Promise<readonly MemberRecord[]> {
    checkName("room", name.room);
    if (this.#deps.views.channel(name.key) === undefined) throw channelNotFound(name);
    const parent = name.key;
    const request = { kind: "member", parent, limit, ...(after !== "" && { after: { parent, id: after } }) };
    const records = await this.#deps.directory.list(request);
    return records.map((record) => record.value as MemberRecord);
  }

  /** The agent is gone: it leaves everything it joined. */
  async leaveAll(agentId: string): Promise<void> {
    const joined = [...this.#deps.memberships.joinedBy(agentId)];
    await mapBounded(joined, (key) => this.#deps.replica.remove(memberKey(key, agentId)));
  }
}

function full({ name, config }: ChannelView): BusError {
  return new BusError("CHANNEL_FULL", `channel ${name.key} has max_members (${config.maxMembers}) members`);
}

async function endOf({ log, name, incarnation }: ChannelView): Promise<LogPlace | undefined> {
  const [end] = await log.ends([name]);
  return end?.incarnation === incarnation ? { epoch: end.epoch, sequence: end.head } : undefined;
}
