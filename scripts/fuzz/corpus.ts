import { create, type DescMethod, fromJson, type JsonObject, toBinary, toJsonString } from "@bufbuild/protobuf";
import { AdminService } from "../../gen/agentbus/v1/admin_service_pb.ts";
import { AgentService } from "../../gen/agentbus/v1/agent_service_pb.ts";
import { BusService } from "../../gen/agentbus/v1/bus_service_pb.ts";
import { RoomService } from "../../gen/agentbus/v1/room_service_pb.ts";

/** A request that the server would take: what is broken on purpose is near to what works. */
export interface Sample {
  readonly path: string;
  readonly streams: boolean;
  readonly binary: Uint8Array;
  readonly json: string;
}

const channel = { room: "fuzz", channel: "notes" };
const publish = {
  agentId: "fuzzer",
  ...channel,
  messages: [
    {
      id: "some-id",
      type: "MESSAGE_TYPE_EVENT",
      name: "Tried",
      text: "a text — of some length",
      contentType: "text/plain",
      metadata: { key: "value", other: "" },
      priority: 3,
      causation: "fuzz:notes@00000001.1",
      timeToLive: "60s",
      timestamp: "2026-01-01T00:00:00Z",
    },
    { to: { agents: ["fuzzer"], select: { kinds: ["AGENT_KIND_SERVICE"], labels: { a: "b" }, capabilities: ["c"] } } },
  ],
};
const subscribe = {
  agentId: "fuzzer",
  channels: ["fuzz:notes"],
  patterns: ["fuzz.*:**"],
  resume: { positions: ["fuzz:notes@00000001.1"] },
  filter: { types: ["MESSAGE_TYPE_EVENT"], metadata: { key: "value" } },
  onGap: "ON_GAP_FAIL",
};
const REQUESTS: Readonly<Record<string, JsonObject>> = {
  Publish: publish,
  PublishStream: { requestId: 1, publish },
  Subscribe: subscribe,
  Connect: { requestId: 1, subscribe },
  Fetch: { agentId: "fuzzer", ...channel, position: "fuzz:notes@00000001.1", maxMessages: 5, backward: true },
  GetMessage: { agentId: "fuzzer", ...channel, messageId: "some-id" },
  RegisterAgent: { agent: { agentId: "fuzzer", groups: ["g"], capabilities: [{ name: "c", inputSchema: "{}" }] } },
  ListAgents: { kinds: ["AGENT_KIND_SERVICE"], pageSize: 3, pageToken: "abc" },
  CreateChannel: { channel: { ...channel, config: { retention: { maxMessages: "5" } } }, createRoom: true },
  ListChannels: { pattern: "fuzz:*", pageSize: 2 },
  JoinChannel: { agentId: "fuzzer", ...channel },
};
/** They would end the campaign, not the server's patience. */
const LEFT_OUT = ["Drain"];

export const CORPUS: readonly Sample[] = [BusService, AgentService, RoomService, AdminService].flatMap((service) =>
  service.methods.filter(({ name }) => !LEFT_OUT.includes(name)).map(sampleOf),
);

function sampleOf(method: DescMethod): Sample {
  const json = REQUESTS[method.name];
  const message = json === undefined ? create(method.input) : fromJson(method.input, json);
  return {
    path: `/${method.parent.typeName}/${method.name}`,
    streams: method.methodKind !== "unary",
    binary: toBinary(method.input, message),
    json: toJsonString(method.input, message),
  };
}
