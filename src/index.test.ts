import assert from "node:assert/strict";
import { AgentBus, isBusError } from "agentbus/node";
import { describe, it, onTestFinished } from "vitest";
import {
  BusError,
  builtInStorages,
  type Logger,
  loadConfig,
  memoryStorage,
  RoutingRegistry,
  type RoutingStrategy,
  type StorageFactory,
  startNode,
} from "./index.ts";

const SILENT: Logger = { debug() {}, info() {}, warn() {}, error() {} };

/** What a program might want: whoever carries the label "on-call" reads, and nobody else. */
function onCall(): RoutingStrategy {
  return {
    route(_draft, { agents, members, channel }) {
      const isOnCall = (id: string) => agents.profile(id)?.labels["on-call"] === "yes";
      const readers = [...members].filter(isOnCall).sort();
      if (readers.length === 0) throw new BusError("NO_CANDIDATE", `nobody of ${channel.key} is on call`);
      return readers;
    },
  };
}

/** Another storage in front of the one that comes with the bus: here, one that counts what is appended. */
function countingStorage(seen: { url: string; records: number }): StorageFactory {
  return async (url, options, environment) => {
    seen.url = url;
    const inner = await memoryStorage("memory:", options, environment);
    return {
      ...inner,
      kind: "counting",
      log: new Proxy(inner.log, {
        get(log, key) {
          if (key === "append") {
            return (batch: Parameters<typeof log.append>[0]) => {
              seen.records += batch.records.length;
              return log.append(batch);
            };
          }
          const member: unknown = Reflect.get(log, key);
          return typeof member === "function" ? member.bind(log) : member;
        },
      }),
    };
  };
}

async function embed(url: string, storages = builtInStorages(), routing = new RoutingRegistry()) {
  const config = loadConfig({ overrides: { server: { port: 0 }, storage: { url } } });
  const node = await startNode({ config, storages, routing, logger: SILENT });
  onTestFinished(() => node.drain(0));
  const bus = new AgentBus({ url: node.address.url });
  onTestFinished(() => bus.close());
  return { node, bus };
}

describe("an embedded bus", () => {
  it("S1-5.2, S1-4.1d: runs on a storage of the program's own", async () => {
    const seen = { url: "", records: 0 };
    const storages = builtInStorages().register("counting", countingStorage(seen));
    const { node, bus } = await embed("counting:somewhere", storages);

    assert.deepEqual(node.storage, { kind: "counting", durable: false });
    assert.equal((await bus.info()).storage, "counting");
    const alice = bus.agent("alice");
    await alice.send("one", { channel: "lab:notes" });
    await alice.send("two", { channel: "lab:notes" });
    const { messages } = await alice.fetch("lab:notes");
    assert.deepEqual(
      messages.map((message) => message.text),
      ["one", "two"],
    );
    assert.equal(seen.url, "counting:somewhere");
    assert.equal(seen.records, 2);
  });

  it("S1-5.2, S1-4.2d: routes by a strategy of the program's own, chosen by name", async () => {
    const { bus } = await embed("memory:", builtInStorages(), new RoutingRegistry().register("on-call", onCall));
    const [carol, dave] = [bus.agent("carol", { labels: { "on-call": "yes" } }), bus.agent("dave")];
    await bus.rooms.create("ops", { routing: { strategy: "custom", custom: "on-call" } });
    await Promise.all([carol.join("ops:alarms"), dave.join("ops:alarms")]);

    const receipt = await bus.agent("probe").send("disk full", { channel: "ops:alarms" });
    assert.deepEqual(receipt.audience, { count: 1, agents: ["carol"] });
    assert.equal((await carol.fetch("ops:alarms")).messages.length, 1);
    assert.equal((await dave.fetch("ops:alarms")).messages.length, 0);

    await carol.leave("ops:alarms");
    await assert.rejects(bus.agent("probe").send("again", { channel: "ops:alarms" }), (error) =>
      isBusError(error, "NO_CANDIDATE"),
    );
  });

  it("S1-4.2d: refuses a strategy that nobody registered", async () => {
    const { bus } = await embed("memory:");
    await assert.rejects(bus.rooms.create("ops", { routing: { strategy: "custom", custom: "unheard-of" } }), (error) =>
      isBusError(error, "UNKNOWN_STRATEGY"),
    );
  });

  it("S1-5.2: several buses live in one program", async () => {
    const [first, second] = await Promise.all([embed("memory:"), embed("memory:")]);
    await first.bus.agent("alice").send("only here", { channel: "lab:notes" });
    assert.notEqual(first.node.address.port, second.node.address.port);
    assert.equal((await second.bus.status()).channels, 0);
    assert.equal((await first.bus.status()).channels, 1);
  });
});
