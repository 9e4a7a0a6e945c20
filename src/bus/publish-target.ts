import { BusError } from "../core/errors.ts";
import type { Draft, Recipients } from "../core/message.ts";
import { type ChannelName, channelName, checkName, INBOX_ROOM, quote } from "../core/names.ts";
import type { Agents } from "./registry.ts";

/** Recipients of one batch that the storage is asked for before they are called unknown. */
const MAX_LOOKUPS = 16;

/** Where a batch goes: the channel it names, or the inbox of the only agent in `to`. Throws BAD_NAME, RECIPIENT_REQUIRED. */
export function targetOf(
  { room, channel }: { readonly room: string; readonly channel: string },
  drafts: readonly Draft[],
): ChannelName {
  if (room !== "" || channel !== "") {
    checkName("room", room);
    checkName("channel", channel);
    return channelName(room, channel);
  }
  const recipient = drafts[0]!.to?.agents[0];
  drafts.forEach(({ to }, index) => {
    const one = to !== undefined && to.agents.length === 1 && to.groups.length === 0 && to.select === undefined;
    if (one && to.agents[0] === recipient) return;
    throw new BusError(
      "RECIPIENT_REQUIRED",
      "a message without room and channel goes to an inbox: name one agent in `to`, the same in the whole batch",
    ).at(index);
  });
  return channelName(INBOX_ROOM, recipient!);
}

/** Recipients that this node does not know and another node may have registered just now. */
export function unheardOf(drafts: readonly Draft[], agents: Agents): readonly string[] {
  if (!agents.mayBeBehind) return [];
  const unheard = new Set(drafts.flatMap(({ to }) => to?.agents ?? []).filter((id) => !agents.exists(id)));
  return [...unheard].slice(0, MAX_LOOKUPS);
}

/** Throws the first message's error when nobody can be told, as far as that is known before routing. */
export function checkRecipients(drafts: readonly Draft[], sender: string, agents: Agents): void {
  drafts.forEach(({ to }, index) => {
    const refusal = to && refusalOf(to, sender, agents);
    if (refusal !== undefined) throw refusal.at(index);
  });
}

/** The sender itself may come to be with this message. */
function refusalOf({ agents: ids, groups, select }: Recipients, sender: string, agents: Agents): BusError | undefined {
  const unknown = ids.find((id) => id !== sender && !agents.exists(id));
  if (unknown !== undefined) {
    return new BusError("UNKNOWN_RECIPIENT", `to.agents: there is no agent ${quote(unknown)}`);
  }
  const empty = groups.find((group) => agents.inGroup(group).length === 0);
  if (empty !== undefined) return new BusError("UNKNOWN_RECIPIENT", `to.groups: no agent is in group ${quote(empty)}`);
  if (select === undefined || agents.fitting(select).some((id) => id !== sender)) return undefined;
  return new BusError("NO_CANDIDATE", "to.select: no other agent fits");
}
