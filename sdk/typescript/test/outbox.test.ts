import fc from "fast-check";
import { afterEach, describe, expect, it, vi } from "vitest";
import type { Bus } from "../src/bus.ts";
import { BusError, ClosedError } from "../src/errors.ts";
import { encodedSize, FakeBus, type PublishFate } from "./fake-bus.ts";

const CHANNEL = "science:explore";
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

const FATES: readonly PublishFate[] = [
  "store",
  "cut",
  "store-and-cut",
  { refuse: "STORAGE_UNAVAILABLE" },
  { refuse: "RATE_LIMITED", retryDelayMs: 1 },
  { refuse: "DRAINING" },
  { fail: "OVERLOADED" },
];

describe.each([{ clientStreams: true }, { clientStreams: false }])(
  "an outbox, clientStreams $clientStreams",
  ({ clientStreams }) => {
    it("S3-E.2: stores every message once and in order, whatever happens to the requests", () =>
      fc.assert(
        fc.asyncProperty(
          fc.array(fc.constantFrom(...FATES), { maxLength: 12 }),
          fc.array(fc.integer({ min: 1, max: 150 }), { minLength: 1, maxLength: 5 }),
          async (fates, bursts) => {
            const fake = new FakeBus();
            fake.publishFate = (_, count) => fates[count] ?? "store";
            const agent = open(fake, { clientStreams }).agent("alice");
            const sent: Promise<unknown>[] = [];
            let count = 0;
            for (const burst of bursts) {
              for (let n = 0; n < burst; n++)
                sent.push(agent.send(`${count}`, { channel: count++ % 7 === 0 ? "other:one" : CHANNEL }));
              await Promise.race([sent.at(-1), Promise.resolve()]);
            }
            await Promise.all(sent);
            const expected = Array.from({ length: count }, (_, n) => n);
            expect(fake.texts(CHANNEL)).toEqual(expected.filter((n) => n % 7 !== 0).map(String));
            expect(fake.texts("other:one")).toEqual(expected.filter((n) => n % 7 === 0).map(String));
          },
        ),
        { numRuns: 60 },
      ));

    it("rejects only the message that the bus refuses for good, and keeps the others in order", async () => {
      const fake = new FakeBus();
      fake.publishFate = ({ messages }) => {
        const index = messages.findIndex((message) => message.payload.value === "5");
        return index < 0 ? "store" : { refuse: "UNKNOWN_RECIPIENT", index };
      };
      const agent = open(fake, { clientStreams }).agent("alice");
      const sent = Array.from({ length: 250 }, (_, n) => agent.send(`${n}`, { channel: CHANNEL }));
      const outcomes = await Promise.allSettled(sent);
      expect(outcomes.flatMap(({ status }, n) => (status === "rejected" ? [n] : []))).toEqual([5]);
      expect((outcomes[5] as PromiseRejectedResult).reason).toMatchObject({
        name: "BusError",
        reason: "UNKNOWN_RECIPIENT",
        retry: "NEVER",
        code: "NOT_FOUND",
      });
      expect(fake.texts(CHANNEL)).toEqual(Array.from({ length: 250 }, (_, n) => `${n}`).filter((text) => text !== "5"));
    });

    it("rejects all messages of a request that is refused as a whole", async () => {
      const fake = new FakeBus();
      fake.publishFate = ({ channel }) => (channel === "closed" ? { refuse: "CHANNEL_NOT_FOUND" } : "store");
      const agent = open(fake, { clientStreams }).agent("alice");
      const refused = [agent.send("a", { channel: "science:closed" }), agent.send("b", { channel: "science:closed" })];
      const stored = agent.send("c", { channel: CHANNEL });
      for (const outcome of await Promise.allSettled(refused))
        expect(outcome).toMatchObject({ status: "rejected", reason: { reason: "CHANNEL_NOT_FOUND" } });
      await expect(stored).resolves.toMatchObject({ duplicate: false, durability: "stored" });
    });

    it("says that the bus had the message when only the answer was lost", async () => {
      const fake = new FakeBus();
      fake.publishFate = (_, count) => (count === 0 ? "store-and-cut" : "store");
      const receipt = await open(fake, { clientStreams }).agent("alice").send("hi", { channel: CHANNEL });
      expect(receipt).toMatchObject({
        duplicate: true,
        position: expect.stringMatching(/^science:explore@[0-9a-f]{8}\.1$/),
      });
      expect(fake.publishRequests.map(({ messages }) => messages[0]?.id)).toEqual([receipt.id, receipt.id]);
    });

    it("batches what waits, within 100 messages and 1 MiB of one channel", async () => {
      const fake = new FakeBus();
      const agent = open(fake, { clientStreams }).agent("alice");
      const large = new Uint8Array(300 * 1024);
      await Promise.all([
        ...Array.from({ length: 250 }, () => agent.send("x", { channel: CHANNEL })),
        ...Array.from({ length: 8 }, () => agent.send(large, { channel: CHANNEL })),
        agent.send("psst", { to: "bob" }),
        agent.send("psst", { to: "carol" }),
      ]);
      expect(Math.max(...fake.publishRequests.map(({ messages }) => messages.length))).toBe(100);
      expect(Math.max(...fake.publishRequests.map(encodedSize))).toBeLessThan(1024 * 1024);
      expect(fake.publishRequests.length).toBeLessThan(12);
      expect(fake.texts("_inbox:bob")).toEqual(["psst"]);
      expect(fake.texts("_inbox:carol")).toEqual(["psst"]);
    });

    it("S3-E.2: gives a message up at its deadline, and says that it may be stored", async () => {
      vi.useFakeTimers();
      const fake = new FakeBus();
      fake.publishFate = () => "cut";
      const sending = open(fake, { clientStreams, backoff: {} })
        .agent("alice")
        .send("hi", { channel: CHANNEL, timeoutMs: 5_000 });
      const outcome = expect(sending).rejects.toMatchObject({
        name: "BusError",
        reason: "DEADLINE",
        code: "DEADLINE_EXCEEDED",
        retry: "SAME",
      });
      await vi.advanceTimersByTimeAsync(5_000);
      await outcome;
      expect(fake.publishRequests.length).toBeGreaterThan(1);
    });

    it("goes to the next address when one fails", async () => {
      const fake = new FakeBus();
      const asked: string[] = [];
      const bus = open(fake, {
        clientStreams,
        urls: ["http://one", "http://two"],
        route: (url, router) => {
          asked.push(url);
          if (url === "http://two") fake.routes(router);
        },
      });
      // "one" serves nothing: UNIMPLEMENTED would be final, so let it fail as a dead address does.
      const dead = fake.client({
        clientStreams,
        urls: ["http://one", "http://two"],
        route: (url, router) => (url === "http://one" ? new DeadBus().routes(router) : fake.routes(router)),
      });
      clients.push(dead);
      await expect(dead.agent("alice").send("hi", { channel: CHANNEL })).resolves.toMatchObject({ duplicate: false });
      expect(dead.url).toBe("http://two");
      await expect(bus.agent("alice").send("hi", { channel: CHANNEL })).rejects.toMatchObject({
        code: "UNIMPLEMENTED",
      });
      expect(asked).toEqual(["http://one"]);
    });
  },
);

class DeadBus extends FakeBus {
  override publishFate = (): PublishFate => "cut";
}

describe("an outbox over a stream", () => {
  it("sends a refused request and all that followed it again, in order, under the same numbers", async () => {
    const fake = new FakeBus();
    const seen: string[] = [];
    fake.publishFate = ({ channel }, count) => {
      seen.push(channel);
      return count === 0 ? { refuse: "RATE_LIMITED", retryDelayMs: 1 } : "store";
    };
    const agent = open(fake).agent("alice");
    await Promise.all(["a", "b", "c"].map((channel) => agent.send("x", { channel: `room:${channel}` })));
    // b and c were refused with RESEND_REQUIRED by the fake, before it looked at them.
    expect(seen).toEqual(["a", "a", "b", "c"]);
  });

  it("finds out which message makes the bus refuse the stream, and rejects it alone", async () => {
    const fake = new FakeBus();
    fake.publishFate = ({ messages }) =>
      messages.some(({ payload }) => payload.value === "7") ? { fail: "MALFORMED_REQUEST" } : "store";
    const agent = open(fake).agent("alice");
    const outcomes = await Promise.allSettled(
      Array.from({ length: 20 }, (_, n) => agent.send(`${n}`, { channel: CHANNEL })),
    );
    expect(outcomes.flatMap(({ status }, n) => (status === "rejected" ? [n] : []))).toEqual([7]);
    expect(fake.texts(CHANNEL)).toEqual(Array.from({ length: 20 }, (_, n) => `${n}`).filter((text) => text !== "7"));
  });

  it("rejects everything when the bus refuses the agent", async () => {
    const fake = new FakeBus();
    fake.publishFate = () => ({ fail: "UNAUTHENTICATED" });
    const agent = open(fake).agent("alice");
    const outcomes = await Promise.allSettled(Array.from({ length: 300 }, () => agent.send("x", { channel: CHANNEL })));
    expect(
      outcomes.every((outcome) => outcome.status === "rejected" && outcome.reason.reason === "UNAUTHENTICATED"),
    ).toBe(true);
    expect(fake.publishRequests.length).toBeLessThan(5);
  });

  it("has at most 1,000 messages on their way, and takes at most 100,000", async () => {
    const fake = new FakeBus();
    const arrived = Promise.withResolvers<void>();
    fake.publishFate = () => {
      arrived.resolve();
      return "hang";
    };
    const agent = open(fake).agent("alice");
    const sent = Array.from({ length: 100_000 }, (_, n) =>
      agent.send("x", { channel: `room:c${n % 300}`, timeoutMs: 1_000_000 }),
    );
    const outcomes = Promise.allSettled(sent);
    await expect(agent.send("one more", { channel: CHANNEL })).rejects.toMatchObject({
      reason: "OVERLOADED",
      retry: "SAME",
    });
    await arrived.promise;
    await agent.close();
    const reasons = (await outcomes).map((outcome) => (outcome.status === "rejected" ? outcome.reason : undefined));
    expect(reasons.every((reason) => reason instanceof ClosedError)).toBe(true);
    expect(fake.publishRequests.length).toBe(1);
  });

  it("gives up at an abort, and does not send what nobody waits for", async () => {
    const fake = new FakeBus();
    const agent = open(fake).agent("alice");
    const abort = new AbortController();
    const kept = agent.send("kept", { channel: CHANNEL });
    const dropped = agent.send("dropped", { channel: CHANNEL, signal: abort.signal });
    abort.abort(new Error("not needed any more"));
    await expect(dropped).rejects.toThrow("not needed any more");
    await expect(agent.send("late", { channel: CHANNEL, signal: abort.signal })).rejects.toThrow("not needed any more");
    await kept;
    expect(fake.texts(CHANNEL)).toEqual(["kept"]);
  });

  it("opens a new stream when a refused batch shrinks before it goes out again", async () => {
    const fake = new FakeBus();
    const abort = new AbortController();
    fake.publishFate = (_, count) => {
      if (count > 0) return "store";
      // The client hears of the refusal later than of this.
      abort.abort(new Error("not needed any more"));
      return { refuse: "STORAGE_UNAVAILABLE" };
    };
    const agent = open(fake).agent("alice");
    const sent = ["a", "b", "c"].map((text) =>
      agent.send(text, { channel: CHANNEL, ...(text === "b" ? { signal: abort.signal } : {}) }),
    );
    await expect(sent[1]).rejects.toThrow("not needed any more");
    await Promise.all([sent[0], sent[2]]);
    expect(fake.texts(CHANNEL)).toEqual(["a", "c"]);
  });

  it("has no timer left when it has nothing to do, so that a process can end", async () => {
    vi.useFakeTimers();
    await open(new FakeBus()).agent("alice").send("hi", { channel: CHANNEL });
    await vi.advanceTimersByTimeAsync(5_000);
    expect(vi.getTimerCount()).toBe(0);
  });

  it("waits for what is on its way when it is closed, and takes nothing more", async () => {
    const fake = new FakeBus();
    fake.publishFate = (_, count) => (count < 3 ? "cut" : "store");
    const agent = open(fake, { closeTimeoutMs: 60_000 }).agent("alice");
    const sent = agent.send("hi", { channel: CHANNEL });
    const closing = agent.close();
    await expect(agent.send("too late", { channel: CHANNEL })).rejects.toBeInstanceOf(ClosedError);
    await expect(sent).resolves.toMatchObject({ duplicate: false });
    await closing;
    expect(fake.texts(CHANNEL)).toEqual(["hi"]);
  });

  it("warns once when the bus stays away", async () => {
    const fake = new FakeBus();
    fake.publishFate = (_, count) => (count < 12 ? "cut" : "store");
    await open(fake).agent("alice").send("hi", { channel: CHANNEL });
    expect(fake.warnings).toEqual([
      expect.stringMatching(/^publishing of alice fails again and again .*going on trying/),
    ]);
  });

  it("registers a profile before the first message, also when the bus is away at first", async () => {
    const fake = new FakeBus();
    fake.failRegistrations = 6;
    const agent = open(fake).agent("alice", { kind: "ai_agent", capabilities: ["translate"] });
    await Promise.all([agent.send("a", { channel: CHANNEL }), agent.send("b", { channel: CHANNEL })]);
    expect(fake.registered).toEqual(["alice"]);
    expect(fake.texts(CHANNEL)).toEqual(["a", "b"]);
  });

  it("refuses what cannot be sent at once, with a clear error", async () => {
    const agent = open(new FakeBus()).agent("alice");
    await expect(agent.send("hi")).rejects.toThrow("alice sends to nobody");
    await expect(agent.send("hi", { channel: "nonsense" })).rejects.toThrow("must be written room:channel");
    await expect(agent.send(() => 1, { channel: CHANNEL })).rejects.toThrow("a function cannot be sent");
    await expect(agent.send("hi", { channel: "_inbox:bob" })).rejects.toThrow("write to an inbox with `to`");
    await expect(agent.send("hi", { channel: CHANNEL, type: "shout" as "event" })).rejects.toThrow(
      'type "shout" is none of message, event',
    );
  });

  it("never turns an empty `to` into everyone", async () => {
    const fake = new FakeBus();
    const agent = open(fake).agent("alice");
    await agent.send("hi", { channel: CHANNEL, to: [] });
    expect(fake.publishRequests[0]?.messages[0]?.to).toBeDefined();
  });
});

it("reads a failure of the bus from ErrorInfo, RetryInfo and metadata", async () => {
  const fake = new FakeBus();
  fake.publishFate = () => ({ refuse: "HOP_LIMIT" });
  const error = await open(fake, { clientStreams: false })
    .agent("alice")
    .send("hi", { channel: CHANNEL })
    .catch((caught: unknown) => caught);
  expect(error).toBeInstanceOf(BusError);
  expect(error).toMatchObject({
    code: "RESOURCE_EXHAUSTED",
    reason: "HOP_LIMIT",
    retry: "NEVER",
    message: "HOP_LIMIT on purpose",
  });
});
