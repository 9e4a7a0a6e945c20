import assert from "node:assert/strict";
import { describe, it } from "vitest";
import { EndReason } from "../../gen/agentbus/v1/bus_service_pb.ts";
import { openBus, type TestBus } from "../../test/support/bus-fixture.ts";
import { pass } from "../../test/support/registry-fixture.ts";
import { createSharedBackend } from "../../test/support/shared-backend.ts";
import { openTwo } from "../../test/support/two-nodes.ts";
import { isBusError } from "../core/errors.ts";
import { channelName } from "../core/names.ts";

const EXPLORE = "science:explore";
const explore = channelName("science", "explore");
const KEEP_ONE = { maxAgeMs: 0, maxBytes: 0, maxMessages: 1 };

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

// The node began such a channel with its first message, which the reader had already, or behind its newest, which it had not.
describe("a position of a channel that the node hears of only while the stream is open", () => {
  /** Six messages over node a; the record's rings do not reach node b. */
  async function unheard() {
    const nodes = await openTwo();
    const { a, b, backend, settle } = nodes;
    backend.ringFilter = ({ topic }) => topic !== "record";
    const { results } = await a.say("alice", EXPLORE, "m1", "m2", "m3", "m4", "m5", "m6");
    const read = (position: string, part: { patterns?: string[]; failOnGap?: boolean }) =>
      b.read({ agentId: "carol", start: { kind: "resume", positions: [position] }, ...part });
    const hear = async () => {
      backend.tellMissed();
      await settle();
    };
    return { ...nodes, fourth: results[3]!.position, read, hear };
  }

  it("S3-US3.1: is where its pattern goes on", async () => {
    const { a, read, hear, fourth } = await unheard();
    const reader = await read(fourth, { patterns: ["science:*"] });
    assert.deepEqual(await reader.take(), []);
    await hear();
    assert.deepEqual([await reader.take(), reader.gaps], [["m5", "m6"], []]);
    await a.say("alice", EXPLORE, "m7");
    assert.deepEqual(await reader.take(), ["m7"]);
  });

  it("S3-US3.1: is where an agent goes on in what it joined on another node", async () => {
    const { a, b, read, hear, settle, fourth } = await unheard();
    await b.agents.ensure("carol");
    const reader = await read(fourth, {});
    await a.rooms.join("carol", explore);
    await settle();
    assert.deepEqual(await reader.take(), []);
    await hear();
    assert.deepEqual([await reader.take(), reader.gaps], [["m5", "m6"], []]);
  });

  it("is told as a Gap when what is behind it was trimmed, or ends the stream that does not want one", async () => {
    const { backend, read, hear, fourth } = await unheard();
    await backend.log.trim(explore, KEEP_ONE);
    const reader = await read(fourth, { patterns: ["science:*"] });
    const strict = await read(fourth, { patterns: ["science:*"], failOnGap: true });
    await hear();
    assert.deepEqual([await reader.take(), reader.gaps], [["m6"], ["5-5 1"]]);
    assert.deepEqual(await strict.take(), []);
    assert.ok(isBusError(strict.subscription.finished?.error, "GAP"));
  });

  it("is told as a Gap when the channel was deleted and is another one now", async () => {
    const { a, read, hear, settle, fourth } = await unheard();
    const reader = await read(fourth, { patterns: ["science:*"] });
    await a.rooms.deleteChannel(explore);
    await a.say("alice", EXPLORE, "n1", "n2");
    await settle();
    await hear();
    assert.deepEqual([await reader.take(), reader.gaps], [["n1", "n2"], ["5-0 2"]]);
  });

  it("is of that channel, and not of one that takes its name later", async () => {
    const { a, backend, read, hear, settle, fourth } = await unheard();
    const reader = await read(fourth, { patterns: ["science:*"] });
    await hear();
    await reader.take();
    backend.ringFilter = () => true;
    await a.rooms.deleteChannel(explore);
    await settle();
    await a.say("alice", EXPLORE, "n1", "n2");
    await settle();
    assert.deepEqual([await reader.take(), reader.gaps], [["n1", "n2"], []]);
  });
});
