import assert from "node:assert/strict";
import { fromBinary } from "@bufbuild/protobuf";
import { describe, it } from "vitest";
import { SubscribeResponseSchema } from "../../../gen/agentbus/v1/bus_service_pb.ts";
import { NO_FILTER, openBus, overLog, type Said, type TestBus, textOf } from "../../../test/support/bus-fixture.ts";
import { EMPTY_PROFILE } from "../../core/agent.ts";
import { isBusError, type Reason } from "../../core/errors.ts";
import { channelName } from "../../core/names.ts";
import type { ReadResult } from "../../storage/message-log.ts";
import type { FetchInput, FetchOutcome } from "./fetcher.ts";

const EXPLORE = "science:explore";
const explore = channelName("science", "explore");
const refused = (reason: Reason) => (error: unknown) => isBusError(error, reason);
const texts = (from: number, to: number) => Array.from({ length: to - from + 1 }, (_, i) => `m${from + i}`);
const sayAll = (bus: TestBus, from: number, to: number) => bus.say("alice", EXPLORE, ...texts(from, to));
const psst = (to: object, id = ""): Said => ({ id, to, payload: { case: "text", value: "psst" } });
const never = new AbortController().signal;

function fetchInput(input: Partial<FetchInput> = {}): FetchInput {
  return {
    agentId: "reader",
    room: "science",
    channel: "explore",
    start: { kind: "end" },
    backward: false,
    filter: undefined,
    maxMessages: 100,
    waitMs: 0,
    ...input,
  };
}
const fetch = (bus: TestBus, input: Partial<FetchInput> = {}, signal = never) =>
  bus.fetcher.fetch(fetchInput(input), signal);
const textsOf = ({ sealed }: FetchOutcome) =>
  fromBinary(SubscribeResponseSchema, Uint8Array.from(Buffer.concat(sealed))).messages.map(textOf);
const gapsOf = ({ gaps }: FetchOutcome) => gaps.map(({ first, last, cause }) => `${first}-${last} ${cause}`);
const trimTo = (bus: TestBus, maxMessages: number) =>
  bus.storage.log.trim(explore, { maxAgeMs: 0, maxBytes: 0, maxMessages });

describe("history", () => {
  it("S1-5.5: goes forward from the oldest, page by page, to the end", async () => {
    const bus = await openBus();
    await sayAll(bus, 1, 7);
    let start: FetchInput["start"] = { kind: "end" };
    const pages: string[] = [];
    for (let i = 0; i < 3; i++) {
      const page = await fetch(bus, { start, maxMessages: 3 });
      pages.push(`${textsOf(page)} ${page.caughtUp}`);
      start = { kind: "position", position: page.position };
    }
    assert.deepEqual(pages, ["m1,m2,m3 false", "m4,m5,m6 false", "m7 true"]);
    await sayAll(bus, 8, 8);
    assert.deepEqual(textsOf(await fetch(bus, { start })), ["m8"]);
  });

  it("goes backward from the newest, page by page, to the start", async () => {
    const bus = await openBus();
    await sayAll(bus, 1, 5);
    let start: FetchInput["start"] = { kind: "end" };
    const pages: string[] = [];
    for (let i = 0; i < 3; i++) {
      const page = await fetch(bus, { start, maxMessages: 2, backward: true });
      pages.push(`${textsOf(page)} ${page.caughtUp}`);
      start = { kind: "position", position: page.position };
    }
    assert.deepEqual(pages, ["m5,m4 false", "m3,m2 false", "m1 true"]);
  });

  it("starts at a message, a time or a position, both ways", async () => {
    const bus = await openBus();
    const at: number[] = [];
    for (const id of ["m1", "m2", "m3", "m4"]) {
      at.push(bus.clock.now());
      await bus.say("alice", EXPLORE, { id, payload: { case: "text", value: id } });
      bus.clock.advance(1_000);
    }
    const both = async (start: FetchInput["start"]) => [
      textsOf(await fetch(bus, { start })).join(),
      textsOf(await fetch(bus, { start, backward: true })).join(),
    ];
    assert.deepEqual(await both({ kind: "id", id: "m2" }), ["m3,m4", "m1"]);
    assert.deepEqual(await both({ kind: "time", timeMs: at[2]! }), ["m3,m4", "m2,m1"]);
    assert.deepEqual(await both({ kind: "time", timeMs: bus.clock.now() }), ["", "m4,m3,m2,m1"]);
    assert.deepEqual(await both({ kind: "time", timeMs: 0 }), ["m1,m2,m3,m4", ""]);
    const { position } = await fetch(bus, { maxMessages: 3 });
    assert.deepEqual(await both({ kind: "position", position }), ["m4", "m2,m1"]);
  });

  it("its channel may be left to the position, which must be of that channel", async () => {
    const bus = await openBus();
    const { results } = await sayAll(bus, 1, 2);
    await bus.say("alice", "science:other", "x");
    const start = { kind: "position" as const, position: results[0]!.position };
    assert.deepEqual(textsOf(await fetch(bus, { room: "", channel: "", start })), ["m2"]);
    await assert.rejects(fetch(bus, { channel: "other", start }), refused("BAD_POSITION"));
  });

  it("has the messages that fit the filter, and positions past those that do not", async () => {
    const bus = await openBus();
    await bus.say("alice", EXPLORE, "a1", "a2");
    await bus.say("bob", EXPLORE, "b1");
    await bus.say("alice", EXPLORE, "a3");
    const page = await fetch(bus, { filter: { ...NO_FILTER, senders: ["bob"] } });
    assert.deepEqual([textsOf(page), page.position.at(-1), page.caughtUp], [["b1"], "4", true]);
  });

  it("shows no message that has expired", async () => {
    const bus = await openBus();
    await bus.say("alice", EXPLORE, { timeToLive: { seconds: 1n }, payload: { case: "text", value: "brief" } }, "m");
    bus.clock.step(1_000);
    const page = await fetch(bus);
    assert.deepEqual([textsOf(page), page.gaps], [["m"], []]);
  });

  it("a response ends at its bytes; one larger message still fits", async () => {
    const bus = await openBus({ limits: { responseBytes: 1_000 } });
    await bus.say("alice", EXPLORE, "x".repeat(400), "y".repeat(400), "z".repeat(5_000));
    const sizes: number[] = [];
    let start: FetchInput["start"] = { kind: "end" };
    for (let i = 0; i < 2; i++) {
      const page = await fetch(bus, { start });
      sizes.push(page.sealed.length);
      start = { kind: "position", position: page.position };
    }
    assert.deepEqual(sizes, [2, 1]);
  });

  it("a filter that fits nothing looks at so many and no more, and can be asked to go on", async () => {
    let entries = 0;
    const bus = await openBus({
      ringSize: 100_000,
      wrapLog: (log) =>
        overLog(log, {
          async read(request) {
            const result = await log.read(request);
            entries += result.entries.length;
            return result;
          },
        }),
    });
    const hundred = Array.from({ length: 100 }, () => "x");
    for (let i = 0; i < 250; i++) await bus.say("alice", EXPLORE, ...hundred);
    const filter = { ...NO_FILTER, senders: ["nobody"] };
    const page = await fetch(bus, { filter });
    assert.deepEqual([page.sealed.length, page.caughtUp], [0, false]);
    assert.ok(entries >= 20_000 && entries <= 21_000, `${entries} were read`);
    const rest = await fetch(bus, { filter, start: { kind: "position", position: page.position } });
    assert.equal(rest.caughtUp, true);
  });

  // Its position was one beyond the head: to resume from it looked like a log that was rolled back, and cost an epoch.
  it("backward of an empty channel answers a position that can be resumed from", async () => {
    const bus = await openBus();
    await bus.rooms.createChannel({ name: explore, description: "", metadata: {}, config: {} }, true);
    const { position, caughtUp } = await fetch(bus, { backward: true });
    assert.deepEqual([position.slice(-2), caughtUp], [".0", true]);
    await sayAll(bus, 1, 1);
    const reader = await bus.read({ channels: [EXPLORE], start: { kind: "resume", positions: [position] } });
    assert.deepEqual([await reader.take(), reader.gaps], [["m1"], []]);
  });
});

describe("what history cannot give", () => {
  it("S3-US3.1: is told as a Gap: trimmed messages and foreign logs", async () => {
    const bus = await openBus();
    const { results } = await sayAll(bus, 1, 6);
    const start = { kind: "position" as const, position: results[1]!.position };
    await trimTo(bus, 2);
    const page = await fetch(bus, { start });
    assert.deepEqual([textsOf(page), gapsOf(page)], [["m5", "m6"], ["3-4 RETENTION"]]);
    await bus.rooms.deleteChannel(explore);
    await sayAll(bus, 7, 7);
    const foreign = await fetch(bus, { start });
    assert.deepEqual([textsOf(foreign), gapsOf(foreign)], [["m7"], ["3-0 NEW_EPOCH"]]);
  });

  // Only what was missing at the start of the call was told; what retention took between two reads was passed over.
  it("is told when it is trimmed while the call reads", async () => {
    let onRead: (() => Promise<unknown>) | undefined;
    const bus = await openBus({
      limits: { responseBytes: 2_000 },
      wrapLog: (log) =>
        overLog(log, {
          async read(request) {
            await onRead?.();
            return await log.read(request);
          },
        }),
    });
    await sayAll(bus, 1, 100);
    await bus.say("bob", EXPLORE, "last");
    let reads = 0;
    onRead = async () => {
      if (++reads === 2) await trimTo(bus, 10);
    };
    const page = await fetch(bus, { filter: { ...NO_FILTER, senders: ["bob"] } });
    assert.deepEqual(textsOf(page), ["last"]);
    assert.equal(page.gaps.length, 1);
    const [{ first, last, cause }] = page.gaps as [FetchOutcome["gaps"][number]];
    assert.ok(first > 1 && first < 91, `what was read before ${first} is not missing`);
    assert.deepEqual([last, cause], [91, "RETENTION"]);
  });

  it("damaged entries are told once, in the response that passes them", async () => {
    const bus = await openBus({
      wrapLog: (log) =>
        overLog(log, {
          async read(request): Promise<ReadResult> {
            const result = await log.read(request);
            const entries = result.entries.filter(({ sequence }) => sequence !== 2 && sequence !== 5);
            const within = (sequence: number) => (request.backward ? sequence < request.from : sequence > request.from);
            return { ...result, entries, damaged: [2, 5].filter(within).map((at) => ({ first: at, last: at })) };
          },
        }),
    });
    await sayAll(bus, 1, 6);
    for (const backward of [false, true]) {
      const pages: string[] = [];
      let start: FetchInput["start"] = { kind: "end" };
      for (let i = 0; i < 3; i++) {
        const page = await fetch(bus, { start, backward, maxMessages: 2 });
        pages.push(`${textsOf(page)} ${gapsOf(page)}`);
        start = { kind: "position", position: page.position };
      }
      const told = pages.join(" ").match(/\d-\d DAMAGED/g);
      assert.deepEqual(told?.sort(), ["2-2 DAMAGED", "5-5 DAMAGED"], pages.join(" | "));
      assert.equal(pages.join(" ").match(/m\d/g)?.length, 4);
    }
  });
});

describe("what history shows to whom", () => {
  async function withSecret() {
    const bus = await openBus();
    for (const agentId of ["bob", "eve"]) await bus.agents.register(agentId, EMPTY_PROFILE);
    const { results } = await bus.say("alice", EXPLORE, "open", psst({ agents: ["bob"] }, "secret-7"), "open");
    return { bus, secret: results[1]!.position };
  }

  it("S3-US1.1 S0-2.1.3c: a private message is not in others' history, by no way in", async () => {
    const { bus, secret } = await withSecret();
    const seen = async (agentId: string, backward: boolean) => textsOf(await fetch(bus, { agentId, backward }));
    assert.deepEqual(await seen("eve", false), ["open", "open"]);
    assert.deepEqual(await seen("eve", true), ["open", "open"]);
    assert.deepEqual(await seen("bob", false), ["open", "psst", "open"]);
    assert.deepEqual(await seen("alice", false), ["open", "psst", "open"]);
    const get = (agentId: string, which: { position: string } | { id: string }) =>
      bus.fetcher.get({ agentId, room: "science", channel: "explore" }, which);
    assert.equal((await get("bob", { position: secret })).position, secret);
    await assert.rejects(get("eve", { position: secret }), refused("MESSAGE_NOT_FOUND"));
    await assert.rejects(get("eve", { id: "secret-7" }), refused("MESSAGE_NOT_FOUND"));
    await bus.agents.update("eve", { groups: ["team"] });
    await assert.rejects(get("eve", { id: "secret-7" }), refused("MESSAGE_NOT_FOUND"));
  });

  // History after the id of a private message was served, so that one could find out which ids exist.
  it("not even that a private message of some id exists", async () => {
    const { bus } = await withSecret();
    const start = { kind: "id" as const, id: "secret-7" };
    const answers = await Promise.all(
      [start, { kind: "id" as const, id: "no-such" }].map((asked) =>
        fetch(bus, { agentId: "eve", start: asked }).catch((error: unknown) => (isBusError(error) ? error.reason : "")),
      ),
    );
    assert.deepEqual(answers, ["MESSAGE_NOT_FOUND", "MESSAGE_NOT_FOUND"]);
    assert.deepEqual(textsOf(await fetch(bus, { agentId: "bob", start })), ["open"]);
  });

  it("an inbox is read by its agent alone", async () => {
    const { bus } = await withSecret();
    await bus.say("alice", "", psst({ agents: ["bob"] }));
    const inbox = { room: "_inbox", channel: "bob" };
    assert.deepEqual(textsOf(await fetch(bus, { ...inbox, agentId: "bob" })), ["psst"]);
    await assert.rejects(fetch(bus, { ...inbox, agentId: "eve" }), refused("INBOX_PRIVATE"));
    await assert.rejects(bus.fetcher.get({ ...inbox, agentId: "eve" }, { id: "x" }), refused("INBOX_PRIVATE"));
  });

  it("reading registers and creates nothing", async () => {
    const bus = await openBus();
    await assert.rejects(fetch(bus), refused("CHANNEL_NOT_FOUND"));
    await assert.rejects(fetch(bus, { channel: "no such" }), refused("BAD_NAME"));
    await sayAll(bus, 1, 1);
    await fetch(bus, { agentId: "ghost" });
    assert.equal(bus.agents.exists("ghost"), false);
  });
});

describe("one message", () => {
  const get = (bus: TestBus, which: { position: string } | { id: string }) =>
    bus.fetcher.get({ agentId: "reader", room: "science", channel: "explore" }, which);

  it("is found by position and by id, the oldest of its id", async () => {
    const bus = await openBus();
    const { results } = await bus.say("alice", EXPLORE, { id: "m", name: "first" });
    await bus.say("bob", EXPLORE, { id: "m", name: "second" });
    for (const which of [{ position: results[0]!.position }, { id: "m" }]) {
      const { sealed, position } = await get(bus, which);
      const [message] = fromBinary(SubscribeResponseSchema, Uint8Array.from(sealed)).messages;
      assert.deepEqual([message?.name, position], ["first", results[0]!.position]);
    }
  });

  it.each(["expired", "trimmed", "of another epoch", "not there yet", "the place before the first"])(
    "%s is not found",
    async (how) => {
      const bus = await openBus();
      const life = how === "expired" ? { timeToLive: { seconds: 1n } } : {};
      const { results } = await bus.say("alice", EXPLORE, { id: "m", ...life });
      let { position } = results[0]!;
      if (how === "expired") bus.clock.step(2_000);
      if (how === "trimmed") {
        await sayAll(bus, 1, 3);
        await trimTo(bus, 1);
      }
      if (how === "of another epoch") position = position.replace(/@.{8}/, "@0badcafe");
      if (how === "not there yet") position = position.replace(/\.1$/, ".2");
      if (how === "the place before the first") position = position.replace(/\.1$/, ".0");
      await assert.rejects(get(bus, { position }), refused("MESSAGE_NOT_FOUND"));
    },
  );
});

describe("a long poll", () => {
  const start = async (bus: TestBus) => ({ kind: "position" as const, position: (await fetch(bus)).position });

  it("answers at once when there is something", async () => {
    const bus = await openBus();
    await sayAll(bus, 1, 1);
    assert.deepEqual(textsOf(await fetch(bus, { waitMs: 60_000 })), ["m1"]);
  });

  it("is woken by the first message that fits, and by no other", async () => {
    const bus = await openBus();
    await sayAll(bus, 1, 1);
    let done = false;
    const filter = { ...NO_FILTER, senders: ["bob"] };
    const polling = fetch(bus, { start: await start(bus), waitMs: 60_000, filter }).finally(() => (done = true));
    await bus.settle();
    await sayAll(bus, 2, 3);
    await bus.settle();
    assert.equal(done, false);
    await bus.say("bob", EXPLORE, "at last");
    await bus.settle();
    const page = await polling;
    assert.deepEqual([textsOf(page), page.position.at(-1)], [["at last"], "4"]);
    assert.equal(bus.subscriptions.readersOf(EXPLORE), 0, "nobody listens any more");
  });

  it("ends empty when its time is up, and leaves nothing", async () => {
    const bus = await openBus();
    await sayAll(bus, 1, 1);
    const timers = bus.clock.pending;
    const polling = fetch(bus, { start: await start(bus), waitMs: 30_000 });
    await bus.settle();
    bus.clock.advance(30_000);
    const page = await polling;
    assert.deepEqual([page.sealed.length, page.caughtUp, bus.clock.pending], [0, true, timers]);
    assert.equal(bus.subscriptions.readersOf(EXPLORE), 0);
  });

  it("ends when its caller leaves, and leaves nothing", async () => {
    const bus = await openBus();
    await sayAll(bus, 1, 1);
    const timers = bus.clock.pending;
    const call = new AbortController();
    const polling = fetch(bus, { start: await start(bus), waitMs: 30_000 }, call.signal);
    await bus.settle();
    call.abort();
    await polling;
    assert.deepEqual([bus.clock.pending, bus.subscriptions.readersOf(EXPLORE)], [timers, 0]);
    await fetch(bus, { start: await start(bus), waitMs: 30_000 }, call.signal);
  });

  it("backward never waits", async () => {
    const bus = await openBus();
    await bus.rooms.createChannel({ name: explore, description: "", metadata: {}, config: {} }, true);
    assert.equal((await fetch(bus, { backward: true, waitMs: 60_000 })).caughtUp, true);
  });
});
