import assert from "node:assert/strict";
import { describe, it } from "vitest";
import { openTwo } from "../../../test/support/two-nodes.ts";
import { channelName } from "../../core/names.ts";
import type { RoutingConfig } from "../../core/room.ts";

const EXPLORE = "science:explore";
const explore = channelName("science", "explore");
const AGENTS = ["dot", "eve", "fay"];

function routingTo(agent: string): RoutingConfig {
  return {
    strategy: "INDIVIDUAL",
    allowSenderRecipients: true,
    recipients: { agents: [agent], groups: [], select: undefined },
    capabilities: [],
    limit: 0,
    custom: "",
  };
}

/** A channel that both nodes know, and then no more rings of records. */
async function deaf() {
  const nodes = await openTwo();
  for (const agent of ["alice", ...AGENTS]) await nodes.a.agents.ensure(agent);
  await nodes.a.say("alice", EXPLORE, "first");
  await nodes.settle();
  nodes.backend.ringFilter = ({ topic }) => topic !== "record";
  const say = async (node: typeof nodes.a, text: string) => (await node.say("alice", EXPLORE, text)).results[0]!;
  const sequenceOf = (position: string) => Number(position.slice(position.lastIndexOf(".") + 1));
  return { ...nodes, say, sequenceOf };
}

// A view's version was the sum of its room's and its channel's: two nodes, each of which had heard of one change, had
// different configurations under one number, and the log's fence could not tell them apart.
describe("the defaults of a room over several nodes", () => {
  it("S1-5.2: a change of a channel holds for a node that has heard of the room's last change alone", async () => {
    const { a, b, say, sequenceOf } = await deaf();
    await a.rooms.updateRoom("science", { description: "known to a alone" });
    await say(a, "a's");
    const { sequence } = await b.rooms.updateChannel(explore, { config: { routing: routingTo("dot") } });
    const { position, audience } = await say(a, "behind it");
    assert.ok(sequenceOf(position) > sequence);
    assert.deepEqual(audience, ["dot"]);
  });

  it("S1-5.2: a change of the room holds for a node that has heard of the channel's last change alone", async () => {
    const { a, b, say, sequenceOf } = await deaf();
    await b.rooms.updateChannel(explore, { description: "known to b alone" });
    await say(b, "b's");
    const { effective } = await a.rooms.updateRoom("science", { defaults: { routing: routingTo("eve") } });
    const { position, audience } = await say(b, "behind it");
    assert.ok(sequenceOf(position) > effective[0]!.sequence);
    assert.deepEqual(audience, ["eve"]);
    assert.deepEqual((await say(a, "from there, too")).audience, ["eve"]);
  });

  it("S1-5.2: the later of two changes of one room holds, whichever node has heard of the other", async () => {
    const { a, b, say } = await deaf();
    await a.rooms.updateRoom("science", { defaults: { routing: routingTo("eve") } });
    await b.rooms.updateRoom("science", { defaults: { routing: routingTo("fay") } });
    assert.deepEqual((await say(a, "a's")).audience, ["fay"]);
    assert.deepEqual((await say(b, "b's")).audience, ["fay"]);
  });

  it("reach a channel that another node creates at the same time", async () => {
    const { a, b, settle } = await deaf();
    const born = channelName("science", "born");
    const [, view] = await Promise.all([
      a.rooms.updateRoom("science", { defaults: { routing: routingTo("eve") } }),
      b.rooms.ensureChannel(born),
    ]);
    await settle();
    assert.equal(view.name.key, born.key);
    const { results } = await b.say("alice", born.key, "hello");
    assert.deepEqual(results[0]!.audience, ["eve"]);
  });

  // A cluster may lose the end of the records and not that of a log, which then refused every version that there was.
  it("a channel whose record was set back behind its log takes messages again", async () => {
    const { a, b, backend, say, sequenceOf } = await deaf();
    await backend.log.fence(explore, a.rooms.channel(EXPLORE)!.incarnation, 99);
    assert.equal((await say(b, "b's")).audience, null);
    assert.equal((await say(a, "a's")).audience, null);
    const { sequence } = await a.rooms.updateChannel(explore, { config: { routing: routingTo("dot") } });
    const { position, audience } = await say(b, "behind it");
    assert.ok(sequenceOf(position) > sequence);
    assert.deepEqual(audience, ["dot"]);
  });

  it("a channel whose record was set back behind its log is changed at an exact sequence", async () => {
    const { a, b, backend, say, sequenceOf } = await deaf();
    await backend.log.fence(explore, a.rooms.channel(EXPLORE)!.incarnation, 99);
    const { sequence } = await a.rooms.updateChannel(explore, { config: { routing: routingTo("dot") } });
    const { position, audience } = await say(b, "behind it");
    assert.ok(sequenceOf(position) > sequence);
    assert.deepEqual(audience, ["dot"]);
  });
});
