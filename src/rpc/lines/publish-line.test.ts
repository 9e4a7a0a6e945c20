import assert from "node:assert/strict";
import { create, fromBinary, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import { describe, it } from "vitest";
import {
  type PublishRequestSchema,
  PublishStreamRequestSchema,
  type PublishStreamResponse,
  PublishStreamResponseSchema,
} from "../../../gen/agentbus/v1/bus_service_pb.ts";
import { openHeldBus } from "../../../test/support/held-bus.ts";
import { type BusError, BusError as Failure } from "../../core/errors.ts";
import { channelName } from "../../core/names.ts";
import { PublishLine } from "./publish-line.ts";

const EXPLORE = "science:explore";
const away = () => new Failure("STORAGE_UNAVAILABLE", "away");

async function openLine(settings: { maxInFlight?: number; maxViolations?: number; limits?: object } = {}) {
  const bus = await openHeldBus({ limits: settings.limits ?? {} });
  await bus.say("alice", EXPLORE, "root");
  const answers: PublishStreamResponse[] = [];
  const finished: (BusError | undefined)[] = [];
  let reliefs = 0;
  const line = new PublishLine({
    publisher: bus.publisher,
    clock: bus.clock,
    logger: bus.logger,
    maxInFlight: settings.maxInFlight ?? 100,
    maxViolations: settings.maxViolations ?? 5,
    actor(agentId) {
      if (agentId === "mallory") throw new Failure("AGENT_NOT_ALLOWED", "no");
      return agentId || "alice";
    },
    send: (answer) => answers.push(fromBinary(PublishStreamResponseSchema, answer)),
    finish: (error) => finished.push(error),
    onRelief: () => reliefs++,
  });
  /** As "id text" for what was stored, "id REASON" for what was not. */
  const told = () =>
    answers.map(({ requestId, result }) => {
      if (result.case === "error") return `${requestId} ${result.value.reason}`;
      const [first] = result.value!.results;
      return `${requestId} ${first!.duplicate ? "duplicate " : ""}at ${first!.position.slice(first!.position.lastIndexOf(".") + 1)}`;
    });
  const send = (requestId: number, text: string, publish: MessageInitShape<typeof PublishRequestSchema> = {}) =>
    line.receive(
      Buffer.from(
        toBinary(
          PublishStreamRequestSchema,
          create(PublishStreamRequestSchema, {
            requestId,
            publish: {
              room: "science",
              channel: "explore",
              messages: [{ id: text, payload: { case: "text", value: text } }],
              ...publish,
            },
          }),
        ),
      ),
    );
  const logged = async () => {
    const reader = await bus.read({ channels: [EXPLORE], start: { kind: "earliest" } });
    return (await reader.take()).slice(1);
  };
  return { bus, line, answers, told, send, finished, logged, reliefs: () => reliefs };
}

describe("a publish stream", () => {
  it("answers in the order of the requests, while many are in flight", async () => {
    const { bus, send, told, logged } = await openLine();
    bus.hold(true);
    for (let id = 1; id <= 10; id++) send(id, `m${id}`);
    await bus.settle();
    assert.deepEqual([bus.held.length, told()], [10, []], "none waits for the one before it");
    bus.held[1]!.fail(away());
    await bus.settle();
    assert.deepEqual(told(), [], "the second waits for the first");
    for (const append of bus.held) append.go();
    await bus.settle();
    assert.deepEqual(told().slice(0, 3), ["1 at 2", "2 STORAGE_UNAVAILABLE", "3 at 3"]);
    assert.equal((await logged()).length, 9);
  });

  it("keeps order when something must be created first", async () => {
    const { bus, send, told } = await openLine();
    send(1, "a", { channel: "new" });
    send(2, "b", { channel: "new" });
    send(3, "c", { agentId: "bob", channel: "new" });
    send(4, "d");
    await bus.settle();
    assert.deepEqual(told(), ["1 at 1", "2 at 2", "3 at 3", "4 at 2"]);
  });

  it("stores nothing that was still being prepared when the request before it failed", async () => {
    const { bus, send, told } = await openLine();
    bus.hold(true);
    send(1, "a");
    send(2, "b", { channel: "new" });
    bus.held[0]!.fail(away());
    await bus.settle();
    assert.deepEqual(told(), ["1 STORAGE_UNAVAILABLE", "2 RESEND_REQUIRED"]);
    bus.hold(false);
    send(1, "a");
    send(2, "b", { channel: "new" });
    await bus.settle();
    assert.deepEqual(told().slice(2), ["1 at 2", "2 at 1"]);
  });

  it("answers what is with the store and ends, when the node leaves", async () => {
    const { bus, line, send, told, finished, logged } = await openLine();
    bus.hold(true);
    send(1, "a");
    line.goAway();
    send(2, "b");
    await bus.settle();
    assert.deepEqual([told(), finished], [[], []]);
    bus.held[0]!.go();
    await bus.settle();
    assert.deepEqual(told(), ["1 at 2"]);
    assert.deepEqual(
      finished.map((error) => error?.reason),
      ["DRAINING"],
    );
    assert.equal((await logged()).length, 1);
  });

  it("ends an idle stream at once when the node leaves", async () => {
    const { line, finished } = await openLine();
    line.goAway();
    assert.deepEqual(
      finished.map((error) => error?.reason),
      ["DRAINING"],
    );
  });

  it("goes on after a request that will never do", async () => {
    const { bus, send, told, finished } = await openLine();
    send(1, "a", { messages: [{ to: { agents: ["nobody"] } }] });
    send(2, "b", { agentId: "mallory" });
    send(3, "c", { room: "sci ence" });
    send(4, "d");
    await bus.settle();
    assert.deepEqual(told(), ["1 UNKNOWN_RECIPIENT", "2 AGENT_NOT_ALLOWED", "3 BAD_NAME", "4 at 2"]);
    assert.deepEqual(finished, []);
  });

  it("tells an error as the contract has it", async () => {
    const { bus, send, answers } = await openLine({ limits: { senderRate: 1, senderBurst: 1 } });
    send(1, "a");
    await bus.settle();
    const { result } = answers[0]!;
    assert.equal(result.case, "error");
    assert.deepEqual(
      [result.value.code, result.value.metadata["retry"], result.value.retryDelay?.seconds],
      [8, "SAME", 1n],
    );
  });
});

describe("after a failure that a retry can heal", () => {
  it("S3-E.2: nothing is taken until the refused request comes again: order holds and nothing is lost or doubled", async () => {
    const { bus, send, told, logged, answers } = await openLine();
    bus.hold(true);
    send(1, "m1");
    send(2, "m2");
    await bus.settle();
    bus.held[0]!.fail(away());
    bus.held[1]!.fail(away()); // as the port has it: what was handed over before the failure was told fails, too
    await bus.settle();
    bus.hold(false);
    send(3, "m3");
    send(2, "m2");
    await bus.settle();
    assert.deepEqual(told(), [
      "1 STORAGE_UNAVAILABLE",
      "2 STORAGE_UNAVAILABLE",
      "3 RESEND_REQUIRED",
      "2 RESEND_REQUIRED",
    ]);
    answers.length = 0;
    for (const id of [1, 2, 3, 4]) send(id, `m${id}`);
    await bus.settle();
    assert.deepEqual(told(), ["1 at 2", "2 at 3", "3 at 4", "4 at 5"]);
    assert.deepEqual(await logged(), ["m1", "m2", "m3", "m4"]);
  });

  it("a retry that fails must come again as well", async () => {
    const { bus, send, told } = await openLine();
    bus.hold(true);
    send(1, "m1");
    await bus.settle();
    bus.held[0]!.fail(away());
    await bus.settle();
    send(1, "m1");
    await bus.settle();
    bus.held[1]!.fail(away());
    await bus.settle();
    bus.hold(false);
    send(2, "m2");
    send(1, "m1");
    send(2, "m2");
    await bus.settle();
    assert.deepEqual(told(), [
      "1 STORAGE_UNAVAILABLE",
      "1 STORAGE_UNAVAILABLE",
      "2 RESEND_REQUIRED",
      "1 at 2",
      "2 at 3",
    ]);
  });

  it("holds for a rate that was exceeded, and for what fails before the store is asked", async () => {
    const { bus, send, told } = await openLine({ limits: { senderRate: 1, senderBurst: 2 } });
    send(1, "m1");
    send(2, "m2");
    send(3, "m3");
    bus.clock.advance(5_000);
    send(3, "m3");
    send(2, "m2");
    bus.clock.advance(1_000);
    send(3, "m3");
    await bus.settle();
    assert.deepEqual(told(), [
      "1 at 2",
      "2 RATE_LIMITED",
      "3 RESEND_REQUIRED",
      "3 RESEND_REQUIRED",
      "2 at 3",
      "3 at 4",
    ]);
  });

  it("a failure that no retry heals holds up nobody", async () => {
    const { bus, send, told } = await openLine();
    send(1, "m1");
    send(2, "m1", { messages: [{ id: "m1", payload: { case: "text", value: "other" } }] });
    send(3, "m3");
    await bus.settle();
    assert.deepEqual(told(), ["1 at 2", "2 IDEMPOTENCY_CONFLICT", "3 at 3"]);
  });

  it("a channel that is deleted meanwhile is made anew by the retry", async () => {
    const { bus, send, told } = await openLine();
    bus.hold(true);
    send(1, "m1");
    await bus.settle();
    await bus.rooms.deleteChannel(channelName("science", "explore"));
    bus.held[0]!.go();
    await bus.settle();
    bus.hold(false);
    send(2, "m2");
    send(1, "m1");
    send(2, "m2");
    await bus.settle();
    assert.deepEqual(told(), ["1 CHANNEL_DELETED", "2 RESEND_REQUIRED", "1 at 1", "2 at 2"]);
  });
});

describe("too much in flight", () => {
  it("is said while it is so, and its end is told once", async () => {
    const { bus, line, send, reliefs } = await openLine({ maxInFlight: 3 });
    bus.hold(true);
    send(1, "a");
    send(2, "b");
    assert.equal(line.saturated, false);
    send(3, "c");
    assert.equal(line.saturated, true);
    bus.held[1]!.go();
    await bus.settle();
    assert.deepEqual([line.saturated, reliefs()], [true, 0], "its answer waits for the first one's");
    bus.held[0]!.go();
    await bus.settle();
    assert.deepEqual([line.saturated, reliefs()], [false, 1]);
  });

  it("counts what waits for something to be created", async () => {
    const { bus, line, send, reliefs, told } = await openLine({ maxInFlight: 3 });
    for (const id of [1, 2, 3, 4]) send(id, `m${id}`, { channel: "new" });
    assert.equal(line.saturated, true);
    await bus.settle();
    assert.deepEqual([line.saturated, told().length, reliefs()], [false, 4, 1]);
  });
});

describe("malformed frames", () => {
  it("S3-FR-010 S3-E.4: are answered, and after too many the stream is ended", async () => {
    const { bus, line, send, told, finished } = await openLine({ maxViolations: 3 });
    line.receive(Buffer.from([0xff]));
    line.receive(Buffer.from([0x08, 0x05])); // without a publish
    send(1, "fine");
    await bus.settle();
    assert.deepEqual([told(), finished], [["0 MALFORMED_REQUEST", "5 MALFORMED_REQUEST", "1 at 2"], []]);
    send(0, "without an id");
    await bus.settle();
    assert.equal(finished[0]?.reason, "PROTOCOL_VIOLATIONS");
    send(2, "too late");
    await bus.settle();
    assert.equal(told().at(-1), "0 MALFORMED_REQUEST");
    assert.equal(finished.length, 1);
  });

  it("S3-FR-010: spread over minutes do not end it", async () => {
    const { bus, line, finished } = await openLine({ maxViolations: 2 });
    for (let i = 0; i < 5; i++) {
      line.receive(Buffer.from([0xff]));
      bus.clock.advance(61_000);
    }
    assert.deepEqual(finished, []);
  });
});

describe("the end of a publish stream", () => {
  it("comes when everything was answered", async () => {
    const { bus, line, send, told, finished } = await openLine();
    bus.hold(true);
    send(1, "a");
    send(2, "b", { channel: "new" });
    line.end();
    await bus.settle();
    assert.deepEqual(finished, []);
    for (let i = 0; i < 3; i++) {
      for (const append of bus.held) append.go();
      await bus.settle();
    }
    assert.deepEqual([told(), finished], [["1 at 2", "2 at 1"], [undefined]]);
  });

  it("of a stream without requests comes at once", async () => {
    const { line, finished } = await openLine();
    line.end();
    assert.deepEqual(finished, [undefined]);
  });

  it("after the call is gone what was handed over is stored, and nobody is answered", async () => {
    const { bus, line, send, told, finished, logged } = await openLine();
    bus.hold(true);
    send(1, "a");
    line.abandon();
    send(2, "b");
    bus.held[0]!.go();
    await bus.settle();
    bus.hold(false);
    assert.deepEqual([told(), finished, await logged()], [[], [], ["a"]]);
  });
});
