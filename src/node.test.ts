import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { AgentBus } from "agentbus/node";
import { describe, it, onTestFinished } from "vitest";
import { loadConfig } from "./config/load-config.ts";
import { startNode } from "./node.ts";

const page = readFileSync(new URL("../docs/metrics.md", import.meta.url), "utf8");

describe("a node", () => {
  it("S1-7.3, S3-FR-007, S4-9f: shows the metrics that docs/metrics.md lists, no more and no less", async () => {
    const logger = { debug() {}, info() {}, warn() {}, error() {} };
    const config = loadConfig({ overrides: { server: { port: 0 }, metrics: { compat: true } } });
    const node = await startNode({ config, logger });
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
});
