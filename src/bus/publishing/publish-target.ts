import { BusError } from "../../core/errors.ts";
import type { Draft } from "../../core/message.ts";
import { type ChannelName, channelName, checkName, INBOX_ROOM } from "../../core/names.ts";
import type { Agents } from "../directory/registry.ts";

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
