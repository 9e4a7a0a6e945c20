import assert from "node:assert/strict";
import { type MessageInitShape, toJson } from "@bufbuild/protobuf";
import { beforeAll, describe, it } from "vitest";
import { GapSchema, OnGap } from "../../gen/agentbus/v1/bus_service_pb.ts";
import { MessageSchema, MessageType } from "../../gen/agentbus/v1/message_pb.ts";
import { failed } from "../support/failure.ts";
import { waitUntil } from "../support/wait.ts";
import { openClients, type WireClients, type WireOptions } from "../support/wire-clients.ts";
import { useBus } from "./shared-bus.ts";

const bus = useBus({ args: ["--set", "cleanupInterval=100ms"] });

/** All encodings over both paths. The first is what the others are compared with. */
const ENCODINGS: readonly { readonly name: string; readonly wire: WireOptions }[] = [
  { name: "gRPC (fast)", wire: { protocol: "grpc" } },
  { name: "gRPC compressed (portable, binary)", wire: { protocol: "grpc", compress: true } },
  { name: "gRPC JSON (portable)", wire: { protocol: "grpc", binary: false } },
  { name: "gRPC-Web over HTTP/1.1 (fast)", wire: { protocol: "grpc-web", httpVersion: "1.1" } },
  { name: "gRPC-Web compressed (portable, binary)", wire: { protocol: "grpc-web", compress: true } },
  { name: "Connect (fast)", wire: { protocol: "connect" } },
  { name: "Connect over HTTP/1.1 (fast)", wire: { protocol: "connect", httpVersion: "1.1" } },
  { name: "Connect compressed (portable, binary)", wire: { protocol: "connect", compress: true } },
  { name: "Connect JSON (portable)", wire: { protocol: "connect", binary: false } },
  { name: "Connect JSON over HTTP/1.1 (portable)", wire: { protocol: "connect", binary: false, httpVersion: "1.1" } },
];
const OTHERS = ENCODINGS.slice(1);

const room = "lab";
/** Every field that a client may set, and every kind of payload. */
const MESSAGES: readonly MessageInitShape<typeof MessageSchema>[] = [
  { payload: { case: "text", value: "plain — and “not ASCII” 🚌" } },
  { payload: { case: "data", value: Uint8Array.from({ length: 256 }, (_, i) => i) } },
  {},
  { payload: { case: "text", value: "" }, type: MessageType.EVENT, name: "Started" },
  {
    version: "1.7",
    id: "chosen-id",
    type: MessageType.COMMAND,
    name: "CreateUser",
    payload: { case: "text", value: '{"name":"Ada"}' },
    contentType: "application/json",
    metadata: { b: "2", a: "1", empty: "" },
    priority: 9,
    idempotencyKey: "once",
    orderingKey: "users",
    correlationId: "talk-1",
    replyTo: "lab:answers",
    timeToLive: { seconds: 3_600n, nanos: 500_000_000 },
    timestamp: { seconds: 1_700_000_000n, nanos: 123_456_789 },
    traceparent: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
    sessionId: "session-1",
    schema: "users.v1.CreateUser",
  },
  { payload: { case: "text", value: "for bob" }, to: { agents: ["bob"], groups: ["team"] } },
  { payload: { case: "text", value: "for carol" }, to: { agents: ["carol"] } },
];

let clients: WireClients;

beforeAll(async () => {
  clients = openClients(bus().url);
  const { rooms, agents, bus: service } = clients;
  for (const agentId of ["alice", "bob", "carol"]) await agents.registerAgent({ agent: { agentId, groups: ["team"] } });
  await rooms.createRoom({ room: { room } });
  await rooms.createChannel({ channel: { room, channel: "all" } });
  await rooms.createChannel({ channel: { room, channel: "short", config: { retention: { maxMessages: 2n } } } });
  await service.publish({ agentId: "alice", room, channel: "all", messages: [...MESSAGES] });
  for (let i = 0; i < 5; i++) await service.publish({ agentId: "alice", room, channel: "short", messages: [{}] });
  await waitUntil(async () => (await rooms.getChannel({ room, channel: "short" })).channel!.firstSequence === 4n);
  return () => clients.close();
});

/** Everything that a reader is told until it has caught up, as JSON, without clocks. */
async function readAll({ bus: service }: WireClients, agentId: string, channel: string, resume?: readonly string[]) {
  const start =
    resume === undefined
      ? { case: "earliest" as const, value: true }
      : { case: "resume" as const, value: { positions: [...resume] } };
  const seen = { messages: [] as unknown[], positions: new Map<string, string>(), gaps: [] as unknown[], opened: 0 };
  for await (const response of service.subscribe({ agentId, channels: [`${room}:${channel}`], start })) {
    seen.messages.push(...response.messages.map((message) => toJson(MessageSchema, message)));
    seen.gaps.push(...response.gaps.map((gap) => toJson(GapSchema, gap)));
    for (const position of response.positions)
      seen.positions.set(position.slice(0, position.lastIndexOf("@")), position);
    if (response.opened !== undefined) seen.opened++;
    assert.deepEqual(response.$unknown ?? [], [], "what is sent is what the contract has");
    for (const message of response.messages) assert.deepEqual(message.$unknown ?? [], []);
    if (response.caughtUp) break;
  }
  return { ...seen, positions: Object.fromEntries(seen.positions) };
}

describe("U-1: every encoding and both paths tell the same", () => {
  it("what is published over gRPC arrives as it was sent", async () => {
    const { messages } = await clients.bus.fetch({ agentId: "alice", room, channel: "all" });
    assert.equal(messages.length, MESSAGES.length);
    messages.forEach((message, i) => {
      const { payload, metadata, timestamp, to, ...sent } = MESSAGES[i]!;
      for (const [field, value] of Object.entries(sent)) {
        if (field === "timeToLive") continue;
        assert.deepEqual(message[field as keyof typeof message], value, field);
      }
      assert.deepEqual(message.payload, payload ?? { case: undefined });
      assert.deepEqual(message.metadata, metadata ?? {});
      assert.equal(message.timestamp?.nanos, timestamp?.nanos);
      assert.deepEqual(message.to?.agents ?? [], to?.agents ?? []);
      assert.equal(message.sender, "alice");
      assert.equal(message.sequence, BigInt(i + 1));
      assert.ok(message.acceptTime !== undefined && message.id !== "");
      assert.notEqual(message.type, MessageType.UNSPECIFIED);
    });
  });

  it.each(OTHERS)("Subscribe over $name: messages, positions, and only what one may see", async ({ wire }) => {
    using other = openClients(bus().url, wire);
    for (const agentId of ["alice", "bob", "carol"]) {
      const reference = await readAll(clients, agentId, "all");
      assert.equal(reference.messages.length, agentId === "alice" ? 0 : agentId === "bob" ? 6 : 7);
      assert.deepEqual(await readAll(other, agentId, "all"), reference);
    }
  });

  it.each(OTHERS)("Subscribe over $name: gaps, also those that fail", async ({ wire }) => {
    using other = openClients(bus().url, wire);
    const { channel } = await clients.rooms.getChannel({ room, channel: "short" });
    const trimmed = [channel!.headPosition.replace(/\.\d+$/, ".1")];
    const reference = await readAll(clients, "bob", "short", trimmed);
    assert.deepEqual(reference.gaps, [
      {
        room,
        channel: "short",
        firstSequence: "2",
        lastSequence: "3",
        cause: "GAP_CAUSE_RETENTION",
      },
    ]);
    assert.deepEqual(await readAll(other, "bob", "short", trimmed), reference);
    const fail = async ({ bus: service }: WireClients) => {
      const request = {
        agentId: "bob",
        channels: ["lab:short"],
        start: { case: "resume" as const, value: { positions: trimmed } },
        onGap: OnGap.FAIL,
      };
      for await (const _ of service.subscribe(request));
    };
    const failure = await failed(fail(clients));
    assert.equal(failure.reason, "GAP");
    assert.deepEqual(await failed(fail(other)), failure);
  });

  it.each(OTHERS)("Fetch and GetMessage over $name", async ({ wire }) => {
    using other = openClients(bus().url, wire);
    const fetchAll = async ({ bus: service }: WireClients) => {
      const page = await service.fetch({ agentId: "bob", room, channel: "all", maxMessages: 4, backward: true });
      const which = { case: "position" as const, value: page.position };
      const { message } = await service.getMessage({ agentId: "bob", which });
      return { page, message };
    };
    assert.deepEqual(await fetchAll(other), await fetchAll(clients));
  });

  it.each(ENCODINGS)("Publish over $name: the same message is stored", async ({ wire, name }) => {
    using other = openClients(bus().url, wire);
    const channel = { room, channel: `from-${ENCODINGS.findIndex((encoding) => encoding.name === name)}` };
    const { results } = await other.bus.publish({
      agentId: "alice",
      ...channel,
      messages: [...MESSAGES],
    });
    const again = await other.bus.publish({ agentId: "alice", ...channel, messages: [MESSAGES[4]!] });
    assert.equal(again.results[0]!.duplicate, true, "the same content, however it was encoded");
    assert.equal(again.results[0]!.position, results[4]!.position);
    assert.deepEqual(
      results.map(({ audience }) => audience?.agents),
      [undefined, undefined, undefined, undefined, undefined, ["alice", "bob", "carol"], ["carol"]],
    );
    const stored = await clients.bus.fetch({ agentId: "carol", ...channel });
    const reference = await clients.bus.fetch({ agentId: "carol", room, channel: "all" });
    const comparable = ({ messages }: typeof stored) =>
      messages.map((message, i) => ({
        ...message,
        channel: "",
        epoch: 0,
        acceptTime: undefined,
        id: MESSAGES[i]?.id === undefined ? "" : message.id,
      }));
    assert.deepEqual(comparable(stored), comparable(reference));
  });

  it("the same key over another encoding is the same key", async () => {
    const publish = ({ bus: service }: WireClients) =>
      service.publish({ agentId: "alice", room, channel: "crossed", messages: [MESSAGES[4]!] });
    const first = (await publish(clients)).results[0]!;
    for (const { name, wire } of OTHERS) {
      using other = openClients(bus().url, wire);
      const { position, duplicate } = (await publish(other)).results[0]!;
      assert.deepEqual({ position, duplicate }, { position: first.position, duplicate: true }, name);
    }
  });

  it.each(OTHERS)("refusals over $name: code, reason, details and text", async ({ wire }) => {
    using other = openClients(bus().url, wire);
    const calls: ((clients: WireClients) => Promise<unknown>)[] = [
      ({ bus: service }) =>
        service.publish({ agentId: "alice", room, channel: "all", messages: [{}, { to: { agents: ["nobody"] } }] }),
      ({ bus: service }) => service.publish({ agentId: "alice", room, channel: "a b", messages: [{}] }),
      ({ bus: service }) =>
        service.publish({ agentId: "alice", room, channel: "all", messages: [{ name: "x".repeat(129) }] }),
      ({ bus: service }) => service.fetch({ agentId: "bob", room, channel: "all", maxMessages: -1 }),
      ({ bus: service }) => service.getMessage({ agentId: "bob", room, channel: "all" }),
      async ({ bus: service }) => {
        for await (const _ of service.subscribe({ agentId: "bob", channels: ["_inbox:alice"] }));
      },
      async ({ bus: service }) => {
        for await (const _ of service.subscribe({ agentId: "bob", maxMessages: -1 }));
      },
      ({ rooms }) => rooms.getRoom({ room: "none" }),
    ];
    for (const call of calls) assert.deepEqual(await failed(call(other)), await failed(call(clients)));
  });
});
