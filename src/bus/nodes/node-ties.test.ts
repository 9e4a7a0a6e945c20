import assert from "node:assert/strict";
import { describe, it } from "vitest";
import {
  type Backend,
  createBackend,
  openNode,
  pass,
  settle,
  type TestNode,
  textRecord,
} from "../../../test/support/registry-fixture.ts";
import { waitUntil } from "../../../test/support/wait.ts";
import { EMPTY_PROFILE } from "../../core/agent.ts";
import { isBusError } from "../../core/errors.ts";
import { channelName } from "../../core/names.ts";
import type { Directory } from "../../storage/directory.ts";
import type { NodeReport } from "./node-records.ts";

const LEASE = 15_000;
const REPORT: NodeReport = {
  version: "1.2.3",
  startedAtMs: 1,
  storage: "memory",
  serving: true,
  problems: [],
  connections: 1,
  streams: 2,
  subscriptions: 3,
  published: 4,
  delivered: 5,
  publishRate: 6,
  deliveryRate: 7,
};
const ids = ({ nodes }: TestNode) => nodes.others.map(({ nodeId }) => nodeId);

describe("nodes that share a storage", () => {
  it("know each other, what each says of itself, and soon when one stops to serve", async () => {
    const backend = createBackend("shared");
    const [a, b] = [
      await openNode(backend, { nodeId: "a" }),
      await openNode(backend, { nodeId: "b", nodeName: "Bee" }),
    ];
    await settle();
    assert.deepEqual([ids(a), ids(b)], [["b"], ["a"]]);
    assert.equal(a.nodes.others[0]?.serving, false, "it has not said anything yet");
    let serving = true;
    b.nodes.reportWith(() => ({ ...REPORT, serving, problems: ["x".repeat(10_000)] }));
    await pass(backend, 1_000);
    const { problems, ...record } = a.nodes.others[0]!;
    const { problems: _, ...said } = REPORT;
    assert.deepEqual(record, { ...said, nodeId: "b", name: "Bee", left: false });
    assert.equal(problems[0]?.length, 500, "what is told to others is bounded");
    serving = false;
    await pass(backend, 1_000);
    assert.equal(a.nodes.others[0]?.serving, false);
    await b.close();
    await settle();
    assert.deepEqual(ids(a), []);
    await a.close();
    assert.equal(backend.clock.pending, 0);
  });

  it("tell their doorbell whether anybody else is there to hear", async () => {
    const backend = createBackend("shared");
    const a = await openNode(backend, { nodeId: "a" });
    assert.equal(a.link.expectsOthers, false);
    const b = await openNode(backend, { nodeId: "b" });
    await settle();
    assert.deepEqual([a.link.expectsOthers, b.link.expectsOthers], [true, true]);
    b.link.stop();
    await pass(backend, LEASE - 1_000);
    assert.equal(a.link.expectsOthers, true, "as long as it may come back");
    await pass(backend, 2_000);
    assert.equal(a.link.expectsOthers, false);
    b.link.resume();
    await pass(backend, 1_000);
    assert.equal(a.link.expectsOthers, true);
  });

  it("of which one dies are one fewer after its lease, and one more when it is back", async () => {
    const backend = createBackend("shared");
    const [a, b] = [await openNode(backend, { nodeId: "a" }), await openNode(backend, { nodeId: "b" })];
    await pass(backend, 3 * LEASE);
    assert.deepEqual(ids(a), ["b"], "whoever renews stays");
    b.link.stop();
    await pass(backend, LEASE + 1_000);
    assert.deepEqual(ids(a), []);
    b.link.resume();
    await pass(backend, 1_000);
    assert.deepEqual([ids(a), ids(b)], [["b"], ["a"]]);
  });

  it("ask the storage seldom: a node that does nothing costs a list and two writes in a third of its lease", async () => {
    const backend = createBackend("shared");
    const a = await openNode(backend, { nodeId: "a", cleanupIntervalMs: 3_600_000 });
    await openNode(backend, { nodeId: "b" });
    await pass(backend, 1_000);
    const before = { ...a.link.calls };
    await pass(backend, 15_000);
    assert.ok(a.link.calls.puts - before.puts <= 6, `${a.link.calls.puts - before.puts} writes`);
    assert.ok(a.link.calls.reads - before.reads <= 7, `${a.link.calls.reads - before.reads} reads`);
  });

  it("and have the same node.id are warned of, once; the record that a killed one left is none", async () => {
    const backend = createBackend("shared");
    const killed = await openNode(backend, { nodeId: "same" });
    killed.link.stop();
    const a = await openNode(backend, { nodeId: "same" });
    await pass(backend, 2 * LEASE);
    const errors = () => a.lines.filter(({ level }) => level === "error");
    assert.deepEqual(errors(), []);
    const b = await openNode(backend, { nodeId: "same" });
    await pass(backend, 2 * LEASE);
    assert.deepEqual([errors().length, ids(a), ids(b)], [1, ["same"], ["same"]]);
    assert.match(errors()[0]!.text, /another node that runs is called same/);
  });

  it("a start that fails leaves no timer behind", async () => {
    const backend = createBackend("shared");
    const { directory } = backend.storage;
    const readOnly: Directory = {
      get: (key) => directory.get(key),
      list: (request) => directory.list(request),
      count: (kind, parent) => directory.count(kind, parent),
      delete: (key) => directory.delete(key),
      put: () => Promise.reject(new Error("no")),
    };
    const failing: Backend = { ...backend, storage: { ...backend.storage, directory: readOnly } };
    await assert.rejects(openNode(failing), /no/);
    await settle();
    assert.equal(backend.clock.pending, 0);
  });

  it("hear of everything after their doorbell was broken", async () => {
    const backend = createBackend("shared");
    const [a, b] = [await openNode(backend), await openNode(backend)];
    b.link.cut();
    await a.agents.register("alice", EMPTY_PROFILE);
    b.link.mend();
    await settle();
    assert.ok(b.agents.get("alice"));
  });
});

describe("the sweeper", () => {
  const options = { implicitIdleMs: 60_000, cleanupIntervalMs: 10_000 };

  /** Three nodes whose storage counts who sweeps it. */
  async function three() {
    const backend = createBackend("shared");
    const swept: string[] = [];
    const nodes: TestNode[] = [];
    for (const nodeId of ["a", "b", "c"]) {
      const sweep = async () => void swept.push(nodeId);
      nodes.push(await openNode({ ...backend, storage: { ...backend.storage, sweep } }, { ...options, nodeId }));
    }
    const [a, b, c] = nodes as [TestNode, TestNode, TestNode];
    return { backend, a, b, c, swept, elapse: (ms: number) => pass(backend, ms) };
  }

  it("is one node at a time, another one when it dies or leaves, and stops by itself when it is cut off", async () => {
    const { a, b, swept, elapse } = await three();
    await elapse(30_000);
    assert.deepEqual(swept.splice(0), ["a", "a", "a"]);
    a.link.cut(); // it still runs, but can no longer know that it is elected
    await elapse(2 * LEASE);
    const [second] = new Set(swept.filter((node) => node !== "a"));
    assert.deepEqual(new Set(swept).size, 2, swept.join());
    assert.ok(swept.lastIndexOf("a") < swept.indexOf(second!), swept.join());
    a.link.mend();
    swept.splice(0);
    await elapse(3 * LEASE);
    assert.deepEqual(new Set(swept), new Set([second]), "who comes back does not take it away");
    swept.splice(0);
    if (second === "b") await b.close();
    await elapse(20_000);
    assert.equal(swept.includes("b"), false);
    assert.equal(new Set(swept).size, 1);
  });

  it("trims what nodes share; each node trims what is in its own memory", async () => {
    const { a, b, elapse } = await three();
    const create = (channel: string, durability: "VOLATILE" | "STORED") =>
      a.rooms.createChannel(
        {
          name: channelName("science", channel),
          description: "",
          metadata: {},
          config: { durability, retention: { maxMessages: 2 } },
        },
        true,
      );
    await create("shared", "STORED");
    await create("own", "VOLATILE");
    await settle();
    for (const { rooms } of [a, b]) {
      for (const channel of ["shared", "own"]) {
        const { name, incarnation, version, log } = await rooms.ensureChannel(channelName("science", channel));
        await log.create(name, incarnation, version);
        for (const text of ["1", "2", "3"]) {
          const records = [textRecord(`${text} ${channel}`)];
          await log.append({ name, incarnation, version, dedupWindowMs: 1, records });
        }
      }
    }
    a.link.cut();
    const floor = async ({ rooms }: TestNode, key: string) => {
      const view = rooms.channel(key)!;
      return (await view.log.state(view.name))?.floor;
    };
    b.link.cut(); // neither is elected for long; c is
    await elapse(3 * LEASE);
    assert.equal(await floor(b, "science:own"), 2);
    assert.equal(await floor(a, "science:own"), 2);
    await waitUntil(async () => (await floor(a, "science:shared")) === 5);
  });

  it("does not forget an agent as idle that is online or busy on another node", async () => {
    const { a, b, c, elapse } = await three();
    for (const id of ["online", "busy", "idle"]) await b.agents.ensure(id);
    b.agents.openStream("online", () => {});
    for (let i = 0; i < 8; i++) {
      await elapse(20_000);
      c.agents.touch("busy");
    }
    const left = ["online", "busy", "idle"].filter((id) => a.agents.get(id) !== undefined);
    assert.deepEqual(left, ["online", "busy"]);
  });

  it("fails nothing and rejects nothing while the storage is away", async () => {
    const { a, b, c, elapse } = await three();
    await a.agents.register("alice", EMPTY_PROFILE);
    for (const { link } of [a, b, c]) link.cut();
    a.agents.openStream("alice", () => {});
    for (const node of [a, b, c]) await node.cleanUp();
    await elapse(3 * LEASE);
    await assert.rejects(a.agents.register("bob", EMPTY_PROFILE), (error) => isBusError(error, "STORAGE_UNAVAILABLE"));
    for (const node of [a, b, c]) {
      const warnings = node.lines.filter(({ level }) => level === "warn" || level === "error").length;
      assert.ok(warnings < 20, `${warnings} lines in 45 s`);
      await node.close();
    }
    assert.equal(a.clock.pending, 0);
  });
});
