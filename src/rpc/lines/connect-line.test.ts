import assert from "node:assert/strict";
import { create, fromBinary, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import { describe, it } from "vitest";
import {
  ConnectRequestSchema,
  type ConnectResponse,
  ConnectResponseSchema,
  EndReason,
  SubscribeRequestSchema,
} from "../../../gen/agentbus/v1/bus_service_pb.ts";
import { textOf } from "../../../test/support/bus-fixture.ts";
import { openHeldBus } from "../../../test/support/held-bus.ts";
import { type BusError, BusError as Failure } from "../../core/errors.ts";
import { channelName } from "../../core/names.ts";
import { createRequestValidator } from "../errors/validation.ts";
import { ConnectLine, INITIAL_CREDIT_BYTES } from "./connect-line.ts";

const EXPLORE = "science:explore";
const explore = channelName("science", "explore");
const validator = createRequestValidator([SubscribeRequestSchema]);
type Request = NonNullable<MessageInitShape<typeof ConnectRequestSchema>["request"]>;

async function openLine(settings: { hello?: boolean; limits?: object } = {}) {
  const bus = await openHeldBus({ nodeId: "n1", limits: settings.limits ?? {} });
  const responses: ConnectResponse[] = [];
  const finished: (BusError | undefined)[] = [];
  const control = { writable: true, reliefs: 0 };
  const line = new ConnectLine({
    bus,
    validator,
    actor(agentId) {
      if (agentId === "mallory") throw new Failure("AGENT_NOT_ALLOWED", "no");
      return agentId;
    },
    send(parts) {
      responses.push(fromBinary(ConnectResponseSchema, Uint8Array.from(Buffer.concat(parts))));
      return control.writable;
    },
    finish: (error) => finished.push(error),
    onRelief: () => control.reliefs++,
  });
  const send = (requestId: number, request: Request) =>
    line.receive(Buffer.from(toBinary(ConnectRequestSchema, create(ConnectRequestSchema, { requestId, request }))));
  const publish = (requestId: number, ...texts: string[]) =>
    send(requestId, {
      case: "publish",
      value: {
        room: "science",
        channel: "explore",
        messages: texts.map((value) => ({ payload: { case: "text", value } })),
      },
    });
  const subscribe = (requestId: number, ...channels: string[]) =>
    send(requestId, { case: "subscribe", value: { channels } });
  /** As "id what", deliveries with their texts. */
  const told = () =>
    responses.map(({ requestId, response }) => {
      if (response.case === "error") return `${requestId} ${response.value.reason}`;
      if (response.case !== "delivery") return `${requestId} ${response.case}`;
      const { opened, messages, end } = response.value;
      return `${requestId} ${opened ? "opened" : end ? `end ${end.reason}` : messages.map(textOf).join(",")}`;
    });
  const clear = () => {
    responses.length = 0;
  };
  if (settings.hello !== false) {
    send(1, { case: "hello", value: { agentId: "alice" } });
    await bus.settle();
    clear();
  }
  return { bus, line, send, publish, subscribe, told, responses, finished, control, clear };
}

describe("a line", () => {
  it("S3-FR-001: is opened by hello, for one agent, which is then present", async () => {
    const { bus, send, responses } = await openLine({ hello: false });
    send(1, { case: "hello", value: { agentId: "alice", client: "test/1" } });
    await bus.settle();
    const { response, requestId } = responses[0]!;
    assert.equal(requestId, 1);
    assert.equal(response.case, "welcome");
    assert.deepEqual(
      [response.value.nodeId, response.value.agentId, response.value.initialCredit],
      ["n1", "alice", INITIAL_CREDIT_BYTES],
    );
    assert.equal(bus.agents.state("alice"), "ONLINE");
  });

  it("does nothing before hello, and takes it once", async () => {
    const { bus, send, publish, subscribe, told } = await openLine({ hello: false });
    publish(1, "x");
    subscribe(2, EXPLORE);
    send(3, { case: "join", value: { room: "science", channel: "explore" } });
    send(4, { case: "hello", value: { agentId: "alice", observe: true } });
    send(5, { case: "hello", value: { agentId: "bob" } });
    await bus.settle();
    const malformed = (id: number) => `${id} MALFORMED_REQUEST`;
    assert.deepEqual(told(), [malformed(1), malformed(2), malformed(3), "4 welcome", malformed(5)]);
    assert.deepEqual(
      [bus.rooms.counts.channels, bus.agents.exists("bob"), bus.agents.state("alice")],
      [0, false, "OFFLINE"],
    );
  });

  it("hello for an agent that the caller may not act for is refused, and another may follow", async () => {
    const { bus, send, told } = await openLine({ hello: false });
    send(1, { case: "hello", value: { agentId: "mallory" } });
    send(2, { case: "hello", value: { agentId: "alice" } });
    await bus.settle();
    assert.deepEqual(told(), ["1 AGENT_NOT_ALLOWED", "2 welcome"]);
  });

  it("S3-FR-001: publishes, subscribes, joins, leaves and beats, both ways at once", async () => {
    const { bus, send, publish, subscribe, told } = await openLine();
    subscribe(2, EXPLORE);
    publish(3, "mine");
    send(4, { case: "join", value: { room: "science", channel: "explore" } });
    send(5, { case: "heartbeat", value: {} });
    send(0, { case: "heartbeat", value: {} });
    send(6, { case: "leave", value: { room: "science", channel: "explore" } });
    await bus.settle();
    await bus.say("bob", EXPLORE, "yours");
    await bus.settle();
    assert.deepEqual(told(), ["2 opened", "3 published", "4 done", "5 done", "6 done", "2 yours"]);
  });

  it("speaks for nobody else", async () => {
    const { bus, send, told, finished } = await openLine();
    send(2, { case: "publish", value: { agentId: "bob", room: "science", channel: "explore", messages: [{}] } });
    send(3, { case: "subscribe", value: { agentId: "bob", channels: [EXPLORE] } });
    send(4, { case: "join", value: { agentId: "bob", room: "science", channel: "explore" } });
    send(5, { case: "heartbeat", value: { agentId: "bob" } });
    send(6, { case: "publish", value: { agentId: "alice", room: "science", channel: "explore", messages: [{}] } });
    await bus.settle();
    assert.deepEqual(told(), [
      "2 AGENT_NOT_ALLOWED",
      "3 AGENT_NOT_ALLOWED",
      "4 AGENT_NOT_ALLOWED",
      "5 AGENT_NOT_ALLOWED",
      "6 published",
    ]);
    assert.deepEqual(finished, []);
  });

  it("stays open after errors of its requests", async () => {
    const { bus, send, publish, subscribe, told, finished } = await openLine();
    subscribe(2, "no channel");
    subscribe(3, "_inbox:bob");
    send(4, {
      case: "publish",
      value: { room: "science", channel: "explore", messages: [{ to: { agents: ["nobody"] } }] },
    });
    send(5, { case: "leave", value: { room: "science", channel: "nowhere" } });
    send(6, { case: "subscribe", value: { channels: [EXPLORE], maxMessages: -1 } });
    publish(7, "fine");
    await bus.settle();
    assert.deepEqual(told(), [
      "2 BAD_NAME",
      "3 INBOX_PRIVATE",
      "4 UNKNOWN_RECIPIENT",
      "5 CHANNEL_NOT_FOUND",
      "6 INVALID_FIELD",
      "7 published",
    ]);
    assert.deepEqual(finished, []);
  });

  it("keeps many publishes in flight, in their order", async () => {
    const { bus, publish, told } = await openLine();
    await bus.say("bob", EXPLORE, "root");
    bus.hold(true);
    for (let id = 2; id <= 6; id++) publish(id, `m${id}`);
    await bus.settle();
    assert.equal(bus.held.length, 5);
    for (const append of bus.held) append.go();
    await bus.settle();
    assert.deepEqual(
      told(),
      [2, 3, 4, 5, 6].map((id) => `${id} published`),
    );
    bus.hold(false);
    const reader = await bus.read({ channels: [EXPLORE], start: { kind: "earliest" } });
    assert.deepEqual(await reader.take(), ["root", "m2", "m3", "m4", "m5", "m6"]);
  });

  it("says when it has too much in flight, and when no more", async () => {
    const { bus, line, publish, control } = await openLine({ limits: { streamInFlight: 2 } });
    await bus.say("bob", EXPLORE, "root");
    bus.hold(true);
    publish(2, "a");
    publish(3, "b");
    assert.equal(line.saturated, true);
    bus.held[0]!.go();
    await bus.settle();
    assert.deepEqual([line.saturated, control.reliefs], [false, 1]);
  });
});

describe("credit", () => {
  const KIB = 1_024;
  const big = "x".repeat(200 * KIB);

  it("is honoured exactly: what was sent goes below zero by one delivery at most, and goes on with more", async () => {
    const { bus, send, subscribe, responses, clear } = await openLine();
    subscribe(2, EXPLORE);
    await bus.settle();
    const sizeOf = ({ response }: ConnectResponse) => {
      assert.equal(response.case, "delivery");
      return toBinary(ConnectResponseSchema.field["delivery"]!.message!, response.value as never).length;
    };
    let account = INITIAL_CREDIT_BYTES - responses.reduce((sum, response) => sum + sizeOf(response), 0);
    clear();
    for (let i = 0; i < 10; i++) {
      await bus.say("bob", EXPLORE, big);
      await bus.settle();
    }
    const charge = () => {
      for (const response of responses) {
        assert.ok(account > 0, "sent without credit");
        account -= sizeOf(response);
      }
      clear();
    };
    assert.equal(responses.length, 6);
    charge();
    assert.ok(account <= 0);
    for (const bytes of [1, 200 * KIB, 600 * KIB, 600 * KIB]) {
      const before = account;
      send(0, { case: "credit", value: { subscribeId: 2, bytes } });
      await bus.settle();
      account += bytes;
      if (before + bytes <= 0) assert.equal(responses.length, 0, "still in debt");
      charge();
    }
    assert.ok(account > 0, "everything was sent");
  });

  it("of one subscription is not another's: a slow one blocks nobody", async () => {
    const { bus, subscribe, told, publish } = await openLine();
    subscribe(2, EXPLORE);
    subscribe(3, "science:other");
    await bus.settle();
    for (let i = 0; i < 8; i++) await bus.say("bob", EXPLORE, big);
    await bus.settle();
    await bus.say("bob", "science:other", "quick");
    publish(4, "mine");
    await bus.settle();
    assert.deepEqual(told().slice(-2).sort(), ["3 quick", "4 published"]);
  });

  it("is kept up to 16 MiB, and credit for nothing is ignored", async () => {
    const { bus, send, subscribe, told } = await openLine();
    subscribe(2, EXPLORE);
    for (let i = 0; i < 3; i++) send(0, { case: "credit", value: { subscribeId: 2, bytes: 2 ** 32 - 1 } });
    send(0, { case: "credit", value: { subscribeId: 99, bytes: 5 } });
    await bus.settle();
    assert.deepEqual(told(), ["2 opened"]);
    const sent = async () => {
      for (let i = 0; i < 100; i++) await bus.say("bob", EXPLORE, big);
      await bus.settle();
      return told().length - 1;
    };
    const count = await sent();
    assert.ok(count >= 80 && count <= 84, `${count} deliveries of 200 KiB for 16 MiB`);
  });

  // The end stayed behind the credit that nobody gives for what is over, and the subscription with it.
  it("does not hold back the end: of a subscription that was given up, that failed, or whose channel is gone", async () => {
    const { bus, send, subscribe, told, clear } = await openLine();
    subscribe(2, EXPLORE);
    subscribe(3, EXPLORE);
    await bus.settle();
    for (let i = 0; i < 8; i++) await bus.say("bob", EXPLORE, big);
    await bus.settle();
    clear();
    send(4, { case: "unsubscribe", value: { subscribeId: 2 } });
    await bus.settle();
    assert.deepEqual(told(), [`2 end ${EndReason.UNSUBSCRIBED}`, "4 done"]);
    assert.equal(bus.subscriptions.count, 1);
    clear();
    await bus.rooms.deleteChannel(explore);
    await bus.settle();
    assert.deepEqual(told(), [`3 end ${EndReason.CHANNEL_DELETED}`]);
    assert.equal(bus.subscriptions.count, 0);
    clear();
    subscribe(2, EXPLORE);
    await bus.settle();
    assert.deepEqual(told(), ["2 opened"], "its name is free again");
  });
});

describe("what goes first", () => {
  it("answers go at once, deliveries when the line has room", async () => {
    const { bus, line, subscribe, publish, told, control, clear } = await openLine();
    subscribe(2, EXPLORE);
    await bus.settle();
    clear();
    control.writable = false;
    await bus.say("bob", EXPLORE, "a");
    await bus.settle();
    assert.deepEqual(told(), ["2 a"], "the first one filled the line");
    await bus.say("bob", EXPLORE, "b");
    publish(3, "mine");
    await bus.settle();
    assert.deepEqual(told(), ["2 a", "3 published"]);
    control.writable = true;
    line.drained();
    await bus.settle();
    assert.deepEqual(told(), ["2 a", "3 published", "2 b"]);
  });

  it("subscriptions take turns, one delivery each", async () => {
    const { bus, line, send, told, control, clear } = await openLine();
    for (const requestId of [2, 3]) {
      send(requestId, { case: "subscribe", value: { channels: [`science:c${requestId}`], maxMessages: 1 } });
    }
    await bus.settle();
    control.writable = false;
    await bus.say("bob", "science:c2", "fills the line");
    await bus.settle();
    clear();
    await bus.say("bob", "science:c2", "a", "b", "c");
    await bus.say("bob", "science:c3", "x", "y", "z");
    await bus.settle();
    control.writable = true;
    line.drained();
    await bus.settle();
    assert.deepEqual(told(), ["2 a", "3 x", "2 b", "3 y", "2 c", "3 z"]);
  });
});

describe("subscriptions of a line", () => {
  it("are named by their request, once", async () => {
    const { bus, subscribe, told } = await openLine();
    subscribe(2, EXPLORE);
    subscribe(2, EXPLORE);
    subscribe(0, EXPLORE);
    await bus.settle();
    assert.deepEqual(told(), ["2 opened", "2 MALFORMED_REQUEST", "0 MALFORMED_REQUEST"]);
  });

  it("end without the line: taken over by another stream", async () => {
    const { bus, send, told, finished } = await openLine();
    send(2, { case: "subscribe", value: { channels: [EXPLORE], exclusive: "main" } });
    await bus.settle();
    await bus.read({ agentId: "alice", channels: [EXPLORE], exclusive: "main" });
    await bus.settle();
    assert.deepEqual([told(), finished], [["2 opened", `2 end ${EndReason.TAKEN_OVER}`], []]);
  });

  it("giving up one that is not there is done", async () => {
    const { bus, send, told } = await openLine();
    send(2, { case: "unsubscribe", value: { subscribeId: 9 } });
    await bus.settle();
    assert.deepEqual(told(), ["2 done"]);
  });
});

describe("the end of a line", () => {
  it("S3-US1.3: a cut leaves no subscription, and the agent present for one lease", async () => {
    const { bus, line, subscribe } = await openLine();
    subscribe(2, EXPLORE);
    await bus.settle();
    line.abandon(false);
    assert.deepEqual([bus.subscriptions.count, bus.agents.state("alice")], [0, "ONLINE"]);
    bus.clock.advance(15_001);
    assert.equal(bus.agents.state("alice"), "OFFLINE");
  });

  it("comes when the client sends no more and everything was answered", async () => {
    const { bus, line, publish, subscribe, told, finished } = await openLine();
    await bus.say("bob", EXPLORE, "root");
    subscribe(2, EXPLORE);
    bus.hold(true);
    publish(3, "x");
    await bus.settle();
    line.end();
    assert.deepEqual(finished, []);
    bus.held[0]!.go();
    await bus.settle();
    assert.deepEqual([told(), finished], [["2 opened", "3 published"], [undefined]]);
    assert.deepEqual([bus.subscriptions.count, bus.agents.state("alice")], [0, "OFFLINE"]);
  });

  // The line was closed before its subscriptions could say why: a client took that for a cut and came back.
  it.each(["disconnect", "delete"] as const)(
    "when the agent is gone its subscriptions say so first: %s",
    async (how) => {
      const { bus, subscribe, told, finished } = await openLine();
      subscribe(2, EXPLORE);
      await bus.settle();
      await bus.agents[how]("alice");
      await bus.settle();
      assert.deepEqual([told(), finished], [["2 opened", `2 end ${EndReason.AGENT_GONE}`], [undefined]]);
    },
  );

  it("draining: the line and its subscriptions are told", async () => {
    const { bus, line, subscribe, responses, clear } = await openLine();
    subscribe(2, EXPLORE);
    await bus.settle();
    clear();
    bus.subscriptions.beginDrain(1_000);
    line.goAway(1_000);
    await bus.settle();
    assert.deepEqual(
      responses.map(({ requestId, response }) => `${requestId} ${response.case}`),
      ["2 delivery", "0 goAway"],
    );
    subscribe(3, EXPLORE);
    await bus.settle();
    assert.equal(responses.at(-1)?.response.case, "error");
  });

  it("S3-FR-010: too many malformed frames end it", async () => {
    const { bus, line, told, finished } = await openLine({ limits: { protocolViolations: 3 } });
    for (let i = 0; i < 4; i++) line.receive(Buffer.from([0xff]));
    await bus.settle();
    assert.deepEqual(told(), ["0 MALFORMED_REQUEST", "0 MALFORMED_REQUEST", "0 MALFORMED_REQUEST"]);
    assert.equal(finished[0]?.reason, "PROTOCOL_VIOLATIONS");
    assert.equal(bus.agents.state("alice"), "OFFLINE");
  });

  it.each(["before", "while"])(
    "S2-I.1: a subscription of a line that goes %s it opens is given up at once",
    async (when) => {
      const { bus, line, send } = await openLine();
      const live = await bus.read({ agentId: "alice", channels: [EXPLORE], exclusive: "main" });
      send(2, { case: "subscribe", value: { channels: [EXPLORE], exclusive: "main" } });
      if (when === "while") while (bus.subscriptions.count < 2) await undefined;
      line.abandon(false);
      if (when === "while") assert.equal(bus.subscriptions.count, 1);
      await bus.settle();
      assert.deepEqual([bus.subscriptions.count, live.subscription.finished], [1, undefined]);
    },
  );
});
