import assert from "node:assert/strict";
import { create, toBinary } from "@bufbuild/protobuf";
import { beforeAll, describe, it } from "vitest";
import { type PublishStreamRequest, PublishStreamRequestSchema } from "../../../gen/agentbus/v1/bus_service_pb.ts";
import { failed } from "../../support/failure.ts";
import { callHttp2, envelope, grpcFailure } from "../../support/raw-call.ts";
import { waitUntil, within } from "../../support/wait.ts";
import { openClients, type WireClients } from "../../support/wire-clients.ts";
import { unique, useBus } from "../shared-bus.ts";
import { assertItemReason, assertReason } from "./provoked.ts";
import { STEADY, snapshot } from "./snapshot.ts";
import { send, WAYS } from "./ways.ts";

const LIMITS = {
  rooms: 4,
  channels: 10,
  agents: 12,
  implicitAgents: 4,
  subscriptions: 4,
  subscriptionsPerAgent: 2,
  channelsPerSubscription: 2,
  maxHops: 2,
  senderRate: 1,
  senderBurst: 20,
  watchBacklog: 1,
  protocolViolations: 3,
  audience: 2,
};

const text = (value: string) => ({ payload: { case: "text" as const, value } });

/** Refusals that depend on what is there already, or on how much. */
export function describeStates(): void {
  const limits = Object.entries(LIMITS).flatMap(([key, value]) => ["--set", `limits.${key}=${value}`]);
  const bus = useBus({ args: [...STEADY, ...limits] });
  const room = "lab";
  let clients: WireClients;

  beforeAll(async () => {
    clients = openClients(bus().url);
    for (let i = 0; i < 6; i++)
      await clients.agents.registerAgent({ agent: { agentId: `agent-${i}`, groups: ["all"] } });
    await clients.rooms.createRoom({ room: { room } });
    for (const channel of ["one", "two", "three"]) await clients.rooms.createChannel({ channel: { room, channel } });
    return () => clients.close();
  });

  async function subscribed(agentId: string, channel: string): Promise<void> {
    for await (const _ of clients.bus.subscribe({ agentId, channels: [channel] })) return;
  }

  it("S0-2.2.2: rooms, channels and agents are as many as allowed: TOO_MANY", async () => {
    const { rooms, agents } = clients;
    const createRooms = async () => {
      for (let i = 0; i <= LIMITS.rooms; i++) await rooms.createRoom({ room: { room: unique("room") } });
    };
    assertReason(await failed(createRooms()), "TOO_MANY");
    assert.equal((await rooms.listRooms({})).rooms.length, LIMITS.rooms);

    const createChannels = async () => {
      for (let i = 0; i <= LIMITS.channels; i++) {
        await rooms.createChannel({ channel: { room, channel: unique("channel") } });
      }
    };
    const fillChannels = async () => assertReason(await failed(createChannels()), "TOO_MANY");
    const removeChannels = async () => {
      for (const { channel } of (await rooms.listChannels({ room })).channels) {
        if (channel.startsWith("channel-")) await rooms.deleteChannel({ room, channel });
      }
    };
    await fillChannels();
    await removeChannels();

    const publish = (agentId: string, to: { readonly room: string; readonly channel: string }) =>
      clients.bus.publish({ agentId, ...to, messages: [text("hi")] });
    const refusedWithoutTrace = async (call: () => Promise<unknown>) => {
      const before = await snapshot(bus().url, clients);
      assertReason(await failed(call()), "TOO_MANY");
      assert.deepEqual(await snapshot(bus().url, clients), before, "the request left a trace");
    };
    const stranger = unique("stranger");
    await refusedWithoutTrace(() => publish(stranger, { room: unique("room"), channel: "new" }));
    await fillChannels();
    await refusedWithoutTrace(() => publish(stranger, { room, channel: "new" }));
    await refusedWithoutTrace(() => rooms.joinChannel({ agentId: stranger, room, channel: "new" }));
    await refusedWithoutTrace(() => subscribed(stranger, "lab:new"));
    await removeChannels();

    const useAgents = async () => {
      for (let i = 0; i <= LIMITS.implicitAgents; i++) await publish(unique("used"), { room, channel: "one" });
    };
    assertReason(await failed(useAgents()), "TOO_MANY");
    await refusedWithoutTrace(() => publish(stranger, { room, channel: "new" }));
    const registerAgents = async () => {
      for (let i = 0; i <= LIMITS.agents; i++) await agents.registerAgent({ agent: { agentId: unique("known") } });
    };
    assertReason(await failed(registerAgents()), "TOO_MANY");
    assert.equal((await agents.listAgents({})).agents.length, LIMITS.agents);
  });

  it("S0-2.2.2: one subscription, one agent and the node have their limits: TOO_MANY", async () => {
    const over = { rpc: "BusService/Subscribe", json: { agentId: "agent-0", patterns: ["lab:*"] } };
    for (const way of WAYS) assertReason(await send(bus().url, way, over), "TOO_MANY");

    using readers = openClients(bus().url);
    const open = async (agentId: string) => {
      const stream = readers.bus.subscribe({ agentId, channels: ["lab:one"] })[Symbol.asyncIterator]();
      await stream.next();
    };
    for (const agentId of ["agent-0", "agent-0"]) await open(agentId);
    assertReason(await failed(open("agent-0")), "TOO_MANY");
    for (const agentId of ["agent-1", "agent-2"]) await open(agentId);
    assertReason(await failed(open("agent-3")), "TOO_MANY");
  });

  it("S0-2.1.3b: an audience beyond limits.audience: TOO_MANY, and nothing is stored", async () => {
    const head = async () => (await clients.rooms.getChannel({ room, channel: "two" })).channel!.headSequence;
    const before = await head();
    const messages = [{ ...text("to all"), to: { groups: ["all"] } }];
    const failure = await failed(clients.bus.publish({ agentId: "agent-0", room, channel: "two", messages }));
    assertReason(failure, "TOO_MANY");
    assert.equal(await head(), before);
  });

  it("S4-11: a chain of causes that is too long: HOP_LIMIT", async () => {
    let causation = "";
    const react = async () => {
      const messages = [{ ...text("because"), causation }];
      const { results } = await clients.bus.publish({ agentId: "agent-1", room, channel: "two", messages });
      causation = results[0]!.position;
    };
    for (let hop = 0; hop <= LIMITS.maxHops; hop++) await react();
    assertReason(await failed(react()), "HOP_LIMIT");
    const stranger = { agentId: unique("stranger"), room, channel: "new" };
    const before = await snapshot(bus().url, clients);
    const messages = [{ ...text("because"), causation }];
    assertReason(await failed(clients.bus.publish({ ...stranger, messages })), "HOP_LIMIT");
    assert.deepEqual(await snapshot(bus().url, clients), before, "the request left a trace");
  });

  it("S4-8c: a sender beyond its rate: RATE_LIMITED with a delay, and others go on", async () => {
    const publish = (agentId: string, count: number) =>
      clients.bus.publish({ agentId, room, channel: "two", messages: Array.from({ length: count }, () => text("x")) });
    await publish("agent-2", LIMITS.senderBurst);
    const failure = await failed(publish("agent-2", 5));
    assertReason(failure, "RATE_LIMITED");
    assert.ok(failure.hasRetryDelay);
    assert.equal(failure.metadata["retry"], "SAME");
    await publish("agent-3", 1);
    const before = await snapshot(bus().url, clients);
    const stranger = { agentId: unique("stranger"), room, channel: "new" };
    const many = (message: object) => Array.from({ length: LIMITS.senderBurst }, () => message);
    const toNobody = many({ ...text("x"), to: { agents: ["nobody-here"] } });
    assertReason(await failed(clients.bus.publish({ ...stranger, messages: toNobody })), "UNKNOWN_RECIPIENT");
    // Its tokens are spent all the same, so a sender that nobody knows is too fast.
    const good = many(text("x"));
    assertReason(await failed(clients.bus.publish({ ...stranger, messages: good })), "RATE_LIMITED");
    assert.deepEqual(await snapshot(bus().url, clients), before, "the request left a trace");
  });

  it("S3-E.2: a stream that was refused takes the refused request first: RESEND_REQUIRED", async () => {
    const request = (requestId: number, count: number) =>
      create(PublishStreamRequestSchema, {
        requestId,
        publish: {
          agentId: "agent-4",
          room,
          channel: "two",
          messages: Array.from({ length: count }, (_, i) => ({
            ...text(`${requestId}.${i}`),
            id: `r${requestId}.${i}`,
          })),
        },
      });
    const queue = [request(1, LIMITS.senderBurst), request(2, 1), request(3, 1)];
    let wake = Promise.withResolvers<void>();
    async function* requests(): AsyncGenerator<PublishStreamRequest> {
      for (;;) {
        const next = queue.shift();
        if (next?.requestId === 0) return;
        if (next !== undefined) yield next;
        else await wake.promise.then(() => (wake = Promise.withResolvers()));
      }
    }
    const answers: string[] = [];
    for await (const { requestId, result } of clients.bus.publishStream(requests())) {
      const reason = result.case === "error" ? result.value.reason : "";
      if (result.case === "error") assertItemReason(result.value, reason);
      answers.push(`${requestId} ${reason || result.case}`);
      if (answers.length < 3) continue;
      // Until the rate allows it again.
      if (reason !== "") queue.push(request(reason === "RATE_LIMITED" ? requestId : 2, 1));
      else if (requestId === 2) queue.push(request(3, 1));
      else queue.push(create(PublishStreamRequestSchema));
      wake.resolve();
    }
    assert.deepEqual(answers.slice(0, 3), ["1 published", "2 RATE_LIMITED", "3 RESEND_REQUIRED"]);
    const published = answers.filter((answer) => answer.endsWith("published"));
    assert.deepEqual(published, ["1 published", "2 published", "3 published"]);
    const { messages } = await clients.bus.fetch({ agentId: "agent-4", room, channel: "two", maxMessages: 1_000 });
    const ids = messages.filter(({ sender }) => sender === "agent-4").map(({ id }) => id);
    assert.deepEqual(ids.slice(-2), ["r2.0", "r3.0"], "in order, each once");
  });

  it.each(["PublishStream", "Connect"])(
    "S3-FR-010: %s: who sends garbage again and again is cut off",
    async (method) => {
      const garbage = Buffer.concat(
        Array.from({ length: LIMITS.protocolViolations }, () => envelope(Buffer.from([0xff]))),
      );
      const hello = toBinary(PublishStreamRequestSchema, create(PublishStreamRequestSchema));
      const response = await callHttp2(bus().url, {
        path: `/agentbus.v1.BusService/${method}`,
        headers: { "content-type": "application/grpc+proto", te: "trailers" },
        body: Buffer.concat([envelope(hello), garbage, envelope(hello)]),
      });
      assertReason(grpcFailure(response), "PROTOCOL_VIOLATIONS");
    },
  );

  it("S2-R.4: a watcher that does not read: WATCHER_TOO_SLOW", async () => {
    const agentId = "agent-5";
    const watch = clients.agents.watchAgents({ agentIds: [agentId], skipCurrent: true })[Symbol.asyncIterator]();
    await watch.next();
    // Each change carries the whole profile: a few fill what is between server and client.
    const inputSchema = "x".repeat(16_000);
    const capabilities = Array.from({ length: 20 }, (_, i) => ({ name: `c${i}`, inputSchema }));
    for (let i = 0; i < 12; i++) {
      const agent = { agentId, capabilities, avatar: `picture-${i}` };
      await clients.agents.updateAgent({ agent, updateMask: { paths: ["capabilities", "avatar"] } });
    }
    const drain = async () => {
      while ((await watch.next()).done !== true);
    };
    const failure = await within(failed(drain()), { what: "the watch to end" });
    assertReason(failure, "WATCHER_TOO_SLOW");
    assert.equal(failure.metadata["retry"], "RECONNECT");
  });

  it("S3-US2.1: a channel deleted while somebody waits for it: CHANNEL_DELETED or its like, at once", async () => {
    await clients.rooms.createChannel({ channel: { room, channel: "doomed" } });
    const waiting = failed(
      clients.bus.fetch({ agentId: "agent-0", room, channel: "doomed", waitDuration: { seconds: 60n } }),
    );
    await waitUntil(
      async () => (await clients.rooms.getChannel({ room, channel: "doomed" })).channel!.subscriptionCount > 0,
    );
    await clients.rooms.deleteChannel({ room, channel: "doomed" });
    assertReason(await within(waiting, { what: "the long poll to end" }), "CHANNEL_DELETED");
  });

  describe("S4-12: a call whose deadline passes: DEADLINE", () => {
    const json = { agentId: "agent-0", room, channel: "one", position: "", waitDuration: "60s" };
    it.each(WAYS)("Fetch over %s", async (way) => {
      const { channel } = await clients.rooms.getChannel({ room, channel: "one" });
      const headers: Record<string, string> = way.startsWith("gRPC")
        ? { "grpc-timeout": "50m" }
        : { "connect-timeout-ms": "50" };
      const request = { rpc: "BusService/Fetch", json: { ...json, position: channel!.headPosition }, headers };
      assertReason(await send(bus().url, way, request), "DEADLINE");
    });
    it.each(WAYS)("Subscribe over %s, and the subscription is gone", async (way) => {
      const headers: Record<string, string> = way.startsWith("gRPC")
        ? { "grpc-timeout": "50m" }
        : { "connect-timeout-ms": "50" };
      const request = { rpc: "BusService/Subscribe", json: { agentId: "agent-0", channels: ["lab:three"] }, headers };
      assertReason(await send(bus().url, way, request), "DEADLINE");
      await waitUntil(
        async () => (await clients.rooms.getChannel({ room, channel: "three" })).channel!.subscriptionCount === 0,
      );
    });
  });
}
