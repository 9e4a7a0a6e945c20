import assert from "node:assert/strict";
import { describe, it } from "vitest";
import { openBus } from "../../test/support/bus-fixture.ts";
import { channelName } from "../core/names.ts";

describe("probe", () => {
  it("works", async () => {
    const bus = await openBus();
    const a = await bus.read({ channels: ["science:explore"] });
    await bus.say("alice", "science:explore", "hi");
    assert.deepEqual(await a.take(), ["hi"]);
    const p = await bus.read({ agentId: "p", patterns: ["science:*"] });
    await bus.say("alice", "science:new", "one");
    assert.deepEqual(await p.take(), ["one"]);
    await bus.rooms.createChannel({ name: channelName("science", "made"), description: "", metadata: {}, config: {} }, true);
    await bus.say("alice", "science:made", "two");
    assert.deepEqual(await p.take(), ["two"]);
  });
});
