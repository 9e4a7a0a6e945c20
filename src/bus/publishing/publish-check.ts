import type { Draft } from "../../core/message.ts";
import type { MessageCodec } from "../../core/message-codec.ts";
import type { ChannelName } from "../../core/names.ts";
import type { Candidates } from "../../routing/routing-strategy.ts";
import { Turns } from "../../routing/turns.ts";
import type { Rooms } from "../directory/registry.ts";
import { route } from "./publish-stages.ts";

export interface PublishCheck {
  readonly sender: string;
  readonly target: ChannelName;
  readonly drafts: readonly Draft[];
  readonly hopCounts: readonly number[];
}

export interface PublishCheckDependencies {
  readonly rooms: Pick<Rooms, "plan">;
  readonly agents: Candidates;
  readonly codec: MessageCodec;
  readonly maxAudience: number;
}

/** As long as an id that the server draws. */
const SOME_ID = "00000000-0000-7000-8000-000000000000";

/**
 * Throws whatever would refuse the batch once its sender and its channel exist, while they do not. The sender comes next and
 * the channel last, so a publish that is refused creates nothing. What changes between this and the append (an agent that goes, a room that is routed anew) is
 * found by the routing that counts, which comes later.
 */
export async function checkPublish(
  { sender, target, drafts, hopCounts }: PublishCheck,
  { rooms, agents, codec, maxAudience }: PublishCheckDependencies,
): Promise<void> {
  const channel = await rooms.plan(target);
  // From here on without waiting: one and the same state of rooms and agents.
  route(drafts, sender, channel, { agents: withSender(agents, sender), turns: new Turns(), maxAudience });
  codec.encode(drafts, hopCounts, { name: target, sender, newId: () => SOME_ID });
}

/** The sender may name itself, though it comes to be with this message. It has no profile, so nothing else finds it. */
function withSender(agents: Candidates, sender: string): Candidates {
  return {
    exists: (agentId) => agentId === sender || agents.exists(agentId),
    profile: (agentId) => agents.profile(agentId),
    inGroup: (group) => agents.inGroup(group),
    fitting: (selection) => agents.fitting(selection),
    isAvailable: (agentId) => agents.isAvailable(agentId),
  };
}
