import assert from "node:assert/strict";
import type { IncomingHttpHeaders } from "node:http2";
import { create, type DescMessage, fromBinary, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import { describe, it } from "vitest";
import {
  EndReason,
  PublishRequestSchema,
  PublishResponseSchema,
  PublishStreamRequestSchema,
  PublishStreamResponseSchema,
  SubscribeRequestSchema,
  SubscribeResponseSchema,
} from "../../../gen/agentbus/v1/bus_service_pb.ts";
import { type TestBus, textOf } from "../../../test/support/bus-fixture.ts";
import { openHeldBus } from "../../../test/support/held-bus.ts";
import { BusError } from "../../core/errors.ts";
import { ANYONE } from "../../core/identity.ts";
import { channelName } from "../../core/names.ts";
import { FrameReader, frameOf } from "../../wire/frames.ts";
import { CallMeter } from "../call-meter.ts";
import { createCallers } from "../callers.ts";
import { createRequestValidator } from "../errors/validation.ts";
import { OpenLines } from "../lines/open-lines.ts";
import type { ProtocolName } from "./protocol.ts";
import { fastPublish } from "./publish.ts";
import { fastPublishStream } from "./publish-stream.ts";
import { type FastMethod, runCall } from "./run-call.ts";
import type { Sink, SinkEvents } from "./sink.ts";
import { fastSubscribe } from "./subscribe.ts";

const EXPLORE = "science:explore";
const validator = createRequestValidator([SubscribeRequestSchema]);

/** One HTTP exchange without a network. */
class FakeSink implements Sink {
  readonly headers: IncomingHttpHeaders;
  status = 0;
  responseHeaders: Record<string, string> = {};
  trailers: Record<string, string> | undefined;
  readonly chunks: Buffer[] = [];
  ended = false;
  writable = true;
  paused = false;
  client!: SinkEvents;

  constructor(headers: IncomingHttpHeaders) {
    this.headers = headers;
  }
  listen(events: SinkEvents): void {
    this.client = events;
  }
  respond(status: number, headers: Record<string, string>): void {
    assert.equal(this.status, 0, "headers go once");
    this.status = status;
    this.responseHeaders = headers;
  }
  write(bytes: Uint8Array): boolean {
    assert.equal(this.ended, false, "nothing is written behind the end");
    assert.notEqual(this.status, 0, "headers go first");
    this.chunks.push(Buffer.from(bytes));
    return this.writable;
  }
  end(last: Uint8Array | undefined, trailers: Record<string, string> | undefined): void {
    assert.equal(this.ended, false, "it ends once");
    if (last !== undefined) this.write(last);
    this.ended = true;
    this.trailers = trailers;
  }
  pause(): void {
    this.paused = true;
  }
  resume(): void {
    this.paused = false;
  }
  destroy(): void {
    this.ended = true;
  }

  /** The frames of the response: payload and flags. */
  frames(): [Buffer, number][] {
    const frames: [Buffer, number][] = [];
    new FrameReader(2 ** 30, (payload, flags) => frames.push([Buffer.from(payload), flags])).push(
      Buffer.concat(this.chunks),
    );
    return frames;
  }

  /** "OK", or the code of what went wrong, as its protocol tells it. */
  outcome(protocol: ProtocolName): string {
    if (protocol === "grpc") return this.trailers?.["grpc-status"] ?? "";
    if (protocol === "connect-unary") {
      return this.status === 200 ? "OK" : (JSON.parse(Buffer.concat(this.chunks).toString()) as { code: string }).code;
    }
    const [payload, flags] = this.frames().at(-1)!;
    if (protocol === "grpc-web") {
      assert.equal(flags, 0x80);
      return /grpc-status: (\d+)/.exec(payload.toString())![1]!;
    }
    assert.equal(flags, 0x02);
    return (JSON.parse(payload.toString()) as { error?: { code: string } }).error?.code ?? "OK";
  }

  /** Response messages, without the end. */
  messages<Desc extends DescMessage>(schema: Desc) {
    return this.frames()
      .filter(([, flags]) => flags === 0)
      .map(([payload]) => fromBinary(schema, payload));
  }
}

async function openCalls(limits: object = {}) {
  const bus = await openHeldBus({ limits });
  const lines = new OpenLines();
  const context = {
    bus: bus as unknown as TestBus & typeof bus,
    callers: createCallers({ required: false, authenticate: () => ANYONE }),
    validator,
    meter: new CallMeter(bus.meters, bus.clock),
    lines,
  };
  const call = (method: FastMethod, protocol: ProtocolName, headers: IncomingHttpHeaders = {}) => {
    const sink = new FakeSink(headers);
    runCall(method, protocol, sink, context);
    return sink;
  };
  const handled = async () => {
    const { counters } = await bus.meters.json();
    return (counters["agentbus_rpc_handled_total"] ?? []).map(
      ({ labels, value }) => `${labels["method"]} ${labels["code"]} ${value}`,
    );
  };
  return { bus, lines, call, handled };
}

const publishRequest = (init: MessageInitShape<typeof PublishRequestSchema> = {}) =>
  toBinary(
    PublishRequestSchema,
    create(PublishRequestSchema, {
      agentId: "alice",
      room: "science",
      channel: "explore",
      messages: [{ payload: { case: "text", value: "hi" } }],
      ...init,
    }),
  );
const subscribeRequest = (init: MessageInitShape<typeof SubscribeRequestSchema> = {}) =>
  toBinary(SubscribeRequestSchema, create(SubscribeRequestSchema, { agentId: "reader", channels: [EXPLORE], ...init }));
const body = (protocol: ProtocolName, message: Uint8Array) =>
  protocol === "connect-unary" ? Buffer.from(message) : frameOf(message);

describe.each<[ProtocolName, string, string]>([
  ["grpc", "0", "5"],
  ["grpc-web", "0", "5"],
  ["connect-stream", "OK", "not_found"],
  ["connect-unary", "OK", "not_found"],
])("unary Publish over %s", (protocol, ok, notFound) => {
  it("U-1: answers what was stored, in the protocol's own form", async () => {
    const { bus, call, handled } = await openCalls();
    const sink = call(fastPublish, protocol);
    const bytes = body(protocol, publishRequest());
    sink.client.onData(bytes.subarray(0, 7));
    sink.client.onData(bytes.subarray(7));
    sink.client.onEnd();
    await bus.settle();
    assert.deepEqual([sink.status, sink.ended, sink.outcome(protocol)], [200, true, ok]);
    const [response] =
      protocol === "connect-unary"
        ? [fromBinary(PublishResponseSchema, Buffer.concat(sink.chunks))]
        : sink.messages(PublishResponseSchema);
    assert.match(response!.results[0]!.position, /\.1$/);
    sink.client.onClose(true);
    assert.deepEqual(await handled(), ["BusService/Publish OK 1"]);
  });

  it("answers a refusal as an error", async () => {
    const { bus, call, handled } = await openCalls();
    const sink = call(fastPublish, protocol);
    sink.client.onData(body(protocol, publishRequest({ messages: [{ to: { agents: ["nobody"] } }] })));
    sink.client.onEnd();
    await bus.settle();
    assert.deepEqual([sink.ended, sink.outcome(protocol)], [true, notFound]);
    sink.client.onClose(true);
    assert.deepEqual(await handled(), ["BusService/Publish NOT_FOUND 1"]);
  });
});

describe("a call that cannot be read", () => {
  it.each<[string, string, Buffer[], IncomingHttpHeaders]>([
    ["cut within a message", "3", [frameOf(publishRequest()).subarray(0, -1)], {}],
    ["without a message", "3", [], {}],
    ["with two messages", "3", [frameOf(publishRequest()), frameOf(publishRequest())], {}],
    ["marked as compressed", "3", [frameOf(publishRequest(), 1)], {}],
    ["too large by its header", "8", [Buffer.from([0, 0x7f, 0, 0, 0])], {}],
    ["of other bytes", "3", [frameOf(Buffer.from([0xff]))], {}],
    ["with a malformed deadline", "3", [], { "grpc-timeout": "soon" }],
  ])("S3-FR-009: %s is refused with %s and finished once", async (_, status, chunks, headers) => {
    const { bus, call } = await openCalls();
    const sink = call(fastPublish, "grpc", headers);
    for (const chunk of chunks) sink.client.onData(chunk);
    sink.client.onEnd();
    await bus.settle();
    assert.equal(sink.outcome("grpc"), status);
    sink.client.onClose(true);
    assert.equal(bus.rooms.counts.channels, 0);
  });

  it("a unary Connect body that is too large is refused before it is held", async () => {
    const { call } = await openCalls({ requestBytes: 100 });
    const sink = call(fastPublish, "connect-unary");
    sink.client.onData(Buffer.alloc(60));
    sink.client.onData(Buffer.alloc(60));
    assert.deepEqual([sink.status, sink.outcome("connect-unary")], [429, "resource_exhausted"]);
  });
});

describe("a deadline", () => {
  it("ends the call, and nothing is written behind that", async () => {
    const { bus, call, handled } = await openCalls();
    const sink = call(fastSubscribe, "grpc", { "grpc-timeout": "2S" });
    sink.client.onData(frameOf(subscribeRequest()));
    sink.client.onEnd();
    await bus.settle();
    bus.clock.advance(2_000);
    assert.equal(sink.outcome("grpc"), "4");
    await bus.say("alice", EXPLORE, "too late");
    await bus.settle();
    sink.client.onClose(false);
    assert.deepEqual([bus.subscriptions.count, await handled()], [0, ["BusService/Subscribe DEADLINE_EXCEEDED 1"]]);
  });

  it("of a call that ended in time leaves no timer", async () => {
    const { bus, call } = await openCalls();
    const timers = bus.clock.pending;
    const sink = call(fastPublish, "grpc", { "grpc-timeout": "10S" });
    assert.equal(bus.clock.pending, timers + 1);
    sink.client.onData(frameOf(publishRequest()));
    sink.client.onEnd();
    await bus.settle();
    sink.client.onClose(true);
    assert.equal(bus.clock.pending, timers);
  });
});

describe("Subscribe", () => {
  async function subscribed(protocol: ProtocolName = "grpc", init = {}) {
    const calls = await openCalls();
    const sink = calls.call(fastSubscribe, protocol);
    sink.client.onData(frameOf(subscribeRequest(init)));
    sink.client.onEnd();
    await calls.bus.settle();
    return { ...calls, sink };
  }

  it("U-2 S0-3.2.3: sends the first response at once and every message as it comes", async () => {
    const { bus, sink } = await subscribed();
    assert.ok(sink.messages(SubscribeResponseSchema)[0]?.opened);
    await bus.say("alice", EXPLORE, "one");
    await bus.settle();
    await bus.say("alice", EXPLORE, "two");
    await bus.settle();
    assert.deepEqual(
      sink.messages(SubscribeResponseSchema).flatMap(({ messages }) => messages.map(textOf)),
      ["one", "two"],
    );
  });

  it("waits for a client that does not read, and goes on from there", async () => {
    const { bus, sink } = await subscribed();
    sink.writable = false;
    for (let i = 0; i < 20; i++) {
      await bus.say("alice", EXPLORE, `m${i}`);
      await bus.settle();
    }
    assert.equal(sink.chunks.length, 2, "one response filled the connection, the others were never made");
    sink.writable = true;
    sink.client.onDrain();
    await bus.settle();
    const texts = sink.messages(SubscribeResponseSchema).flatMap(({ messages }) => messages.map(textOf));
    assert.deepEqual(
      texts,
      Array.from({ length: 20 }, (_, i) => `m${i}`),
    );
  });

  it.each<[ProtocolName, string]>([
    ["grpc", "0"],
    ["grpc-web", "0"],
    ["connect-stream", "OK"],
  ])("ends well on purpose over %s", async (protocol, ok) => {
    const { bus, sink } = await subscribed(protocol);
    await bus.rooms.deleteChannel(channelName("science", "explore"));
    await bus.settle();
    assert.equal(sink.outcome(protocol), ok);
    assert.equal(sink.messages(SubscribeResponseSchema).at(-1)?.end?.reason, EndReason.CHANNEL_DELETED);
    sink.client.onClose(true);
    assert.equal(bus.subscriptions.count, 0);
  });

  it("is refused by the rules in the protos", async () => {
    const { sink, bus } = await subscribed("grpc", { maxMessages: -1 });
    assert.deepEqual([sink.outcome("grpc"), bus.subscriptions.count], ["3", 0]);
  });

  it("S3-US1.3: the client leaves: graceful at once, cut for one lease", async () => {
    for (const graceful of [true, false]) {
      const { bus, sink } = await subscribed();
      assert.equal(bus.agents.state("reader"), "ONLINE");
      sink.client.onClose(graceful);
      assert.deepEqual([bus.subscriptions.count, bus.agents.state("reader")], [0, graceful ? "OFFLINE" : "ONLINE"]);
    }
  });

  it("the client leaves while it opens: nothing is left", async () => {
    const { bus, call, handled } = await openCalls();
    const sink = call(fastSubscribe, "grpc");
    sink.client.onData(frameOf(subscribeRequest()));
    sink.client.onEnd();
    sink.client.onClose(false);
    await bus.settle();
    assert.deepEqual([bus.subscriptions.count, await handled()], [0, ["BusService/Subscribe CANCELLED 1"]]);
  });

  // A client that gave up and came back lost its new stream to the old one, for good: TAKEN_OVER is not asked for again.
  it.each(["left before", "left while", "deadline before", "deadline while"])(
    "S2-I.1: one that is over before it is open (%s) takes an exclusive name from nobody",
    async (how) => {
      const { bus, call } = await openCalls();
      const live = await bus.read({ channels: [EXPLORE], exclusive: "main" });
      const sink = call(fastSubscribe, "grpc", how.startsWith("deadline") ? { "grpc-timeout": "50m" } : {});
      sink.client.onData(frameOf(subscribeRequest({ exclusive: "main" })));
      sink.client.onEnd();
      if (how.endsWith("while")) while (bus.subscriptions.count < 2) await undefined;
      if (how.startsWith("left")) sink.client.onClose(false);
      else bus.clock.advance(50);
      if (how.endsWith("while")) assert.equal(bus.subscriptions.count, 1, "it is given up at once");
      await bus.settle();
      assert.deepEqual([bus.subscriptions.count, live.subscription.finished], [1, undefined]);
    },
  );
});

describe("PublishStream", () => {
  const request = (requestId: number) =>
    frameOf(
      toBinary(
        PublishStreamRequestSchema,
        create(PublishStreamRequestSchema, { requestId, publish: fromBinary(PublishRequestSchema, publishRequest()) }),
      ),
    );
  const idsOf = (sink: FakeSink) => sink.messages(PublishStreamResponseSchema).map(({ requestId }) => requestId);

  it("answers of one turn go out in one write", async () => {
    const { bus, call } = await openCalls();
    await bus.say("alice", EXPLORE, "root");
    const sink = call(fastPublishStream, "grpc");
    assert.equal(sink.status, 200, "the headers go at once");
    sink.client.onData(Buffer.concat([1, 2, 3, 4].map(request)));
    await bus.settle();
    assert.deepEqual([idsOf(sink), sink.chunks.length], [[1, 2, 3, 4], 1]);
    sink.client.onEnd();
    assert.deepEqual([sink.ended, sink.outcome("grpc")], [true, "0"]);
  });

  it("reads no further while too much is in flight, or while its answers are not read", async () => {
    const { bus, call } = await openCalls({ streamInFlight: 2 });
    await bus.say("alice", EXPLORE, "root");
    const sink = call(fastPublishStream, "grpc");
    bus.hold(true);
    sink.client.onData(request(1));
    assert.equal(sink.paused, false);
    sink.client.onData(request(2));
    assert.equal(sink.paused, true);
    sink.writable = false;
    for (const append of bus.held) append.go();
    await bus.settle();
    assert.deepEqual([idsOf(sink), sink.paused], [[1, 2], true]);
    sink.writable = true;
    sink.client.onDrain();
    assert.equal(sink.paused, false);
  });

  it("S3-FR-010: ends with ABORTED after too many malformed frames, its answers before that", async () => {
    const { bus, call } = await openCalls({ protocolViolations: 2 });
    const sink = call(fastPublishStream, "grpc");
    sink.client.onData(
      Buffer.concat([request(1), frameOf(Buffer.from([0xff])), frameOf(Buffer.from([0xff])), request(2)]),
    );
    await bus.settle();
    assert.deepEqual([sink.outcome("grpc"), idsOf(sink)], ["10", [1, 0, 0].slice(0, idsOf(sink).length)]);
  });

  it("drain: what is open is ended with DRAINING", async () => {
    const { bus, call, lines } = await openCalls();
    const sink = call(fastPublishStream, "grpc");
    lines.goAway(1_000);
    lines.failAll(new BusError("DRAINING", "leaving"));
    await bus.settle();
    assert.equal(sink.outcome("grpc"), "14");
    sink.client.onClose(false);
  });
});
