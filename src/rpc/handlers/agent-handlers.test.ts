import assert from "node:assert/strict";
import { describe, it } from "vitest";
import { type Agent, AgentKind, AgentState } from "../../../gen/agentbus/v1/agent_pb.ts";
import { AgentChangeKind, AgentService } from "../../../gen/agentbus/v1/agent_service_pb.ts";
import { type NodeOptions, openNode } from "../../../test/support/registry-fixture.ts";
import { clientOf, openAccess, reasonOf } from "../../../test/support/rpc-fixture.ts";
import { DEFAULT_LIMITS } from "../../core/bus-options.ts";
import type { Reason } from "../../core/errors.ts";
import { createAgentHandlers } from "./agent-handlers.ts";

async function open(options: NodeOptions = {}) {
  const node = await openNode(undefined, options);
  const limits = { ...DEFAULT_LIMITS, ...options.limits };
  const handlers = createAgentHandlers({ agents: node.agents, access: openAccess, limits, agentLeaseMs: 15_000 });
  return { ...node, client: clientOf(AgentService, handlers) };
}

const refused = (reason: Reason) => (error: unknown) => {
  assert.equal(reasonOf(error), reason, String(error));
  return true;
};
const ids = (agents: readonly Agent[]) => agents.map((agent) => agent.agentId);

describe("AgentService", () => {
  it("S3-FR-008: an agent has its kind, profile, presence and times", async () => {
    const { client, agents, clock } = await open();
    const profile = {
      agentId: "alice@example.org",
      kind: AgentKind.HUMAN,
      screenName: "Alice",
      avatar: "https://a/b.png",
      personality: "calm",
      description: "a person",
      groups: ["team"],
      labels: { tier: "1" },
      metadata: { k: "v" },
      clientId: "c-1",
      capabilities: [{ name: "translate", description: "any to any", inputSchema: "{}" }],
    };
    const { agent, created } = await client.registerAgent({ agent: profile });
    assert.equal(created, true);
    const stream = agents.openStream(profile.agentId, () => {});
    stream.describe(["science:*"]);
    const read = (await client.getAgent({ agentId: profile.agentId })).agent!;
    for (const key of [
      "kind",
      "screenName",
      "avatar",
      "personality",
      "groups",
      "labels",
      "metadata",
      "clientId",
    ] as const) {
      assert.deepEqual(read[key], profile[key], key);
    }
    assert.deepEqual(
      [agent?.state, read.state, read.subscriptions, read.revision],
      [AgentState.OFFLINE, AgentState.ONLINE, ["science:*"], 1n],
    );
    assert.equal(read.connectTime?.seconds, BigInt(clock.now() / 1_000));
    assert.ok(read.lastActivityTime && read.createTime && agent?.connectTime === undefined);
    const bare = (await client.registerAgent({ agent: { agentId: "svc" } })).agent;
    assert.deepEqual([bare?.kind, bare?.screenName], [AgentKind.SERVICE, "svc"]);
  });

  it("an update changes exactly what its mask names", async () => {
    const { client } = await open();
    await client.registerAgent({ agent: { agentId: "bob", description: "old", groups: ["g"] } });
    const update = (paths: string[]) =>
      client.updateAgent({ agent: { agentId: "bob", description: "new", groups: [] }, updateMask: { paths } });
    const { agent } = await update(["groups"]);
    assert.deepEqual([agent?.description, agent?.groups, agent?.revision], ["old", [], 2n]);
    await assert.rejects(update([]), refused("INVALID_FIELD"));
    await assert.rejects(update(["state"]), refused("INVALID_FIELD"));
    await assert.rejects(
      client.updateAgent({ agent: { agentId: "zoe" }, updateMask: { paths: ["kind"] } }),
      refused("AGENT_NOT_FOUND"),
    );
  });

  it("refuses server fields, doubled capabilities, large metadata and bad names, and registers nobody", async () => {
    const { client, agents } = await open();
    const register = (part: object) => client.registerAgent({ agent: { agentId: "bob", ...part } });
    await assert.rejects(register({ state: AgentState.ONLINE }), refused("SERVER_FIELD"));
    await assert.rejects(register({ implicit: true }), refused("SERVER_FIELD"));
    await assert.rejects(register({ capabilities: [{ name: "a" }, { name: "a" }] }), refused("INVALID_FIELD"));
    await assert.rejects(register({ metadata: { k: "v".repeat(9_000) } }), refused("INVALID_FIELD"));
    await assert.rejects(register({ agentId: "_bob" }), refused("INVALID_FIELD"));
    await assert.rejects(register({ kind: 77 as AgentKind }), refused("INVALID_FIELD"));
    // Empty is not malformed: it is whoever the token says, and here there is none.
    await assert.rejects(register({ agentId: "" }), refused("AGENT_ID_REQUIRED"));
    assert.equal(agents.counts.agents, 0);
  });

  it("S3-K.2: heartbeats tell the state and the lease, disconnecting ends streams, deleting forgets", async () => {
    const { client, agents } = await open();
    await assert.rejects(client.heartbeat({ agentId: "bob" }), refused("AGENT_NOT_FOUND"));
    await client.registerAgent({ agent: { agentId: "bob" } });
    const beat = await client.heartbeat({ agentId: "bob", state: AgentState.DRAINING });
    assert.deepEqual([beat.state, beat.leaseDuration?.seconds], [AgentState.DRAINING, 15n]);
    assert.equal((await client.heartbeat({ agentId: "bob" })).state, AgentState.DRAINING);
    await assert.rejects(client.heartbeat({ agentId: "bob", state: AgentState.OFFLINE }), refused("INVALID_FIELD"));
    let ended = 0;
    agents.openStream("bob", () => ended++);
    assert.deepEqual(
      [(await client.disconnectAgent({ agentId: "bob" })).endedStreams, ended, agents.state("bob")],
      [1, 1, "OFFLINE"],
    );
    await assert.rejects(client.disconnectAgent({ agentId: "zoe" }), refused("AGENT_NOT_FOUND"));
    await client.deleteAgent({ agentId: "bob" });
    await assert.rejects(client.getAgent({ agentId: "bob" }), refused("AGENT_NOT_FOUND"));
  });

  it("lists page by page, by what is asked for", async () => {
    const { client } = await open();
    for (const agentId of ["c", "a", "b"]) {
      await client.registerAgent({
        agent: { agentId, kind: agentId === "a" ? AgentKind.HUMAN : AgentKind.AI_AGENT, capabilities: [{ name: "x" }] },
      });
    }
    await client.heartbeat({ agentId: "b" });
    const first = await client.listAgents({ pageSize: 2 });
    const second = await client.listAgents({ pageSize: 2, pageToken: first.nextPageToken });
    assert.deepEqual([ids(first.agents), ids(second.agents), second.nextPageToken], [["a", "b"], ["c"], ""]);
    assert.deepEqual(ids((await client.listAgents({ kinds: [AgentKind.AI_AGENT], capabilities: ["x"] })).agents), [
      "b",
      "c",
    ]);
    assert.deepEqual(ids((await client.listAgents({ states: [AgentState.ONLINE] })).agents), ["b"]);
    await assert.rejects(client.listAgents({ pageToken: "YSBi" }), refused("INVALID_FIELD"));
  });

  it("WatchAgents tells who is known, then what becomes of them, each as it was at that moment", async () => {
    const { client, agents } = await open();
    for (let i = 0; i < 150; i++) await client.registerAgent({ agent: { agentId: `a${String(i).padStart(3, "0")}` } });
    const told: string[] = [];
    let current = 0;
    for await (const { changes, caughtUp } of client.watchAgents({})) {
      if (caughtUp) {
        await agents.ensure("new");
        agents.openStream("new", () => {}).close(true);
        await agents.register("new", agents.get("new")!.record);
        await agents.delete("new");
      }
      for (const { kind, agent } of changes) {
        if (kind === AgentChangeKind.CURRENT) current++;
        else told.push(`${kind} ${agent?.agentId} ${agent?.state}`);
      }
      if (told.length === 5) break;
    }
    assert.equal(current, 150);
    const { CREATED, STATE, UPDATED, DELETED } = AgentChangeKind;
    const { OFFLINE, ONLINE } = AgentState;
    assert.deepEqual(told, [
      `${CREATED} new ${OFFLINE}`,
      `${STATE} new ${ONLINE}`,
      `${STATE} new ${OFFLINE}`,
      `${UPDATED} new ${OFFLINE}`,
      `${DELETED} new ${OFFLINE}`,
    ]);
  });

  it("WatchAgents tells of some agents only, of changes only, and ends a watcher that is too slow", async () => {
    const { client, agents } = await open({ limits: { watchBacklog: 3 } });
    for (const id of ["a", "b"]) await agents.ensure(id);
    const seen: string[] = [];
    for await (const { changes, caughtUp } of client.watchAgents({ agentIds: ["b"], skipCurrent: true })) {
      if (caughtUp) for (const id of ["a", "b"]) agents.heartbeat(id, undefined);
      seen.push(...changes.map((change) => change.agent!.agentId));
      if (seen.length > 0) break;
    }
    assert.deepEqual(seen, ["b"]);
    await assert.rejects(async () => {
      for await (const { caughtUp } of client.watchAgents({})) {
        for (let i = 0; caughtUp && i < 6; i++) agents.heartbeat("a", i % 2 ? "AWAY" : "ONLINE");
      }
    }, refused("WATCHER_TOO_SLOW"));
  });
});
