import assert from "node:assert/strict";
import { createRequire } from "node:module";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, describe, it } from "vitest";
import { AdminService } from "../../gen/agentbus/v1/admin_service_pb.ts";
import { AgentService } from "../../gen/agentbus/v1/agent_service_pb.ts";
import { BusService } from "../../gen/agentbus/v1/bus_service_pb.ts";
import { RoomService } from "../../gen/agentbus/v1/room_service_pb.ts";
import { startBus } from "../support/bus-process.ts";
import { scrape } from "../support/metrics.ts";
import { waitUntil, within } from "../support/wait.ts";
import { jsonValues, runTool } from "./run-tool.ts";
import { useBus } from "./shared-bus.ts";

const ROOT = fileURLToPath(new URL("../../", import.meta.url));
/** The program itself: the npm package's wrapper would start a Node for each call. */
const BUF = createRequire(import.meta.url).resolve(`@bufbuild/buf-${process.platform}-${process.arch}/bin/buf`);

const bus = useBus();

/** A call of one RPC, of several messages for a client stream. */
interface Call {
  readonly rpc: string;
  readonly send: readonly object[];
  /** Of the first value of the answer. */
  readonly expect: RegExp;
  /** The server goes on answering until the client leaves. */
  readonly open?: boolean;
}

/** Every RPC but Drain, in an order in which each finds what it needs. `id` keeps ways apart. */
function callsFor(id: string): readonly Call[] {
  const [room, agentId] = [`room-${id}`, `agent-${id}`];
  const channel = { room, channel: "notes" };
  const message = { text: "hi", id: "first" };
  return [
    { rpc: "AdminService/Ping", send: [{ payload: id }], expect: new RegExp(`"payload": *"${id}"`) },
    { rpc: "AdminService/GetServerInfo", send: [{}], expect: /"protocolVersion": *"1\.0"/ },
    { rpc: "AdminService/GetStatus", send: [{}], expect: /"nodes"/ },
    { rpc: "AdminService/GetMetrics", send: [{}], expect: /"json"/ },
    {
      rpc: "AgentService/RegisterAgent",
      send: [{ agent: { agentId, kind: "AGENT_KIND_HUMAN" } }],
      expect: /"created": *true/,
    },
    {
      rpc: "AgentService/UpdateAgent",
      send: [{ agent: { agentId, screenName: "Ann" }, updateMask: "screenName" }],
      expect: /"screenName": *"Ann"/,
    },
    { rpc: "AgentService/GetAgent", send: [{ agentId }], expect: /"revision": *"2"/ },
    { rpc: "AgentService/Heartbeat", send: [{ agentId, state: "AGENT_STATE_AWAY" }], expect: /AGENT_STATE_AWAY/ },
    { rpc: "AgentService/ListAgents", send: [{ pageSize: 1_000 }], expect: new RegExp(`"${agentId}"`) },
    { rpc: "AgentService/WatchAgents", send: [{ agentIds: [agentId] }], expect: /"caughtUp": *true/, open: true },
    { rpc: "RoomService/CreateRoom", send: [{ room: { room } }], expect: /"created": *true/ },
    {
      rpc: "RoomService/UpdateRoom",
      send: [{ room: { room, description: "new" }, updateMask: "description" }],
      expect: /"description": *"new"/,
    },
    { rpc: "RoomService/GetRoom", send: [{ room }], expect: new RegExp(`"${room}"`) },
    { rpc: "RoomService/ListRooms", send: [{ pageSize: 1_000 }], expect: new RegExp(`"${room}"`) },
    { rpc: "RoomService/CreateChannel", send: [{ channel }], expect: /"created": *true/ },
    {
      rpc: "RoomService/UpdateChannel",
      send: [{ channel: { ...channel, description: "new" }, updateMask: "description" }],
      expect: /"effectivePosition"/,
    },
    { rpc: "RoomService/GetChannel", send: [channel], expect: /"headPosition"/ },
    { rpc: "RoomService/ListChannels", send: [{ room }], expect: /"notes"/ },
    { rpc: "RoomService/JoinChannel", send: [{ agentId, ...channel }], expect: /"joined": *true/ },
    { rpc: "RoomService/ListMembers", send: [channel], expect: new RegExp(`"${agentId}"`) },
    { rpc: "RoomService/LeaveChannel", send: [{ agentId, ...channel }], expect: /"left": *true/ },
    // Its first response is empty.
    { rpc: "RoomService/WatchRoom", send: [{ room }], expect: /\{\s*\}/, open: true },
    {
      rpc: "BusService/Publish",
      send: [{ agentId, ...channel, messages: [message] }],
      expect: /notes@[0-9a-f]{8}\.1"/,
    },
    {
      rpc: "BusService/PublishStream",
      send: [2, 3].map((requestId) => ({ requestId, publish: { agentId, ...channel, messages: [{ text: "again" }] } })),
      expect: /notes@[0-9a-f]{8}\.2"[\s\S]*notes@[0-9a-f]{8}\.3"/,
    },
    {
      rpc: "BusService/Subscribe",
      send: [{ agentId, channels: [`${room}:notes`], earliest: true, echo: true }],
      expect: /"opened"[\s\S]*"sequence": *"3"/,
      open: true,
    },
    {
      rpc: "BusService/Connect",
      send: [
        { requestId: 1, hello: { agentId } },
        { requestId: 2, publish: { ...channel, messages: [{ text: "by line" }] } },
      ],
      expect: /"welcome"[\s\S]*notes@[0-9a-f]{8}\.4"/,
    },
    { rpc: "BusService/Fetch", send: [{ agentId, ...channel, backward: true, maxMessages: 1 }], expect: /"by line"/ },
    { rpc: "BusService/GetMessage", send: [{ agentId, ...channel, messageId: "first" }], expect: /"hi"/ },
    { rpc: "AgentService/DisconnectAgent", send: [{ agentId }], expect: /\{/ },
    { rpc: "RoomService/DeleteChannel", send: [channel], expect: /\{/ },
    { rpc: "RoomService/DeleteRoom", send: [{ room }], expect: /\{/ },
    { rpc: "AgentService/DeleteAgent", send: [{ agentId }], expect: /\{/ },
  ];
}

const SOURCES = ["reflection", "schema"] as const;
const PROTOCOLS = ["grpc", "grpcweb", "connect"] as const;
const WAYS = SOURCES.flatMap((source) => PROTOCOLS.map((protocol) => ({ source, protocol })));
const CLIENT_STREAMS = ["BusService/PublishStream", "BusService/Connect"];

function bufCurl(url: string, { source, protocol }: (typeof WAYS)[number], call: Call) {
  // Without it Connect and gRPC-Web go over HTTP/1.1, which has no client streams.
  const http2 = source === "reflection" || protocol === "grpc" || CLIENT_STREAMS.includes(call.rpc);
  return runTool(
    BUF,
    [
      "curl",
      ...(http2 ? ["--http2-prior-knowledge"] : []),
      ...(source === "schema" ? ["--schema", join(ROOT, "proto")] : []),
      ...["--protocol", protocol, "-d", "@-", `${url}/agentbus.v1.${call.rpc}`],
    ],
    { input: call.send.map((part) => JSON.stringify(part)).join("\n"), ...(call.open ? { until: call.expect } : {}) },
  );
}

describe.concurrent.each(WAYS)("U-5: buf curl by $source over $protocol calls every RPC", ({ source, protocol }) => {
  const calls = callsFor(`${source}-${protocol}`);

  it("of the four services", async () => {
    for (const call of calls) {
      const { code, stdout, stderr } = await bufCurl(bus().url, { source, protocol }, call);
      assert.equal(code, call.open ? null : 0, `${call.rpc}: ${stdout}${stderr}`);
      assert.match(stdout, call.expect, call.rpc);
    }
  });

  it("and forgets none", () => {
    const all = [BusService, AgentService, RoomService, AdminService].flatMap((service) =>
      service.methods.map((method) => `${service.name}/${method.name}`),
    );
    const called = new Set(calls.map(({ rpc }) => rpc));
    assert.deepEqual(
      all.filter((rpc) => !called.has(rpc)),
      ["AdminService/Drain"],
    );
  });
});

describe("U-5: buf curl", () => {
  it.each(WAYS)("by $source over $protocol drains a server", async (way) => {
    await using leaving = await startBus();
    const outcome = await bufCurl(leaving.url, way, { rpc: "AdminService/Drain", send: [{}], expect: /\{/ });
    assert.equal(outcome.code, 0, outcome.stderr);
    assert.deepEqual(await within(leaving.exited), { code: 0, signal: null });
  });

  it("lists services and methods by both versions of reflection", async () => {
    for (const version of ["grpc-v1", "grpc-v1alpha"]) {
      const options = ["curl", "--http2-prior-knowledge", "--protocol", "grpc", "--reflect-protocol", version];
      const { code, stdout, stderr } = await runTool(BUF, [...options, "--list-methods", bus().url]);
      assert.equal(code, 0, stderr);
      for (const rpc of ["BusService/Subscribe", "RoomService/WatchRoom", "AdminService/Drain"]) {
        assert.ok(stdout.includes(`agentbus.v1.${rpc}`), stdout);
      }
    }
  });

  it.each(PROTOCOLS)("over %s shows a refusal with its reason", async (protocol) => {
    const call = { rpc: "BusService/Publish", send: [{ agentId: "a", room: "b c", channel: "d" }], expect: /./ };
    const { code, stderr } = await bufCurl(bus().url, { source: "reflection", protocol }, call);
    assert.equal(code, 8 * 3, "INVALID_ARGUMENT, as buf tells it");
    const failure = jsonValues(stderr)[0] as { code: string; details: { type: string; debug?: { reason?: string } }[] };
    assert.equal(failure.code, "invalid_argument");
    const info = failure.details.find(({ type }) => type === "google.rpc.ErrorInfo");
    assert.ok(info !== undefined, stderr);
  });
});

// Streams that were broken off by killing their client must be gone.
afterAll(async () => {
  await waitUntil(async () => {
    const counted = await scrape(bus().url);
    return counted.sum("agentbus_subscriptions") === 0 && counted.sum("agentbus_calls_in_flight") <= 1;
  });
});
