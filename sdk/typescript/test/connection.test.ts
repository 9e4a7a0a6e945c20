import { Code, ConnectError, type ConnectRouter } from "@connectrpc/connect";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { Addresses } from "../src/addresses.ts";
import type { Bus } from "../src/bus.ts";
import { FailureRow } from "../src/failure-row.ts";
import { AdminService } from "../src/gen/agentbus/v1/admin_service_pb.ts";
import { type LinkOptions, resolveLinkOptions } from "../src/link-options.ts";
import { FakeBus, failure, left } from "./fake-bus.ts";

const CHANNEL = "science:explore";
const [ONE, TWO] = ["http://one", "http://two"];

describe("the addresses of a bus", () => {
  beforeEach(() => void vi.useFakeTimers());
  afterEach(() => void vi.useRealTimers());

  it("one that failed is the last choice for a while, longer with each failure in a row", () => {
    const addresses = new Addresses(["a", "b", "c"]);
    const fail = () => {
      addresses.failed(addresses.generation);
      return addresses.url;
    };
    const { generation } = addresses;
    expect(fail()).toBe("b");
    addresses.failed(generation);
    expect(addresses.url, "told twice of one failure, it moves once").toBe("b");
    expect(fail()).toBe("c");
    expect(fail(), "all failed: the one whose time is over first").toBe("a");
    expect(fail(), "the second failure in a row of a: 10 s").toBe("b");
    addresses.worked(addresses.generation);
    expect(fail()).toBe("c");
    vi.advanceTimersByTime(5_500);
    expect(fail(), "the time of b is over, and that of a is not").toBe("b");
  });

  it("a single one stays in use", () => {
    const alone = new Addresses(["a"]);
    alone.failed(alone.generation);
    expect([alone.url, alone.generation]).toEqual(["a", 0]);
  });
});

describe("a bus that is away", () => {
  it("is told once, however many wait for it, and again the next time", async () => {
    const fake = new FakeBus();
    const bus = fake.client();
    const told = () => fake.warnings.splice(0);
    for (const who of ["alice", "bob"]) {
      fake.failRegistrations = 30;
      const agent = bus.agent(who, { kind: "ai_agent" });
      await Promise.all([agent.send("hi", { channel: CHANNEL }), agent.subscribe({ channels: [CHANNEL] }).ready()]);
      expect(told()).toEqual([
        expect.stringMatching(
          new RegExp(`^registering ${who} fails again and again .*away.*; going on trying, now http://`),
        ),
      ]);
    }
    await bus.close();
  });

  it("is told after four failures, or a failure after a second", () => {
    vi.useFakeTimers();
    try {
      const quick = new FailureRow(performance.now());
      expect([1, 2, 3, 4, 5].map(() => quick.add())).toEqual([false, false, false, true, false]);
      const slow = new FailureRow(performance.now());
      vi.advanceTimersByTime(1_000);
      expect([slow.add(), slow.add()], "a connection that nobody answers").toEqual([true, false]);
    } finally {
      vi.useRealTimers();
    }
  });

  it("is not told by a call that its caller hears of", async () => {
    const fake = new FakeBus();
    fake.failRegistrations = 30;
    const bus = fake.client({ maxRetries: 6 });
    await expect(bus.agent("alice").register()).rejects.toMatchObject({ code: "UNAVAILABLE" });
    expect(fake.warnings).toEqual([]);
    await bus.close();
  });
});

describe("link options", () => {
  it.each<LinkOptions>([
    { pingIntervalMs: 0 },
    { pingTimeoutMs: 60_001 },
    { attemptTimeoutMs: -1 },
    { callTimeoutMs: 0 },
    { maxRetries: 1_001 },
    { backoff: { initialMs: 0 } },
    { backoff: { initialMs: 2_000, maxMs: 1_000 } },
    { backoff: { factor: 11 } },
  ])("%j is refused", (options) => {
    expect(() => resolveLinkOptions(options)).toThrow(RangeError);
  });
});

describe("with several addresses", () => {
  const clients: Bus[] = [];
  const open = (fake: FakeBus, options: Parameters<FakeBus["client"]>[0]) => {
    const bus = fake.client({ closeTimeoutMs: 1, urls: [ONE, TWO], ...options });
    clients.push(bus);
    return bus;
  };
  afterEach(async () => void (await Promise.all(clients.splice(0).map((bus) => bus.close()))));

  const pings = (answer: (url: string, signal: AbortSignal) => Promise<void>) => (url: string, router: ConnectRouter) =>
    router.service(AdminService, {
      async ping(_request, { signal }) {
        await answer(url, signal);
        return { nodeId: url };
      },
    });

  it("S3-SC-008: a call that is not answered goes to the next, within the time that its caller has", async () => {
    const asked: string[] = [];
    const route = pings(async (url, signal) => {
      asked.push(url);
      if (url === ONE) await left(signal);
    });
    const bus = open(new FakeBus(), { route });
    await expect(bus.ping({ timeoutMs: 1_000 })).resolves.toMatchObject({ nodeId: TWO });
    await expect(bus.ping({ timeoutMs: 1_000 })).resolves.toMatchObject({ nodeId: TWO });
    expect(asked).toEqual([ONE, TWO, TWO]);
  });

  it.each(["STORAGE_UNAVAILABLE", "DEADLINE"] as const)(
    "a server that says %s is left for the next",
    async (reason) => {
      const route = pings(async (url) => {
        if (url === ONE) throw failure(reason);
      });
      await expect(open(new FakeBus(), { route }).ping()).resolves.toMatchObject({ nodeId: TWO });
    },
  );

  it("a server that refuses the request itself is not", async () => {
    const route = pings(() => Promise.reject(failure("ADMIN_ONLY")));
    const bus = open(new FakeBus(), { route });
    await expect(bus.ping()).rejects.toMatchObject({ reason: "ADMIN_ONLY" });
    expect(bus.url).toBe(ONE);
  });

  it("S4-7: a call is repeated as often as the options say", async () => {
    let calls = 0;
    const route = pings(async () => {
      calls++;
      throw new ConnectError("away", Code.Unavailable);
    });
    await expect(open(new FakeBus(), { route, maxRetries: 5 }).ping()).rejects.toMatchObject({ code: "UNAVAILABLE" });
    expect(calls).toBe(6);
  });

  it.each([true, false])(
    "S3-E.2: what is not answered in time goes to the next; streams: %s",
    async (clientStreams) => {
      const silent = new FakeBus();
      silent.publishFate = () => "hang";
      const fake = new FakeBus();
      const route = (url: string, router: ConnectRouter) => (url === ONE ? silent : fake).routes(router);
      const bus = open(fake, { route, clientStreams, attemptTimeoutMs: 50 });
      const agent = bus.agent("alice");
      await Promise.all(["a", "b"].map((text) => agent.send(text, { channel: CHANNEL })));
      expect(fake.texts(CHANNEL)).toEqual(["a", "b"]);
      expect(bus.url).toBe(TWO);
    },
  );

  it("what a server without its storage refuses goes to the next, in order", async () => {
    const broken = new FakeBus();
    broken.publishFate = () => ({ refuse: "STORAGE_UNAVAILABLE" });
    const fake = new FakeBus();
    const route = (url: string, router: ConnectRouter) => (url === ONE ? broken : fake).routes(router);
    const agent = open(fake, { route }).agent("alice");
    const texts = Array.from({ length: 250 }, (_, n) => `${n}`);
    await Promise.all(texts.map((text) => agent.send(text, { channel: CHANNEL })));
    expect(fake.texts(CHANNEL)).toEqual(texts);
    expect(broken.texts(CHANNEL)).toEqual([]);
  });
});
