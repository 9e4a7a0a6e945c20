import fc from "fast-check";
import { afterEach, describe, expect, it, vi } from "vitest";
import type { Bus } from "../src/bus.ts";
import { EndReason, GapCause, type SubscribeResponse } from "../src/gen/agentbus/v1/bus_service_pb.ts";
import type { Message } from "../src/message.ts";
import { MemoryPositionStore } from "../src/position-store.ts";
import type { Subscription } from "../src/subscription.ts";
import type { Gap, SubscriptionEvent } from "../src/subscription-event.ts";
import { delivery, FakeBus, failure, left, opened, positionOf, type StreamFate } from "./fake-bus.ts";

const CHANNEL = "science:explore";
const QUIET = "science:quiet";
const clients: Bus[] = [];

function open(fake: FakeBus, options?: Parameters<FakeBus["client"]>[0]): Bus {
  const bus = fake.client({ closeTimeoutMs: 1, ...options });
  clients.push(bus);
  return bus;
}

afterEach(async () => {
  vi.useRealTimers();
  await Promise.all(clients.splice(0).map((bus) => bus.close()));
});

function fill(fake: FakeBus, channel: string, from: number, count: number): void {
  for (let n = from; n < from + count; n++)
    fake.append(channel, "bob", { id: `${channel} ${n}`, payload: { case: "text", value: `${n}` } });
}

async function take(subscription: AsyncIterator<Message>, count: number): Promise<string[]> {
  const texts: string[] = [];
  while (texts.length < count) {
    const { done, value } = await subscription.next();
    if (done) break;
    texts.push(value.text);
  }
  return texts;
}

const numbers = (from: number, count: number) => Array.from({ length: count }, (_, n) => `${from + n}`);

describe("a subscription that is cut", () => {
  it("hands out every message once and in order, wherever the cuts fall", () =>
    fc.assert(
      fc.asyncProperty(
        fc.array(fc.constantFrom<StreamFate>("go-on", "go-on", "cut", "end-without-end"), { maxLength: 40 }),
        fc.integer({ min: 1, max: 5 }),
        fc.integer({ min: 0, max: 20 }),
        async (fates, batch, before) => {
          const fake = new FakeBus();
          fake.batch = batch;
          let asked = 0;
          fake.streamFate = () => fates[asked++] ?? "go-on";
          fill(fake, CHANNEL, 0, before);
          const subscription = open(fake)
            .agent("alice")
            .subscribe({ channels: [CHANNEL, QUIET], start: "earliest" });
          const read = take(subscription, 30);
          await take(subscription, 0);
          fill(fake, CHANNEL, before, 30 - before);
          expect(await read).toEqual(numbers(0, 30));
          fill(fake, QUIET, 0, 1);
          expect(await take(subscription, 1)).toEqual(["0"]);
          await subscription.close();
        },
      ),
      { numRuns: 150 },
    ));

  it("loses nothing that was published while it was away, also in channels that were quiet", async () => {
    const fake = new FakeBus();
    fill(fake, CHANNEL, 0, 3);
    fill(fake, QUIET, 0, 1);
    const cut = Promise.withResolvers<void>();
    const subscription = open(fake)
      .agent("alice")
      .subscribe({ channels: [CHANNEL, QUIET], onCut: () => cut.resolve() });
    await subscription.ready();
    fake.streamFate = (stream) => (stream === 0 ? "cut" : "go-on");
    const first = subscription.next();
    fill(fake, QUIET, 1, 1);
    await cut.promise;
    expect((await first).value?.text).toBe("1");
    expect(fake.subscribeRequests[1]?.start).toMatchObject({
      case: "resume",
      value: { positions: [positionOf(CHANNEL, 3), positionOf(QUIET, 1)] },
    });
  });

  it("starts over when it had not been opened yet", async () => {
    const fake = new FakeBus();
    fill(fake, CHANNEL, 0, 3);
    fake.streamFate = (stream) => (stream < 3 ? "cut" : "go-on");
    const subscription = open(fake)
      .agent("alice")
      .subscribe({ channels: [CHANNEL], start: { last: 2 } });
    await subscription.ready();
    expect(fake.subscribeRequests.map(({ start }) => start.case)).toEqual(["last", "last", "last", "last"]);
  });

  it("resumes from an empty list when nothing matched: what comes to exist is new from its first message on", async () => {
    const fake = new FakeBus();
    fake.script = async function* (_, stream, { signal }) {
      yield opened([]);
      if (stream > 0) await left(signal);
    };
    const subscription = open(fake)
      .agent("alice")
      .subscribe({ patterns: ["lab:*"] });
    await subscription.ready();
    void subscription.next().catch(() => {});
    await vi.waitFor(() => expect(fake.subscribeRequests).toHaveLength(2));
    expect(fake.subscribeRequests[1]?.start).toMatchObject({ case: "resume", value: { positions: [] } });
  });

  it("moves positions on over what it is not shown", async () => {
    const fake = new FakeBus();
    for (let n = 0; n < 4; n++) fake.append(CHANNEL, "alice", { id: `own ${n}` });
    fill(fake, CHANNEL, 4, 1);
    fake.streamFate = (stream, response) => (stream === 0 && response === 3 ? "cut" : "go-on");
    const subscription = open(fake)
      .agent("alice")
      .subscribe({ channels: [CHANNEL], start: "earliest" });
    expect(await take(subscription, 1)).toEqual(["4"]);
    expect(fake.subscribeRequests[1]?.start).toMatchObject({ value: { positions: [positionOf(CHANNEL, 4)] } });
  });

  it("goes to the next address, and leaves a server that is about to close", async () => {
    const fake = new FakeBus();
    fake.script = async function* (_, stream, { signal }) {
      yield opened([positionOf(CHANNEL, 0)]);
      if (stream === 0) yield delivery(CHANNEL, 1, "first", { goAway: {} });
      else yield delivery(CHANNEL, 2, "second");
      await left(signal);
    };
    const urls: string[] = [];
    const bus = open(fake, {
      urls: ["http://one", "http://two"],
      route: (url, router) => {
        urls.push(url);
        fake.routes(router);
      },
    });
    const subscription = bus.agent("alice").subscribe({ channels: [CHANNEL] });
    expect(await take(subscription, 2)).toEqual(["first", "second"]);
    expect(urls).toEqual(["http://one", "http://two"]);
    expect(fake.subscribeRequests[1]?.start).toMatchObject({ value: { positions: [positionOf(CHANNEL, 1)] } });
  });

  it("takes the outbox along to the next address", async () => {
    const leave = Promise.withResolvers<void>();
    const [one, two] = [new FakeBus(), new FakeBus()];
    one.script = async function* (_, __, { signal }) {
      yield opened([]);
      await leave.promise;
      yield delivery(CHANNEL, 1, "bye", { goAway: {} });
      await left(signal);
    };
    const bus = open(one, {
      urls: ["http://one", "http://two"],
      route: (url, router) => (url === "http://one" ? one : two).routes(router),
    });
    const subscription = await bus
      .agent("alice")
      .subscribe({ channels: [CHANNEL] })
      .ready();
    await bus.agent("alice").send("first", { channel: CHANNEL });
    leave.resolve();
    expect(await take(subscription, 1)).toEqual(["bye"]);
    void subscription.next();
    await vi.waitFor(() => expect(two.subscribeRequests).toHaveLength(1));
    await bus.agent("alice").send("second", { channel: CHANNEL });
    expect([one.texts(CHANNEL), two.texts(CHANNEL)]).toEqual([["first"], ["second"]]);
  });

  it("counts as cut when it is silent for 2.5 heartbeat intervals", async () => {
    vi.useFakeTimers();
    const fake = new FakeBus();
    fake.script = async function* (_, stream, { signal }) {
      yield opened([positionOf(CHANNEL, 0)], 1_000);
      if (stream === 1) yield delivery(CHANNEL, 1, "here");
      await left(signal);
    };
    const subscription = open(fake)
      .agent("alice")
      .subscribe({ channels: [CHANNEL], heartbeatIntervalMs: 1_000 });
    const read = take(subscription, 1);
    await vi.advanceTimersByTimeAsync(2_400);
    expect(fake.subscribeRequests).toHaveLength(1);
    await vi.advanceTimersByTimeAsync(200);
    expect(fake.subscribeRequests).toHaveLength(2);
    expect(await read).toEqual(["here"]);
  });

  it("warns once when the bus stays away, and goes on", async () => {
    const fake = new FakeBus();
    fake.streamFate = (stream) => (stream < 8 ? "cut" : "go-on");
    await open(fake)
      .agent("alice")
      .subscribe({ channels: [CHANNEL] })
      .ready();
    expect(fake.warnings).toEqual([
      expect.stringMatching(/^the subscription of alice fails again and again .*going on trying/),
    ]);
  });
});

describe("a subscription that ends", () => {
  const ended = (reason: EndReason, channel = ""): SubscribeResponse =>
    delivery(CHANNEL, 1, "last words", { end: { reason, message: "on purpose", channel } });

  it.each([
    ["TAKEN_OVER", EndReason.TAKEN_OVER, ""],
    ["CHANNEL_DELETED", EndReason.CHANNEL_DELETED, CHANNEL],
    ["AGENT_GONE", EndReason.AGENT_GONE, ""],
  ])("throws %s after the last message, and does not come back", async (name, reason, channel) => {
    const fake = new FakeBus();
    fake.script = async function* () {
      yield opened([]);
      yield ended(reason, channel);
    };
    const subscription = open(fake)
      .agent("alice")
      .subscribe({ channels: [CHANNEL] });
    expect(await take(subscription, 1)).toEqual(["last words"]);
    await expect(subscription.next()).rejects.toMatchObject({
      name: "SubscriptionEnded",
      reason: name,
      channel: channel === "" ? undefined : channel,
    });
    expect(await subscription.next()).toEqual({ done: true, value: undefined });
    expect(fake.subscribeRequests).toHaveLength(1);
  });

  it("throws what the bus refuses, decoded", async () => {
    const fake = new FakeBus();
    fake.script = () => {
      throw failure("AGENT_NOT_ALLOWED");
    };
    const subscription = open(fake)
      .agent("alice")
      .subscribe({ channels: [CHANNEL] });
    await expect(subscription.ready()).rejects.toMatchObject({
      name: "BusError",
      reason: "AGENT_NOT_ALLOWED",
      code: "PERMISSION_DENIED",
      retry: "NEVER",
    });
    expect(await subscription.next()).toEqual({ done: true, value: undefined });
  });

  it("finishes when it, its agent or the bus is closed, and throws the reason of its signal", async () => {
    const fake = new FakeBus();
    const bus = open(fake);
    const closes: [Subscription, () => Promise<void>][] = [];
    const one = bus.agent("alice").subscribe({ channels: [CHANNEL] });
    closes.push([one, () => one.close()]);
    closes.push([bus.agent("bob").subscribe({ channels: [CHANNEL] }), () => bus.agent("bob").close()]);
    closes.push([bus.agent("carol").subscribe({ channels: [CHANNEL] }), () => bus.close()]);
    const abort = new AbortController();
    const aborted = bus.agent("dave").subscribe({ channels: [CHANNEL], signal: abort.signal });
    await aborted.ready();
    const waiting = aborted.next();
    abort.abort(new Error("enough"));
    await expect(waiting).rejects.toThrow("enough");
    for (const [subscription, close] of closes) {
      await subscription.ready();
      const next = subscription.next();
      await close();
      expect(await next).toEqual({ done: true, value: undefined });
    }
  });

  it("leaves the stream when the loop is left", async () => {
    const fake = new FakeBus();
    fill(fake, CHANNEL, 0, 3);
    const gone = Promise.withResolvers<void>();
    fake.script = async function* (_, __, { signal }) {
      void left(signal).then(() => gone.resolve());
      yield opened([]);
      yield delivery(CHANNEL, 1, "one");
      await left(signal);
    };
    for await (const message of open(fake)
      .agent("alice")
      .subscribe({ channels: [CHANNEL] })) {
      expect(message.text).toBe("one");
      break;
    }
    await gone.promise;
  });
});

describe("gaps", () => {
  const gap = { room: "science", channel: "explore", firstSequence: 4n, lastSequence: 9n, cause: GapCause.RETENTION };
  const told: Gap = { channel: CHANNEL, firstSequence: 4, lastSequence: 9, cause: "retention" };

  function gapped(): FakeBus {
    const fake = new FakeBus();
    fake.script = async function* (_, __, { signal }) {
      yield opened([positionOf(CHANNEL, 3)]);
      yield delivery(CHANNEL, 10, "ten", { gaps: [gap] });
      await left(signal);
    };
    return fake;
  }

  it("are told before what follows them", async () => {
    const fake = gapped();
    const heard: (Gap | string)[] = [];
    const subscription = open(fake)
      .agent("alice")
      .subscribe({ channels: [CHANNEL], onGap: (each) => heard.push(each) });
    heard.push(...(await take(subscription, 1)));
    expect(heard).toEqual([told, "ten"]);
    expect(fake.warnings).toEqual([]);
  });

  it("are never silent: without a handler they are a warning", async () => {
    const fake = gapped();
    await take(
      open(fake)
        .agent("alice")
        .subscribe({ channels: [CHANNEL] }),
      1,
    );
    expect(fake.warnings).toEqual([
      expect.stringContaining("messages 4 to 9 of science:explore cannot be delivered (retention)"),
    ]);
  });

  it("are among the events, in order", async () => {
    const events: SubscriptionEvent[] = [];
    for await (const event of open(gapped())
      .agent("alice")
      .subscribe({ channels: [CHANNEL] })
      .events()) {
      events.push(event);
      if (event.type === "message") break;
    }
    expect(events.map(({ type }) => type)).toEqual(["opened", "gap", "message"]);
  });
});

describe("a slow reader", () => {
  it("reads no further than what it hands out", async () => {
    const fake = new FakeBus();
    let told = 0;
    fake.script = async function* () {
      yield opened([positionOf(CHANNEL, 0)]);
      for (;;) yield delivery(CHANNEL, ++told, `${told}`);
    };
    const subscription = open(fake)
      .agent("alice")
      .subscribe({ channels: [CHANNEL] });
    for (let read = 1; read <= 50; read++) {
      expect(await take(subscription, 1)).toEqual([`${read}`]);
      // One turn for what runs by itself, to see that nothing does.
      await new Promise((resolve) => setImmediate(resolve));
      expect(told).toBeLessThanOrEqual(read + 2);
    }
  });

  it("may ask for several messages at once", async () => {
    const fake = new FakeBus();
    fill(fake, CHANNEL, 0, 10);
    const subscription = open(fake)
      .agent("alice")
      .subscribe({ channels: [CHANNEL], start: "earliest" });
    const read = await Promise.all(Array.from({ length: 10 }, () => subscription.next()));
    expect(read.map(({ value }) => value?.text)).toEqual(numbers(0, 10));
  });
});

describe("positions", () => {
  it("include the message in hand, and are saved when the loop comes back for the next", async () => {
    const fake = new FakeBus();
    fake.batch = 3;
    fill(fake, CHANNEL, 0, 5);
    const saves: (readonly string[])[] = [];
    const store = {
      load: async () => undefined,
      save: async (_: string, positions: readonly string[]) => void saves.push(positions),
    };
    const subscription = open(fake)
      .agent("alice")
      .subscribe({ channels: [CHANNEL, QUIET], start: "earliest", name: "worker", positions: store });
    await subscription.ready();
    expect(subscription.positions()).toEqual([positionOf(CHANNEL, 0), positionOf(QUIET, 0)]);
    await take(subscription, 2);
    expect(subscription.positions()).toEqual([positionOf(CHANNEL, 2), positionOf(QUIET, 0)]);
    await vi.waitFor(() => expect(saves.at(-1)).toEqual([positionOf(CHANNEL, 1), positionOf(QUIET, 0)]));
    await subscription.close();
    expect(saves.at(-1)).toEqual([positionOf(CHANNEL, 1), positionOf(QUIET, 0)]);
  });

  it("let a named subscription read on where it stopped; a message whose handling failed comes again", async () => {
    const fake = new FakeBus();
    fill(fake, CHANNEL, 0, 6);
    const positions = new MemoryPositionStore();
    const options = { channels: [CHANNEL], start: "earliest", name: "worker", positions } as const;
    const read = async (failAt: string) => {
      const seen: string[] = [];
      try {
        for await (const message of open(fake).agent("alice").subscribe(options)) {
          seen.push(message.text);
          if (message.text === failAt) throw new Error("on purpose");
        }
      } catch (error) {
        expect(error).toMatchObject({ message: "on purpose" });
      }
      return seen;
    };
    expect(await read("2")).toEqual(["0", "1", "2"]);
    expect(await read("3")).toEqual(["2", "3"]);
    expect(await read("5")).toEqual(["3", "4", "5"]);
    expect(await positions.load("alice/worker")).toEqual([positionOf(CHANNEL, 5)]);
    expect(await positions.load("bob/worker")).toBeUndefined();
  });

  it("that cannot be saved stop the loop", async () => {
    const fake = new FakeBus();
    fill(fake, CHANNEL, 0, 6);
    const store = {
      load: async () => undefined,
      save: () => {
        throw new Error("disk full");
      },
    };
    const subscription = open(fake)
      .agent("alice")
      .subscribe({ channels: [CHANNEL], start: "earliest", name: "worker", positions: store });
    await expect(take(subscription, 6)).rejects.toThrow("disk full");
  });
});

it("comes back as soon as anything else of the client reaches the bus", async () => {
  vi.useFakeTimers();
  const fake = new FakeBus();
  let away = true;
  fake.streamFate = () => (away ? "cut" : "go-on");
  fake.publishFate = () => (away ? "cut" : "store");
  const bus = open(fake, { backoff: { initialMs: 60_000, maxMs: 600_000 } });
  const opened = bus
    .agent("alice")
    .subscribe({ channels: [CHANNEL] })
    .ready();
  await vi.advanceTimersByTimeAsync(0);
  expect(fake.subscribeRequests).toHaveLength(1);
  away = false;
  await bus.agent("bob").send("hi", { channel: CHANNEL });
  await opened;
  expect(fake.subscribeRequests).toHaveLength(2);
});
