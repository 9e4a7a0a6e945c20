import assert from "node:assert/strict";
import { describe, it } from "vitest";
import { openBus, type Said, type TestBus } from "../../../test/support/bus-fixture.ts";
import { isBusError } from "../../core/errors.ts";
import { channelName } from "../../core/names.ts";

const EXPLORE = "science:explore";
const caused = (causation: string): Said => ({ causation, payload: { case: "text", value: "x" } });
const hopsOf = async (bus: TestBus, ...positions: string[]) => {
  const reader = await bus.read({ channels: [EXPLORE], start: { kind: "earliest" }, echo: true });
  await reader.take();
  const at = new Set(positions.map((position) => Number(position.slice(position.lastIndexOf(".") + 1))));
  return reader.messages.filter(({ sequence }) => at.has(Number(sequence))).map(({ hopCount }) => hopCount);
};

describe("hops", () => {
  it("are counted along the chain of causes, up to the limit", async () => {
    const bus = await openBus({ limits: { maxHops: 3 } });
    const positions: string[] = [];
    for (let i = 0; i <= 3; i++) {
      const { results } = await bus.say(`agent${i % 2}`, EXPLORE, i === 0 ? "root" : caused(positions.at(-1)!));
      positions.push(results[0]!.position);
    }
    assert.deepEqual(await hopsOf(bus, ...positions), [0, 1, 2, 3]);
    const beyond = bus.say("agent0", EXPLORE, "fine", caused(positions.at(-1)!));
    await assert.rejects(beyond, (error: unknown) => isBusError(error, "HOP_LIMIT") && error.details.index === 1);
    await bus.say("agent0", EXPLORE, "a new root");
  });

  it("go over channels and inboxes", async () => {
    const bus = await openBus();
    await bus.agents.ensure("bob");
    const { results } = await bus.say("alice", "", { ...(caused("") as object), to: { agents: ["bob"] } });
    const answer = await bus.say("bob", EXPLORE, caused(results[0]!.position));
    assert.deepEqual(await hopsOf(bus, answer.results[0]!.position), [1]);
  });

  it.each(["trimmed", "deleted", "of another epoch", "of no channel", "the start of a channel", "not there yet"])(
    "a cause that is %s counts as a root",
    async (how) => {
      const bus = await openBus();
      const { results } = await bus.say("alice", EXPLORE, "root");
      const chain = await bus.say("bob", EXPLORE, caused(results[0]!.position));
      let cause = chain.results[0]!.position;
      if (how === "trimmed") {
        await bus.say("alice", EXPLORE, "newer");
        await bus.storage.log.trim(channelName("science", "explore"), { maxAgeMs: 0, maxBytes: 0, maxMessages: 1 });
      }
      if (how === "deleted") await bus.rooms.deleteChannel(channelName("science", "explore"));
      if (how === "of another epoch") cause = cause.replace(/@.{8}/, "@0badcafe");
      if (how === "of no channel") cause = cause.replace("explore", "nowhere");
      if (how === "the start of a channel") cause = cause.replace(/\d+$/, "0");
      if (how === "not there yet") cause = cause.replace(/\d+$/, "99");
      const { results: last } = await bus.say("carol", EXPLORE, caused(cause));
      assert.deepEqual(await hopsOf(bus, last[0]!.position), [0]);
    },
  );

  it("a cause that one may not see tells nothing but its number of hops", async () => {
    const bus = await openBus();
    await bus.agents.ensure("bob");
    const secret = await bus.say("alice", EXPLORE, { to: { agents: ["bob"] }, payload: { case: "text", value: "s" } });
    const { results } = await bus.say("eve", EXPLORE, caused(secret.results[0]!.position));
    assert.deepEqual(await hopsOf(bus, results[0]!.position), [1]);
  });
});
