import assert from "node:assert/strict";
import { fromBinary, toBinary } from "@bufbuild/protobuf";
import { describe, it } from "vitest";
import { SubscribeResponseSchema } from "../../../gen/agentbus/v1/bus_service_pb.ts";
import { openBus, subscribeInput, textOf } from "../../../test/support/bus-fixture.ts";
import { DEFAULT_LIMITS } from "../../core/bus-options.ts";
import { FRAME_HEADER_BYTES } from "../../core/message-codec.ts";
import { channelName } from "../../core/names.ts";
import { createMessageCodec } from "../../wire/message-codec.ts";
import { responsesOf, undecoded, Wakeup } from "./portable-stream.ts";

const EXPLORE = "science:explore";

describe("finished bytes as a message", () => {
  it("are written by protobuf-es as they are", () => {
    const frame = createMessageCodec(DEFAULT_LIMITS).frame({
      sealed: [Buffer.from([0x0a, 0x03, 0x12, 0x01, 0x61]), Buffer.from([0x0a, 0x00])],
      positions: ["a:b@00000001.2"],
      gaps: [{ name: channelName("a", "b"), first: 1, last: 300, cause: "RETENTION" }],
      caughtUp: true,
      serverTimeMs: 5,
    });
    const payload = frame.subarray(FRAME_HEADER_BYTES);
    const written = toBinary(SubscribeResponseSchema, undecoded(payload));
    assert.deepEqual(Buffer.from(written), Buffer.from(payload));
  });
});

describe("a subscription as a generator", () => {
  it.each([true, false])("gives the same responses, decoded (%s) or not, until its end", async (json) => {
    const bus = await openBus();
    const subscription = await bus.subscriptions.open(subscribeInput({ channels: [EXPLORE] }));
    const texts: string[] = [];
    let ended = false;
    const reading = (async () => {
      for await (const response of responsesOf(subscription, json, new AbortController().signal)) {
        const decoded = fromBinary(SubscribeResponseSchema, toBinary(SubscribeResponseSchema, response));
        texts.push(...decoded.messages.map(textOf));
        ended = decoded.end !== undefined;
      }
    })();
    await bus.say("alice", EXPLORE, "one");
    await bus.settle();
    await bus.say("alice", EXPLORE, "two", "three");
    await bus.settle();
    await bus.rooms.deleteChannel(channelName("science", "explore"));
    await reading;
    assert.deepEqual([texts, ended, bus.subscriptions.count], [["one", "two", "three"], true, 0]);
  });

  it("throws what its subscription failed with", async () => {
    const bus = await openBus();
    const subscription = await bus.subscriptions.open(subscribeInput({ channels: [EXPLORE] }));
    const responses = responsesOf(subscription, true, new AbortController().signal);
    await responses.next();
    const next = responses.next();
    bus.subscriptions.endAll();
    await assert.rejects(next, (error: unknown) => (error as { reason?: string }).reason === "DRAINING");
    assert.equal(bus.subscriptions.count, 0);
  });

  it("no handler outlives its call: it ends while it waits, and leaves nothing", async () => {
    const bus = await openBus();
    const call = new AbortController();
    const subscription = await bus.subscriptions.open(subscribeInput({ channels: [EXPLORE] }));
    const responses = responsesOf(subscription, true, call.signal);
    await responses.next();
    const next = responses.next();
    call.abort();
    assert.deepEqual(await next, { value: undefined, done: true });
    assert.equal(bus.subscriptions.count, 0);
  });
});

describe("Wakeup", () => {
  it("forgets no notice that came before the wait", async () => {
    const wakeup = new Wakeup(new AbortController().signal);
    wakeup.notify();
    wakeup.notify();
    await wakeup.wait();
    let woken = false;
    const waiting = wakeup.wait().then(() => {
      woken = true;
    });
    await new Promise((resolve) => setImmediate(resolve));
    assert.equal(woken, false, "two notices are one");
    wakeup.notify();
    await waiting;
  });
});
