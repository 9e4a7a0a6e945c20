import assert from "node:assert/strict";
import { describe, it } from "vitest";
import { EndReason } from "../../gen/agentbus/v1/bus_service_pb.ts";
import { openBus, type TestBus } from "../../test/support/bus-fixture.ts";
import { pass } from "../../test/support/registry-fixture.ts";
import { createSharedBackend } from "../../test/support/shared-backend.ts";

const EXPLORE = "science:explore";

/** Two whole buses on one backend. */
async function two() {
  const backend = createSharedBackend();
  const [a, b] = [await openBus({ backend, nodeId: "a" }), await openBus({ backend, nodeId: "b" })];
  const states: string[] = [];
  b.agents.onChange(({ kind, agent: { record } }) => {
    if (kind === "STATE") states.push(`${record.agentId} ${b.agents.state(record.agentId)}`);
  });
  return { backend, a, b, states, elapse: (ms: number) => pass(backend, ms) };
}

describe("streams of several nodes", () => {
  it("exclusive: a newer stream on another node takes over; the older one is told and finished", async () => {
    const { a, b, elapse } = await two();
    const older = await a.read({ channels: [EXPLORE], exclusive: "main" });
    const other = await a.read({ channels: [EXPLORE], exclusive: "side" });
    await elapse(50);
    const newer = await b.read({ channels: [EXPLORE], exclusive: "main" });
    await elapse(50);
    await older.take();
    assert.equal(older.last?.end?.reason, EndReason.TAKEN_OVER);
    older.subscription.close(true);
    await elapse(1_000);
    assert.deepEqual([other.subscription.finished, newer.subscription.finished], [undefined, undefined]);
    assert.equal(b.agents.state("reader"), "ONLINE");
  });

  it("disconnecting and deleting end an agent's streams on the other node", async () => {
    const { a, b, elapse } = await two();
    const disconnected = await b.read({ agentId: "alice", channels: [EXPLORE] });
    await elapse(50);
    assert.equal(await a.agents.disconnect("alice"), 1);
    await disconnected.take();
    assert.equal(disconnected.last?.end?.reason, EndReason.AGENT_GONE);
    disconnected.subscription.close(true);
    const deleted = await b.read({ agentId: "alice", channels: [EXPLORE] });
    await elapse(50);
    await a.agents.delete("alice");
    await deleted.take();
    assert.equal(deleted.last?.end?.reason, EndReason.AGENT_GONE);
  });

  it("S3-US1.3: a client whose node drains goes to the other one and was never offline", async () => {
    const { a, b, states, elapse } = await two();
    const client = async (bus: TestBus) => bus.read({ agentId: "alice", channels: [EXPLORE] });
    const first = await client(a);
    await elapse(1_000);
    a.subscriptions.beginDrain(1_000);
    a.subscriptions.endAll();
    first.subscription.close(false);
    const closing = a.close();
    await elapse(500);
    await closing;
    assert.deepEqual(b.nodes.others, []);
    await client(b);
    await elapse(40_000);
    assert.deepEqual([states, b.agents.state("alice")], [["alice ONLINE"], "ONLINE"]);
  });
});
