import assert from "node:assert/strict";
import { describe, it } from "vitest";
import {
  createBackend,
  type NodeOptions,
  openNode,
  pass,
  settle,
  type TestNode,
} from "../../../test/support/registry-fixture.ts";
import { EMPTY_PROFILE } from "../../core/agent.ts";
import { isBusError } from "../../core/errors.ts";
import type { AgentQuery } from "../directory/registry.ts";

const LEASE = 15_000;
/** Within which other nodes hear of what happens on one. */
const HEARD = 1_000;
const noEnd = () => {};
const EVERYONE: AgentQuery = {
  kinds: [],
  states: [],
  group: "",
  capabilities: [],
  labels: {},
  after: "",
  limit: 100,
};

interface WatchedNode extends TestNode {
  /** What WatchAgents on this node tells of presence. */
  readonly told: string[];
}

/** Three nodes on one backend, which all know alice. */
async function three(options: NodeOptions = {}) {
  const backend = createBackend("shared");
  const nodes: WatchedNode[] = [];
  for (const nodeId of ["a", "b", "c"]) {
    const node = await openNode(backend, { ...options, nodeId });
    const told: string[] = [];
    node.agents.onChange(({ kind, agent: { record } }) => {
      if (kind === "STATE") told.push(`${record.agentId} ${node.agents.state(record.agentId)}`);
    });
    nodes.push({ ...node, told });
  }
  const [a, b, c] = nodes as [WatchedNode, WatchedNode, WatchedNode];
  await a.agents.register("alice", EMPTY_PROFILE);
  await settle();
  return { backend, a, b, c, nodes, elapse: (ms: number) => pass(backend, ms) };
}

const states = (nodes: readonly WatchedNode[], agentId = "alice") => nodes.map(({ agents }) => agents.state(agentId));
const records = async ({ backend }: TestNode, kind: string) => {
  const found = await backend.storage.directory.list({ kind, limit: 1_000 });
  return found.map(({ key, value }) => ({ ...key, value: value as Record<string, unknown> }));
};

describe("presence over several nodes", () => {
  it("S3-US1.3: who opens a stream on one node is online on all within a second, with what is known of it", async () => {
    const { a, b, c, nodes, elapse } = await three();
    const stream = a.agents.openStream("alice", noEnd);
    stream.describe(["science:*"]);
    const connectedAtMs = a.agents.connectedAtMs("alice");
    await elapse(HEARD);
    assert.deepEqual(states(nodes), ["ONLINE", "ONLINE", "ONLINE"]);
    assert.deepEqual(
      [c.agents.connectedAtMs("alice"), c.agents.subscriptions("alice")],
      [connectedAtMs, ["science:*"]],
    );
    assert.deepEqual([b.agents.counts.online, b.agents.isAvailable("alice")], [1, true]);
    assert.equal(b.agents.list({ ...EVERYONE, states: ["ONLINE"] }).length, 1);
    stream.describe(["news:*"]);
    await elapse(2 * HEARD);
    assert.deepEqual(c.agents.subscriptions("alice"), ["news:*"]);

    stream.close(true);
    await elapse(HEARD);
    assert.deepEqual(states(nodes), ["OFFLINE", "OFFLINE", "OFFLINE"]);
    assert.deepEqual(c.told, ["alice ONLINE", "alice OFFLINE"]);
    assert.deepEqual(await records(c, "presence"), []);
  });

  it("a graceful end on one node leaves an agent online that has a stream on another", async () => {
    const { a, b, c, nodes, elapse } = await three();
    const onA = a.agents.openStream("alice", noEnd);
    b.agents.openStream("alice", noEnd);
    await elapse(HEARD);
    onA.close(true);
    await elapse(HEARD);
    assert.deepEqual(states(nodes), ["ONLINE", "ONLINE", "ONLINE"]);
    assert.deepEqual([a.told, c.told], [["alice ONLINE"], ["alice ONLINE"]]);
  });

  it("an agent that moves to another node within its lease was never offline, on no node", async () => {
    const { a, b, nodes, elapse } = await three();
    a.agents.openStream("alice", noEnd).close(false);
    await elapse(LEASE - 1);
    b.agents.openStream("alice", noEnd); // in the very last moment
    await elapse(2 * LEASE);
    assert.deepEqual(states(nodes), ["ONLINE", "ONLINE", "ONLINE"]);
    for (const { told } of nodes) assert.deepEqual(told, ["alice ONLINE"]);
  });

  it("S3-US1.3: a node that dies takes its agents offline, and theirs alone, within a lease and a second", async () => {
    const { a, b, c, elapse } = await three();
    await a.agents.register("bob", EMPTY_PROFILE);
    a.agents.openStream("alice", noEnd);
    a.agents.openStream("bob", noEnd);
    b.agents.openStream("bob", noEnd);
    await elapse(HEARD);
    a.link.stop();
    await elapse(LEASE - 5_000 - HEARD); // a renewal may be up to a third of the lease old
    assert.deepEqual(states([b, c]), ["ONLINE", "ONLINE"]);
    await elapse(5_000 + 2 * HEARD);
    assert.deepEqual(states([b, c]), ["OFFLINE", "OFFLINE"]);
    assert.deepEqual(states([b, c], "bob"), ["ONLINE", "ONLINE"]);
    assert.deepEqual(c.told, ["alice ONLINE", "bob ONLINE", "alice OFFLINE"]);
    assert.deepEqual(b.told, ["bob ONLINE", "alice ONLINE", "alice OFFLINE"]);
    await elapse(LEASE + 10_000);
    const left = (await records(b, "presence")).map(({ parent }) => parent);
    assert.deepEqual(left, ["bob"], "what the dead node wrote is removed, once its sweeping passed to another");
  });

  it("a dead node is found out when its lease ends, whenever the others look at it", async () => {
    const backend = createBackend("shared");
    const a = await openNode(backend, { nodeId: "a" }); // renews at 5 s, 10 s
    await pass(backend, 2_600);
    const c = await openNode(backend, { nodeId: "c" }); // looks at 7.6 s, 12.6 s
    await a.agents.register("alice", EMPTY_PROFILE);
    a.agents.openStream("alice", noEnd);
    await pass(backend, 7_450);
    a.link.stop();
    await pass(backend, LEASE - 100);
    assert.equal(c.agents.state("alice"), "ONLINE");
    await pass(backend, HEARD);
    assert.equal(c.agents.state("alice"), "OFFLINE");
  });

  it("a thousand agents of a dead node go with few questions to the storage", async () => {
    const { a, c, elapse } = await three();
    const ids = Array.from({ length: 1_000 }, (_, i) => `agent-${i}`);
    for (const id of ids) {
      await a.agents.ensure(id);
      a.agents.openStream(id, noEnd);
    }
    await elapse(HEARD);
    assert.equal(c.agents.counts.online, 1_000);
    a.link.stop();
    const before = c.link.calls.reads;
    await elapse(LEASE + HEARD);
    assert.equal(c.agents.counts.online, 0);
    assert.ok(c.link.calls.reads - before < 100, `${c.link.calls.reads - before} reads`);
  });

  it("a node that stood still for longer than its lease comes back with its agents, and nothing old counts", async () => {
    const { a, c, nodes, elapse } = await three();
    await a.agents.register("bob", EMPTY_PROFILE);
    a.agents.openStream("alice", noEnd);
    const bobs = a.agents.openStream("bob", noEnd);
    await elapse(HEARD);
    a.link.stop();
    await elapse(LEASE + HEARD);
    assert.equal(c.agents.state("alice"), "OFFLINE");
    a.link.resume();
    bobs.close(true);
    await elapse(2 * HEARD);
    assert.deepEqual(states(nodes), ["ONLINE", "ONLINE", "ONLINE"]);
    assert.deepEqual(states(nodes, "bob"), ["OFFLINE", "OFFLINE", "OFFLINE"]);
    assert.deepEqual(c.told, ["alice ONLINE", "bob ONLINE", "alice OFFLINE", "bob OFFLINE", "alice ONLINE"]);
    assert.ok(a.lines.some(({ text }) => text.includes("lease had ended")));
    assert.equal(new Set((await records(c, "node")).map(({ id }) => id)).size, 3);
  });

  it("a split: the node without the storage knows its own agents, the others bury it and see it come back", async () => {
    const { a, b, c, nodes, elapse } = await three();
    a.agents.openStream("alice", noEnd);
    await elapse(HEARD);
    await a.agents.register("bob", EMPTY_PROFILE);
    b.agents.openStream("bob", noEnd);
    await elapse(HEARD);
    a.link.cut();
    await a.agents.register("carol", EMPTY_PROFILE).catch(() => {});
    await elapse(LEASE + HEARD);
    assert.deepEqual(states(nodes), ["ONLINE", "OFFLINE", "OFFLINE"]);
    assert.equal(a.agents.state("bob"), "ONLINE", "nobody is buried by a node that cannot ask");
    const told = a.told.length;
    a.link.mend();
    await elapse(2 * HEARD);
    assert.deepEqual(states(nodes), ["ONLINE", "ONLINE", "ONLINE"]);
    assert.deepEqual(states(nodes, "bob"), ["ONLINE", "ONLINE", "ONLINE"]);
    assert.equal(a.told.length, told, "on the node itself nothing has happened");
    assert.deepEqual(c.told, ["alice ONLINE", "bob ONLINE", "alice OFFLINE", "alice ONLINE"]);
  });

  it("what happens while the storage is away is told when it is back, as it is by then", async () => {
    const { a, b, nodes, elapse } = await three();
    const gone = b.agents.openStream("alice", noEnd);
    await elapse(HEARD);
    for (const { link } of nodes) link.cut();
    gone.close(true);
    a.agents.openStream("alice", noEnd).close(true);
    a.agents.heartbeat("alice", "AWAY");
    await elapse(HEARD);
    a.agents.heartbeat("alice", "DRAINING");
    await elapse(5_000);
    assert.deepEqual(states(nodes), ["DRAINING", "OFFLINE", "ONLINE"], "each as it knows");
    for (const { link } of nodes) link.mend();
    await elapse(2 * HEARD);
    assert.deepEqual(states(nodes), ["DRAINING", "DRAINING", "DRAINING"]);
  });

  // All nodes lose their leases while the storage is away for long. Whoever lists the nodes first when it is back must
  // not take the others for dead.
  it("a storage that was away for long takes nobody offline", async () => {
    const { a, b, c, nodes, elapse } = await three();
    a.agents.openStream("alice", noEnd);
    await elapse(HEARD);
    for (const { link } of nodes) link.cut();
    await elapse(3 * LEASE);
    c.link.mend();
    b.link.mend();
    await elapse(800);
    a.link.mend();
    await elapse(2 * LEASE);
    for (const { told } of nodes) assert.deepEqual(told, ["alice ONLINE"]);
  });

  it("the newest state that an agent told any node counts, and goes with it to another node", async () => {
    const { a, b, c, nodes, elapse } = await three();
    const onA = a.agents.openStream("alice", noEnd);
    b.agents.openStream("alice", noEnd);
    await elapse(HEARD);
    a.agents.heartbeat("alice", "AWAY");
    await elapse(HEARD);
    assert.deepEqual(states(nodes), ["AWAY", "AWAY", "AWAY"]);
    assert.equal(b.agents.heartbeat("alice", undefined), "AWAY");
    onA.close(true);
    await elapse(2 * LEASE);
    assert.deepEqual(states(nodes), ["AWAY", "AWAY", "AWAY"], "also where it was not told");
    b.agents.heartbeat("alice", "DRAINING");
    await elapse(HEARD);
    assert.deepEqual([c.agents.state("alice"), c.agents.isAvailable("alice")], ["DRAINING", false]);
    assert.deepEqual(c.told, ["alice ONLINE", "alice AWAY", "alice DRAINING"]);
  });

  it("is found by polling where every ring is lost", async () => {
    const { a, c, elapse } = await three();
    c.link.deafen();
    a.agents.openStream("alice", noEnd);
    await elapse(31_000);
    assert.equal(c.agents.state("alice"), "ONLINE");
  });

  it("is written again when the storage lost it, and removed again when the storage brought it back", async () => {
    const { a, c, backend, elapse } = await three();
    const stream = a.agents.openStream("alice", noEnd);
    await elapse(HEARD);
    const { directory } = backend.storage;
    const [record] = await directory.list({ kind: "presence", limit: 1 });
    await directory.delete(record!.key);
    await elapse(32_000);
    assert.equal(c.agents.state("alice"), "ONLINE");
    stream.close(true);
    await elapse(HEARD);
    await directory.put(record!.key, record!.value);
    await elapse(32_000);
    assert.equal(c.agents.state("alice"), "OFFLINE");
    assert.deepEqual(await records(a, "presence"), []);
  });

  it("a hundred changes while the storage is slow or away are one write", async () => {
    const { a, c, elapse } = await three();
    a.link.cut();
    for (let i = 0; i < 100; i++) {
      a.agents.openStream("alice", noEnd).close(true);
      await elapse(100);
    }
    a.agents.openStream("alice", noEnd);
    const before = a.link.calls.puts;
    a.link.mend();
    await elapse(HEARD);
    assert.equal(c.agents.state("alice"), "ONLINE");
    assert.ok(a.link.calls.puts - before <= 4, `${a.link.calls.puts - before} writes`);
  });

  it("a node that leaves is gone at once; whom it cut has a lease to come back, who said goodbye has not", async () => {
    const { a, b, c, elapse } = await three();
    await a.agents.register("bob", EMPTY_PROFILE);
    await a.agents.register("zoe", EMPTY_PROFILE);
    const [alices, bobs, zoes] = ["alice", "bob", "zoe"].map((id) => a.agents.openStream(id, noEnd));
    await elapse(HEARD);
    zoes!.close(true);
    alices!.close(false);
    bobs!.close(false);
    const closed = a.close();
    await elapse(HEARD);
    await closed;
    assert.deepEqual(
      c.nodes.others.map(({ nodeId }) => nodeId),
      ["b"],
    );
    assert.equal(c.agents.state("zoe"), "OFFLINE");
    b.agents.openStream("alice", noEnd);
    await elapse(LEASE + HEARD);
    assert.deepEqual([c.agents.state("alice"), c.agents.state("bob")], ["ONLINE", "OFFLINE"]);
    assert.deepEqual(c.told, ["alice ONLINE", "bob ONLINE", "zoe ONLINE", "zoe OFFLINE", "bob OFFLINE"]);
  });

  it("a node that leaves with nobody on it leaves nothing", async () => {
    const { a, b, c, backend, elapse } = await three();
    a.agents.openStream("alice", noEnd).close(true);
    await elapse(HEARD);
    for (const node of [a, b, c]) await node.close();
    assert.deepEqual([await records(a, "node"), await records(a, "presence"), await records(a, "lease")], [[], [], []]);
    assert.equal(backend.clock.pending, 0, "every timer is stopped");
  });
});

describe("disconnecting over several nodes", () => {
  it("ends the agent's streams everywhere, answers how many, and the agent is offline", async () => {
    const { a, b, c, nodes, elapse } = await three();
    const ended: string[] = [];
    a.agents.openStream("alice", () => ended.push("a"));
    b.agents.openStream("alice", () => ended.push("b"));
    b.agents.openStream("alice", () => ended.push("b"));
    await elapse(HEARD);
    c.agents.openStream("alice", () => ended.push("c")); // nobody heard of it yet
    assert.equal(await a.agents.disconnect("alice"), 4);
    assert.deepEqual([ended.sort(), a.agents.state("alice")], [["a", "b", "b", "c"], "OFFLINE"]);
    await elapse(HEARD);
    assert.deepEqual(states(nodes), ["OFFLINE", "OFFLINE", "OFFLINE"]);
    assert.deepEqual(await records(a, "disconnect"), []);
    assert.equal(await a.agents.disconnect("alice"), 0);
  });

  it("does not wait longer than 3 s for a node that is silent, which ends the streams when it hears", async () => {
    const { a, b, c, elapse } = await three();
    let ended = 0;
    b.agents.openStream("alice", () => ended++);
    c.agents.openStream("alice", () => ended++);
    await elapse(HEARD);
    b.link.stop();
    let answer: number | undefined;
    void a.agents.disconnect("alice").then((count) => {
      answer = count;
    });
    await elapse(2_900);
    assert.equal(answer, undefined);
    await elapse(200);
    assert.deepEqual([answer, ended], [1, 1]);
    b.link.resume();
    await elapse(HEARD);
    assert.equal(ended, 2);
    assert.equal(a.agents.state("alice"), "OFFLINE");
  });

  it("counts what a node ended that could not say so at once", async () => {
    const { a, b, elapse } = await three();
    b.agents.openStream("alice", noEnd);
    await elapse(HEARD);
    b.link.refuse(2); // the removal of its presence, and its answer
    let answer: number | undefined;
    void a.agents.disconnect("alice").then((count) => {
      answer = count;
    });
    await elapse(2_000);
    assert.equal(answer, 1);
  });

  it("works without rings, and with answers to writes that are lost", async () => {
    const { a, b, elapse } = await three();
    b.agents.openStream("alice", noEnd);
    await elapse(HEARD);
    a.link.deafen();
    b.link.loseAnswers(2); // to the removal of its presence, and to its count
    let answer: number | undefined;
    void a.agents.disconnect("alice").then((count) => {
      answer = count;
    });
    await elapse(2_000);
    assert.equal(answer, 1);
  });

  it("says that it could not ask when the storage is away; the streams here have ended", async () => {
    const { a, elapse } = await three();
    let ended = 0;
    a.agents.openStream("alice", () => ended++);
    await elapse(HEARD);
    a.link.cut();
    await assert.rejects(a.agents.disconnect("alice"), (error) => isBusError(error, "STORAGE_UNAVAILABLE"));
    assert.equal(ended, 1);
  });

  it("deleting an agent ends its streams everywhere before it answers", async () => {
    const { a, b, c, elapse } = await three();
    let ended = 0;
    for (const { agents } of [a, b, c]) agents.openStream("alice", () => ended++);
    await elapse(HEARD);
    await a.agents.delete("alice");
    assert.equal(ended, 3);
    await elapse(HEARD);
    assert.deepEqual([c.agents.get("alice"), c.agents.counts.online], [undefined, 0]);
  });

  it("ends the time that a node which left gave the agent to come back", async () => {
    const { a, c, elapse } = await three();
    a.agents.openStream("alice", noEnd).close(false);
    await elapse(HEARD);
    await a.close();
    await elapse(HEARD);
    assert.equal(c.agents.state("alice"), "ONLINE");
    assert.equal(await c.agents.disconnect("alice"), 0);
    assert.equal(c.agents.state("alice"), "OFFLINE");
  });
});
