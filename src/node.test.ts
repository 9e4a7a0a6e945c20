import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { AgentBus } from "agentbus/node";
import { describe, it, onTestFinished } from "vitest";
import { loadConfig } from "./config/load-config.ts";
import { BusError } from "./core/errors.ts";
import { startNode } from "./node.ts";
import { StorageRegistry } from "./storage/factory.ts";
import { createMemoryStorage } from "./storage/memory/index.ts";

const silent = { debug() {}, info() {}, warn() {}, error() {} };
const page = readFileSync(new URL("../docs/metrics.md", import.meta.url), "utf8");

describe("a node", () => {
  it("S1-7.3, S3-FR-007, S4-9f: shows the metrics that docs/metrics.md lists, no more and no less", async () => {
    const config = loadConfig({ overrides: { server: { port: 0 }, metrics: { compat: true } } });
    const node = await startNode({ config, logger: silent });
    onTestFinished(() => node.drain(0));
    const bus = new AgentBus({ url: node.address.url });
    onTestFinished(() => bus.close());
    await bus.ping();
    const alice = bus.agent("alice");
    const reading = alice
      .subscribe({ channels: ["science:explore"], start: "earliest", echo: true })
      [Symbol.asyncIterator]();
    await alice.send("hi", { channel: "science:explore", type: "event" });
    await reading.next();
    await reading.return?.();
    await assert.rejects(bus.agent("bob").send("to nobody", { to: ["nobody"] }));

    const text = await (await fetch(`${node.address.url}/metrics`)).text();
    const shown = new Set(Array.from(text.matchAll(/^# TYPE agentbus_(\w+) /gm), ([, name]) => name));
    const listed = new Set(Array.from(page.matchAll(/^\| `agentbus_(\w+)` \|/gm), ([, name]) => name));
    assert.deepEqual([...shown].sort(), [...listed].sort());
    assert.match(text, /^agentbus_events_published_total 1$/m);
    assert.match(text, /^events_published_total 1$/m, "also without the prefix, as S4 names it");
    assert.match(text, /^nodejs_version_info/m);
  });

  it("S0-3.1.2: waits for a remote storage that is away, says so, and serves when it comes", async () => {
    const there = Promise.withResolvers<void>();
    const tried = Promise.withResolvers<void>();
    let isThere = false;
    const storages = new StorageRegistry().register(
      "tape",
      async (_url, options, environment) => {
        if (!isThere) {
          tried.resolve();
          throw new BusError("STORAGE_UNAVAILABLE", "no tape in the drive");
        }
        there.resolve();
        return createMemoryStorage(options, environment);
      },
      { remote: true },
    );
    const listening = Promise.withResolvers<number>();
    const logger = {
      ...silent,
      info: (fields: object) => "port" in fields && listening.resolve(fields.port as number),
    };
    const config = loadConfig({ overrides: { server: { port: 0 }, storage: { url: "tape:drive" } } });
    const starting = startNode({ config, logger, storages });
    const url = `http://127.0.0.1:${await listening.promise}`;
    await tried.promise;
    const post = (path: string, body: object) =>
      fetch(`${url}/${path}`, {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: JSON.stringify(body),
      });

    const health = (await (await fetch(`${url}/health`)).json()) as { phase: string; problems: string[] };
    assert.deepEqual([health.phase, health.problems], ["starting", ["no tape in the drive"]]);
    assert.equal((await fetch(`${url}/ready`)).status, 503);
    assert.deepEqual(await (await post("grpc.health.v1.Health/Check", {})).json(), { status: "NOT_SERVING" });
    const refused = await post("agentbus.v1.BusService/Publish", { agentId: "alice" });
    assert.equal(refused.status, 503);
    assert.match(await refused.text(), /cannot work yet: no tape in the drive/);

    isThere = true;
    await there.promise;
    const node = await starting;
    onTestFinished(() => node.drain(0));
    assert.equal(node.address.url, url);
    assert.equal((await fetch(`${url}/ready`)).status, 200);
    assert.deepEqual(await (await post("grpc.health.v1.Health/Check", {})).json(), { status: "SERVING" });
  });

  it("gives up waiting for its storage when told", async () => {
    const stop = new AbortController();
    const storages = new StorageRegistry().register(
      "tape",
      async () => {
        setImmediate(() => stop.abort(new Error("told to leave")));
        throw new BusError("STORAGE_UNAVAILABLE", "no tape in the drive");
      },
      { remote: true },
    );
    const config = loadConfig({ overrides: { server: { port: 0 }, storage: { url: "tape:drive" } } });
    await assert.rejects(startNode({ config, logger: silent, storages, signal: stop.signal }), /told to leave/);
  });

  it("leaves a shared storage that falls silent after its last question was answered", async () => {
    let isSilent = false;
    const storages = new StorageRegistry().register("tape", async (_url, options, environment) => {
      const { directory, ...storage } = createMemoryStorage(options, environment);
      const asked = <R>(answer: () => Promise<R>) => (isSilent ? new Promise<R>(() => {}) : answer());
      return {
        ...storage,
        capabilities: { ...storage.capabilities, shared: true },
        directory: {
          async get(key) {
            const record = await asked(() => directory.get(key));
            isSilent ||= key.kind === "goodbye";
            return record;
          },
          put: (...call) => asked(() => directory.put(...call)),
          delete: (...call) => asked(() => directory.delete(...call)),
          list: (request) => asked(() => directory.list(request)),
          count: (...call) => asked(() => directory.count(...call)),
        },
      };
    });
    const config = loadConfig({ overrides: { server: { port: 0 }, storage: { url: "tape:" } } });
    const warnings: string[] = [];
    const logger = { ...silent, warn: (_fields: object, text: string) => void warnings.push(text) };
    const node = await startNode({ config, storages, logger });
    await node.drain(0);
    assert.match(warnings.join(), /the storage does not answer: leaving/);
  });
});
