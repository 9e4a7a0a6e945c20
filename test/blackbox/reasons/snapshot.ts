import { toJson } from "@bufbuild/protobuf";
import { AgentSchema } from "../../../gen/agentbus/v1/agent_pb.ts";
import { ChannelSchema, RoomSchema } from "../../../gen/agentbus/v1/room_pb.ts";
import { scrape } from "../../support/metrics.ts";
import type { WireClients } from "../../support/wire-clients.ts";

/** For servers of which snapshots are compared: nobody who was cut off goes offline in between. */
export const STEADY = ["--set", "agents.lease=1h"];

/** Changes with each reading, or by the mere passing of time. */
const RESTLESS = ["lastActivityTime", "connectTime", "subscriptionCount", "subscriptions"];

/**
 * Everything that a request could leave behind: rooms, channels with their heads, agents, inboxes' heads, counters of
 * what was stored. Two that are equal say that nothing happened in between.
 */
export async function snapshot(url: string, { rooms, agents, bus }: WireClients): Promise<unknown> {
  const page = { pageSize: 1_000 };
  const [roomList, channelList, agentList, counted] = await Promise.all([
    rooms.listRooms(page),
    rooms.listChannels(page),
    agents.listAgents(page),
    scrape(url),
  ]);
  const inboxes = await Promise.all(
    agentList.agents.map(async ({ agentId }) => {
      // Unknown until somebody wrote to it.
      const head = await bus.fetch({ agentId, room: "_inbox", channel: agentId, backward: true, maxMessages: 1 }).then(
        ({ messages }) => String(messages[0]?.sequence ?? 0),
        () => "none",
      );
      return [agentId, head];
    }),
  );
  const plain = (json: unknown) =>
    JSON.parse(JSON.stringify(json, (key, value) => (RESTLESS.includes(key) ? undefined : value)));
  return {
    rooms: roomList.rooms.map((room) => plain(toJson(RoomSchema, room))),
    channels: channelList.channels.map((channel) => plain(toJson(ChannelSchema, channel))),
    agents: agentList.agents.map((agent) => plain(toJson(AgentSchema, agent))),
    inboxes,
    published: counted.sum("agentbus_messages_published_total"),
    duplicates: counted.sum("agentbus_messages_duplicate_total"),
    subscriptions: counted.sum("agentbus_subscriptions"),
  };
}
