import assert from "node:assert/strict";
import { describe, it } from "vitest";
import { overLog } from "../../test/support/bus-fixture.ts";
import { away } from "../../test/support/forgetful-log.ts";
import { createSharedBackend } from "../../test/support/shared-backend.ts";
import { openTwo } from "../../test/support/two-nodes.ts";
import { isBusError } from "../core/errors.ts";
import { channelName } from "../core/names.ts";

const EXPLORE = "science:explore";
const DRAFTS = "notes:drafts";
const drafts = channelName("notes", "drafts");

const isAway = (error: unknown) => isBusError(error, "STORAGE_UNAVAILABLE");

/** A STORED channel and a VOLATILE one, both used by alice, and read by bob, on both nodes. */
async function openUsed() {
  const nodes = await openTwo();
  const { a, b, settle } = nodes;
  await a.rooms.createChannel(
    { name: drafts, description: "", metadata: {}, config: { durability: "VOLATILE" } },
    true,
  );
  await a.say("alice", EXPLORE, "first");
  await a.agents.ensure("bob");
  await settle();
  return { ...nodes, a, b };
}

describe("a storage that goes away", () => {
  it("S3-E.5: refuses what it must keep, tells when to try again, and opens nothing that needs it", async () => {
    const { backend, a, b } = await openUsed();
    backend.away = true;
    await assert.rejects(
      a.say("alice", EXPLORE, "x"),
      (error) => isAway(error) && isBusError(error) && error.details.retryDelayMs === 1_000,
    );
    await assert.rejects(b.read({ agentId: "bob", channels: [EXPLORE] }), isAway);
    await assert.rejects(b.read({ agentId: "bob", channels: ["science:new"] }), isAway);
    await assert.rejects(a.say("somebody-new", DRAFTS, "x"), isAway, "an agent must be written down");
    await assert.rejects(b.read({ agentId: "somebody-new", channels: [DRAFTS] }), isAway);
    await assert.rejects(a.say("alice", "science:new", "x"), isAway);
    const fetch = { agentId: "bob", room: "science", channel: "explore", backward: false, filter: undefined };
    const start = { kind: "end" } as const;
    await assert.rejects(
      b.fetcher.fetch({ ...fetch, start, maxMessages: 1, waitMs: 0 }, new AbortController().signal),
      isAway,
    );
    assert.equal(b.subscriptions.count, 0, "what could not be opened is not kept");
  });

  it("nobody comes and goes by a stream that could not be opened, and is tried again", async () => {
    const { backend, a } = await openUsed();
    const told = () => a.lines.filter(({ text }) => /bob (dis)?connected/.test(text)).map(({ text }) => text);
    backend.away = true;
    for (let attempt = 0; attempt < 3; attempt++) {
      await assert.rejects(a.read({ agentId: "bob", channels: [EXPLORE] }), isAway);
    }
    assert.deepEqual(told(), []);
    backend.away = false;
    const { subscription } = await a.read({ agentId: "bob", channels: [EXPLORE] });
    assert.equal(a.agents.state("bob"), "ONLINE");
    subscription.close(true);
    assert.deepEqual(told(), ["Agent bob connected", "Agent bob disconnected"]);
  });

  it("keeps its readers, who go on when it is back", async () => {
    const { backend, a, b, pass } = await openUsed();
    const reader = await b.read({ agentId: "bob", channels: [EXPLORE] });
    const behind = await b.read({ agentId: "bob", channels: [EXPLORE], start: { kind: "earliest" } });
    backend.away = true;
    await pass(30_000);
    assert.deepEqual(await behind.take(), []);
    assert.deepEqual([reader.subscription.finished, behind.subscription.finished], [undefined, undefined]);
    backend.away = false;
    await pass(2_000);
    assert.deepEqual(await behind.take(), ["first"]);
    await a.say("alice", EXPLORE, "second");
    await pass(1_000);
    assert.deepEqual([await reader.take(), await behind.take()], [["second"], ["second"]]);
  });

  it("S3-E.5: leaves VOLATILE channels at work on each node, new subscriptions to them included", async () => {
    const { backend, a, b, pass } = await openUsed();
    const before = await a.read({ agentId: "bob", channels: [DRAFTS] });
    backend.away = true;
    assert.equal((await a.say("alice", DRAFTS, "1")).durability, "VOLATILE");
    const during = await a.read({ agentId: "bob", channels: [DRAFTS] });
    // A channel of which this node has only heard: its log is made here.
    const elsewhere = await b.read({ agentId: "bob", channels: [DRAFTS] });
    const byPattern = await b.read({ agentId: "bob", patterns: ["notes:*"] });
    await a.say("alice", DRAFTS, "2");
    await b.say("alice", DRAFTS, "on b");
    await pass(10_000);
    assert.deepEqual([await before.take(), await during.take()], [["1", "2"], ["2"]]);
    assert.deepEqual([await elsewhere.take(), await byPattern.take()], [["on b"], ["on b"]]);
  });

  it("does not end a stream by pattern when a channel comes to be whose log cannot be asked", async () => {
    const late = channelName("science", "late");
    let refuses = false;
    let asked = 0;
    const backend = createSharedBackend({
      wrapLog: (log) =>
        overLog(log, {
          async create(name, ...rest) {
            const state = await log.create(name, ...rest);
            // From here on the channel is there, and node b, which hears of it, cannot ask.
            refuses = name.key === late.key;
            return state;
          },
          state(name) {
            if (!refuses || name.key !== late.key) return log.state(name);
            asked++;
            return Promise.reject(away());
          },
        }),
    });
    const { a, b, settle, pass } = await openTwo(backend);
    const byPattern = await b.read({ patterns: ["science:*"] });
    const ofAgent = await b.read({ agentId: "member" });
    await a.say("alice", late.key, "1", "2");
    await settle();
    backend.clock.advance(10);
    await a.rooms.join("member", late);
    await a.say("alice", late.key, "3");
    await pass(5_000);
    assert.deepEqual([byPattern.subscription.finished, ofAgent.subscription.finished], [undefined, undefined]);
    assert.ok(asked > 4 && asked < 20, `asked ${asked} times`);
    assert.deepEqual(await byPattern.take(), []);
    refuses = false;
    await pass(4_000);
    await a.say("alice", late.key, "4");
    await settle();
    assert.deepEqual(
      [await byPattern.take(), await ofAgent.take()],
      [
        ["1", "2", "3", "4"],
        ["3", "4"],
      ],
    );
  });

  it("fails no timer: retention, presence and idle agents are looked after when it is back", async () => {
    const { backend, a, pass } = await openUsed();
    backend.away = true;
    await pass(60_000);
    backend.away = false;
    await pass(20_000);
    await a.say("alice", EXPLORE, "second");
    assert.deepEqual(
      a.lines.filter(({ level }) => level === "error").map(({ text }) => text),
      [],
    );
  });
});
