import { createHash } from "node:crypto";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import type { Bus } from "../src/bus.ts";
import type { AgentBusOptions } from "../src/exports.ts";
import { AgentBus as FetchBus, Message as FetchMessage } from "../src/index.ts";
import { connect, AgentBus as GrpcBus, Message as GrpcMessage } from "../src/node.ts";
import { CuttingProxy } from "./cutting-proxy.ts";
import { type RunningServer, startServer } from "./running-server.ts";

let server: RunningServer;
const closing: { close(): Promise<void> }[] = [];
let rooms = 0;

beforeAll(async () => {
  server = await startServer();
});
afterAll(() => server.stop());
afterEach(async () => {
  for (const each of closing.splice(0).reverse()) await each.close();
});

/** A room of its own for each test, and so no effect of one on another. */
const newRoom = () => `room-${++rooms}`;

describe.each([
  { platform: "grpc", Client: GrpcBus },
  { platform: "fetch", Client: FetchBus },
])("the SDK over $platform against the bus", ({ Client }) => {
  function open(url = `http://127.0.0.1:${server.port}`, options: AgentBusOptions = {}): Bus {
    const bus = new Client({ url, backoff: { initialMs: 5, maxMs: 50 }, onWarning: () => {}, ...options });
    closing.push(bus);
    return bus;
  }

  async function openProxy(): Promise<CuttingProxy> {
    const proxy = await CuttingProxy.to(server.port);
    closing.push(proxy);
    return proxy;
  }

  it("S3-SC-010: carries a full-duplex talk over cut links, every message once and in order", async () => {
    const COUNT = 200;
    const channel = `${newRoom()}:talk`;
    const proxy = await openProxy();
    const listen = async (name: string) => {
      const agent = open(proxy.url).agent(name);
      const subscription = await agent.subscribe({ channels: [channel] }).ready();
      const read = async () => {
        const texts: string[] = [];
        for await (const message of subscription) {
          texts.push(message.text);
          if (texts.length % 20 === 0) proxy.cut();
          if (texts.length === COUNT) return texts;
        }
        return texts;
      };
      return { agent, heard: read() };
    };
    const alice = await listen("alice");
    const bob = await listen("bob");
    const talk = async ({ agent }: typeof alice) => {
      for (let n = 0; n < COUNT; n += 10) {
        await Promise.all(Array.from({ length: 10 }, (_, at) => agent.send(`${agent.id} ${n + at}`, { channel })));
      }
    };
    await Promise.all([talk(alice), talk(bob)]);
    expect(await alice.heard).toEqual(Array.from({ length: COUNT }, (_, n) => `bob ${n}`));
    expect(await bob.heard).toEqual(Array.from({ length: COUNT }, (_, n) => `alice ${n}`));
    expect(proxy.cuts).toBeGreaterThanOrEqual(20);
    const stored: string[] = [];
    for await (const message of open().agent("carol").history(channel))
      if (message.sender === "alice") stored.push(message.text);
    expect(stored).toEqual(Array.from({ length: COUNT }, (_, n) => `alice ${n}`));
  });

  it("S3-E.2: stores a burst once and in order over cut links", async () => {
    const COUNT = 3_000;
    const channel = `${newRoom()}:burst`;
    const proxy = await openProxy();
    const agent = open(proxy.url).agent("alice");
    let stored = 0;
    const receipts = await Promise.all(
      Array.from({ length: COUNT }, async (_, n) => {
        const receipt = await agent.send(`${n}`, { channel });
        if (++stored % 400 === 0) proxy.cut();
        return receipt;
      }),
    );
    const texts: string[] = [];
    for await (const message of agent.history(channel, { maxMessages: 1_000 })) texts.push(message.text);
    expect(texts).toEqual(Array.from({ length: COUNT }, (_, n) => `${n}`));
    expect(new Set(receipts.map(({ position }) => position)).size).toBe(COUNT);
    expect(proxy.cuts).toBeGreaterThan(3);
  });

  it("asks one agent, an audience, and nobody", async () => {
    const channel = `${newRoom()}:questions`;
    const bus = open();
    const asker = bus.agent("asker");
    const critics = ["ann", "ben", "cas"].map((id) =>
      bus.agent(id, { kind: "ai_agent", groups: [`critics-${channel}`.replaceAll(":", "-")] }),
    );
    for (const critic of critics) {
      await critic.join(channel);
      const subscription = await critic.subscribe().ready();
      void (async () => {
        for await (const question of subscription) {
          if (question.text === "who?") await question.reply({ name: critic.id });
        }
      })();
    }
    const overheard: string[] = [];
    const inbox = await asker.subscribe({ channels: [asker.inbox] }).ready();
    const listening = (async () => {
      for await (const message of inbox) {
        overheard.push(message.text);
        if (message.text === "that is all") return;
      }
    })();

    const answer = await asker.ask("who?", { to: "ann" });
    expect(answer.content).toEqual({ name: "ann" });
    expect(answer).toMatchObject({ sender: "ann", direct: true, hopCount: 1 });
    const group = `critics-${channel}`.replaceAll(":", "-");
    const answers = await asker.ask("who?", { channel, to: { groups: [group] }, answers: "audience" });
    expect(answers.map(({ sender }) => sender).sort()).toEqual(["ann", "ben", "cas"]);
    await expect(asker.ask("silence", { to: "ann", timeoutMs: 50 })).rejects.toMatchObject({ reason: "DEADLINE" });
    expect(await asker.ask("who?", { channel, to: ["ann", "ben"], answers: 3, timeoutMs: 3_000 })).toHaveLength(2);

    await bus.agent("ann").send("that is all", { to: "asker" });
    await listening;
    // Answers went to ask alone, though they are in the inbox.
    expect(overheard).toEqual(["that is all"]);
    const page = await asker.fetch(asker.inbox);
    expect(page.messages.length).toBeGreaterThan(4);
  });

  it("lets one reader stop without holding up another of the same bus", async () => {
    const channel = `${newRoom()}:wide`;
    const bus = open();
    const slow = await bus
      .agent("slow")
      .subscribe({ channels: [channel] })
      .ready();
    const fast = await bus
      .agent("fast")
      .subscribe({ channels: [channel] })
      .ready();
    const payload = "x".repeat(64 * 1024);
    const sender = bus.agent("sender");
    const sending = Promise.all(Array.from({ length: 200 }, (_, n) => sender.send(`${n} ${payload}`, { channel })));
    const read = async (subscription: typeof fast) => {
      const seen: number[] = [];
      for await (const message of subscription) if (seen.push(Number.parseInt(message.text, 10)) === 200) break;
      return seen;
    };
    const numbers = Array.from({ length: 200 }, (_, n) => n);
    expect(await read(fast)).toEqual(numbers);
    await sending;
    expect(await read(slow)).toEqual(numbers);
  });

  it("ends a subscription that is taken over, whose channel is deleted, whose agent is gone", async () => {
    const channel = `${newRoom()}:ends`;
    const bus = open();
    const other = open();
    await bus.channels.create(channel, { createRoom: true });
    const first = await bus
      .agent("dan")
      .subscribe({ channels: [channel], exclusive: "one" })
      .ready();
    const second = await other
      .agent("dan")
      .subscribe({ channels: [channel], exclusive: "one" })
      .ready();
    await expect(first.next()).rejects.toMatchObject({ name: "SubscriptionEnded", reason: "TAKEN_OVER" });
    await bus.channels.delete(channel);
    await expect(second.next()).rejects.toMatchObject({
      name: "SubscriptionEnded",
      reason: "CHANNEL_DELETED",
      channel,
    });
    const third = await bus
      .agent("eve")
      .subscribe({ patterns: ["nowhere:*"] })
      .ready();
    await other.agent("eve").disconnect();
    await expect(third.next()).rejects.toMatchObject({ name: "SubscriptionEnded", reason: "AGENT_GONE" });
  });

  it("manages rooms, channels and agents", async () => {
    const room = newRoom();
    const bus = open();
    await bus.rooms.create(room, {
      description: "for tests",
      routing: { strategy: "round_robin" },
      retention: { maxMessages: 10 },
    });
    await bus.channels.create(`${room}:one`, { dedupWindowMs: 60_000 });
    const updated = await bus.rooms.update(room, { routing: { strategy: "broadcast" }, metadata: { owner: "me" } });
    expect(updated.room).toMatchObject({ description: "for tests", metadata: { owner: "me" } });
    const agent = bus.agent("manager", { kind: "human", screenName: "The boss", capabilities: ["decide"] });
    await agent.join(`${room}:one`);
    expect((await Array.fromAsync(bus.channels.list({ room }))).map(({ channel }) => channel)).toEqual(["one"]);
    expect((await Array.fromAsync(bus.channels.members(`${room}:one`))).map(({ agentId }) => agentId)).toEqual([
      "manager",
    ]);
    expect((await agent.update({ screenName: "Boss" })).screenName).toBe("Boss");
    const found = await Array.fromAsync(bus.agents.list({ capabilities: ["decide"] }));
    expect(found.map(({ agentId }) => agentId)).toContain("manager");
    const changes: string[] = [];
    for await (const { change, agent: who } of bus.agents.watch({ agentIds: ["manager"] })) {
      changes.push(change);
      if (changes.length === 1) await agent.update({ description: who.description === "busy" ? "free" : "busy" });
      if (change === "updated") break;
    }
    expect(changes).toEqual(["current", "updated"]);
    await agent.leave(`${room}:one`);
    await bus.rooms.delete(room, { force: true });
    await expect(bus.rooms.get(room)).rejects.toMatchObject({ reason: "ROOM_NOT_FOUND", retry: "NEVER" });
    expect((await bus.status()).nodes.length).toBe(1);
    expect((await bus.info()).protocolVersion).toBe("1.0");
  });

  it("reads history both ways, and waits for what is to come", async () => {
    const channel = `${newRoom()}:history`;
    const agent = open().agent("reader");
    for (let n = 0; n < 7; n++) await agent.send(`${n}`, { channel });
    const texts = async (options: Parameters<typeof agent.history>[1]) =>
      (await Array.fromAsync(agent.history(channel, options))).map(({ text }) => text);
    expect(await texts({ maxMessages: 3 })).toEqual(["0", "1", "2", "3", "4", "5", "6"]);
    expect(await texts({ maxMessages: 3, backward: true })).toEqual(["6", "5", "4", "3", "2", "1", "0"]);
    const page = await agent.fetch(channel, { maxMessages: 2 });
    expect(await texts({ start: { position: page.position } })).toEqual(["2", "3", "4", "5", "6"]);
    const { position } = page.messages[1]!;
    expect((await agent.getMessage(position)).text).toBe("1");
    expect((await agent.getMessage({ channel, id: page.messages[0]!.id })).text).toBe("0");
    const head = await agent.fetch(channel, { backward: true, maxMessages: 1 });
    const waiting = agent.fetch(channel, { start: { position: head.messages[0]!.position }, waitMs: 30_000 });
    await agent.send("news", { channel });
    expect((await waiting).messages.map(({ text }) => text)).toEqual(["news"]);
  });
});

it("S1-5.1: both entry points export AgentBus and Message", () => {
  expect(GrpcBus.name).toBe("AgentBus");
  expect(FetchBus.name).toBe("AgentBus");
  expect(GrpcMessage).toBe(FetchMessage);
});

describe.each([
  { platform: "grpc", Client: GrpcBus },
  { platform: "fetch", Client: FetchBus },
])("the SDK over $platform against a bus with API keys", ({ Client }) => {
  it("sends its key, and learns at once what it may not do", async () => {
    const folder = await mkdtemp(join(tmpdir(), "agentbus-sdk-"));
    const sha256 = createHash("sha256").update("secret").digest("hex");
    await writeFile(
      join(folder, "bus.json"),
      JSON.stringify({ auth: { apiKeys: [{ name: "test", sha256, agents: ["alice"] }] } }),
    );
    const guarded = await startServer("--config", join(folder, "bus.json"));
    closing.push({ close: () => rm(folder, { recursive: true }) }, { close: () => guarded.stop() });
    const open = (apiKey?: () => Promise<string>) => {
      const bus = new Client({ url: `http://127.0.0.1:${guarded.port}`, ...(apiKey === undefined ? {} : { apiKey }) });
      closing.push(bus);
      return bus;
    };

    const stranger = open().agent("alice");
    const unauthenticated = { name: "BusError", code: "UNAUTHENTICATED", reason: "UNAUTHENTICATED", retry: "NEVER" };
    await expect(stranger.send("hi", { channel: "a:b" })).rejects.toMatchObject(unauthenticated);
    await expect(stranger.subscribe({ channels: ["a:b"] }).ready()).rejects.toMatchObject(unauthenticated);

    const bus = open(async () => "secret");
    const alice = bus.agent("alice", {});
    const subscription = await alice.subscribe({ channels: ["a:b"], echo: true }).ready();
    await alice.send("hi", { channel: "a:b" });
    expect((await subscription.next()).value?.text).toBe("hi");
    const notAllowed = { name: "BusError", code: "PERMISSION_DENIED", reason: "AGENT_NOT_ALLOWED", retry: "NEVER" };
    await expect(bus.agent("bob").send("hi", { channel: "a:b" })).rejects.toMatchObject(notAllowed);
    await expect(bus.agent("carol", {}).subscribe().ready()).rejects.toMatchObject(notAllowed);
  });
});

it("connect fails when nobody answers", async () => {
  const proxy = await CuttingProxy.to(1);
  const { url } = proxy;
  await proxy.close();
  await expect(connect({ url, backoff: { initialMs: 1, maxMs: 2 } })).rejects.toMatchObject({
    name: "BusError",
    code: "UNAVAILABLE",
  });
});
