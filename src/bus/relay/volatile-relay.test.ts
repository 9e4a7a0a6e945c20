import assert from "node:assert/strict";
import { describe, it } from "vitest";
import { createSharedBackend } from "../../../test/support/shared-backend.ts";
import { openTwo } from "../../../test/support/two-nodes.ts";
import { isBusError } from "../../core/errors.ts";
import { channelName } from "../../core/names.ts";
import type { RoutingConfig } from "../../core/room.ts";

const DRAFTS = "notes:drafts";
const drafts = channelName("notes", "drafts");
const LOST = 4;

const toAlice: RoutingConfig = {
  strategy: "INDIVIDUAL",
  allowSenderRecipients: true,
  recipients: { agents: ["alice"], groups: [], select: undefined },
  capabilities: [],
  limit: 0,
  custom: "",
};

/** A VOLATILE channel, read by bob on both nodes. */
async function openRead(backend = createSharedBackend()) {
  const nodes = await openTwo(backend);
  const { a, b, settle } = nodes;
  await a.rooms.createChannel(
    { name: drafts, description: "", metadata: {}, config: { durability: "VOLATILE" } },
    true,
  );
  await settle();
  const onA = await a.read({ agentId: "bob", channels: [DRAFTS] });
  const onB = await b.read({ agentId: "bob", channels: [DRAFTS] });
  return { ...nodes, onA, onB };
}

describe("VOLATILE messages", () => {
  it("S3-FR-011: reach readers on every node, in the order of each publisher", async () => {
    const { a, b, settle, onA, onB } = await openRead();
    assert.equal((await a.say("alice", DRAFTS, "1", "2")).durability, "VOLATILE");
    await b.say("carol", DRAFTS, "from b");
    await a.say("alice", DRAFTS, { to: { agents: ["alice"] }, payload: { case: "text", value: "for alice alone" } });
    await a.say("alice", DRAFTS, "3");
    await settle();
    for (const reader of [onA, onB]) {
      const texts = await reader.take();
      assert.deepEqual([...texts].sort(), ["1", "2", "3", "from b"]);
      assert.deepEqual(
        texts.filter((text) => text !== "from b"),
        ["1", "2", "3"],
      );
      assert.deepEqual(reader.gaps, []);
    }
    const { sender, room, channel, sequence } = onB.messages.at(-1)!;
    assert.deepEqual([sender, room, channel, sequence], ["alice", "notes", "drafts", 5n]);
  });

  it("that are sent again, to another node, are stored once on each", async () => {
    const { a, b, settle, onA, onB } = await openRead();
    const once = { id: "once", payload: { case: "text" as const, value: "once" } };
    await a.say("alice", DRAFTS, once);
    await settle();
    const { results } = await b.say("alice", DRAFTS, once);
    await settle();
    assert.equal(results[0]!.duplicate, true);
    assert.deepEqual([await onA.take(), await onB.take()], [["once"], ["once"]]);
    await assert.rejects(b.say("alice", DRAFTS, { ...once, name: "Other" }), (error) =>
      isBusError(error, "IDEMPOTENCY_CONFLICT"),
    );
  });

  it("with one key on two nodes that could not hear each other are all delivered, since all were acknowledged", async () => {
    const { a, b, settle, onA, onB } = await openRead();
    const said = (value: string) => ({ id: "same", payload: { case: "text" as const, value } });
    // Both publish in the same turn: neither has heard of the other's.
    await Promise.all([a.say("alice", DRAFTS, said("on a")), b.say("alice", DRAFTS, said("on b"))]);
    await settle();
    for (const reader of [onA, onB]) assert.deepEqual([...(await reader.take())].sort(), ["on a", "on b"]);
  });

  it("expire on every node, and are filtered there", async () => {
    const { backend, a, settle, onB } = await openRead();
    await a.say("alice", DRAFTS, { payload: { case: "text", value: "brief" }, timeToLive: { seconds: 1n } }, "long");
    await settle();
    backend.clock.advance(2_000);
    assert.deepEqual(await onB.take(), ["long"]);
  });

  it("of a channel that a node has not heard of are kept until it has, and are the first it has", async () => {
    const backend = createSharedBackend();
    backend.ringFilter = ({ topic }) => topic !== "record";
    const { a, b, settle } = await openTwo(backend);
    await a.rooms.createChannel(
      { name: drafts, description: "", metadata: {}, config: { durability: "VOLATILE" } },
      true,
    );
    const reader = await b.read({ agentId: "bob", patterns: ["notes:*"] });
    await a.say("alice", DRAFTS, "1");
    await a.say("alice", DRAFTS, "2");
    await settle();
    await a.say("alice", DRAFTS, "3");
    await settle();
    assert.deepEqual([await reader.take(), reader.gaps], [["1", "2", "3"], []]);
  });

  it("of a deleted channel do not come into the one that takes its name", async () => {
    const { backend, a, b, settle } = await openRead();
    backend.packetFilter = () => false;
    await a.say("alice", DRAFTS, "old");
    await a.rooms.deleteChannel(drafts);
    await a.rooms.createChannel(
      { name: drafts, description: "", metadata: {}, config: { durability: "VOLATILE" } },
      true,
    );
    await settle();
    backend.packetFilter = () => true;
    const reader = await b.read({ agentId: "bob", channels: [DRAFTS], start: { kind: "earliest" } });
    await a.say("alice", DRAFTS, "new");
    await settle();
    assert.deepEqual(await reader.take(), ["new"]);
  });

  it("keep the audience that their own node decided, and a node that is behind learns that it is", async () => {
    const { a, b, settle, onB } = await openRead();
    await b.say("alice", DRAFTS, "to all");
    await a.rooms.updateChannel(drafts, { config: { routing: toAlice } });
    await a.say("alice", DRAFTS, "to alice");
    // Node b may not have read the new record; its log has met a message that was routed by it.
    const { results } = await b.say("alice", DRAFTS, "to alice, too");
    await settle();
    assert.deepEqual(results[0]!.audience, ["alice"]);
    assert.deepEqual(await onB.take(), ["to all"]);
  });

  it("of a node that has not heard of a change are stored as they were routed there", async () => {
    const { backend, a, b, settle, onA, onB } = await openRead();
    backend.ringFilter = ({ topic }) => topic !== "record";
    await b.rooms.updateChannel(drafts, { config: { routing: toAlice } });
    await a.say("alice", DRAFTS, "as before");
    await settle();
    for (const reader of [onA, onB]) assert.deepEqual([await reader.take(), reader.gaps], [["as before"], []]);
  });
});

describe("VOLATILE messages that are lost between nodes", () => {
  it("S3-FR-011: are told as a Gap where they are missing, to readers there alone", async () => {
    const { backend, a, settle, onA, onB } = await openRead();
    await a.say("alice", DRAFTS, "1");
    await settle();
    backend.packetFilter = (from) => from !== 0;
    await a.say("alice", DRAFTS, "2");
    await settle();
    backend.packetFilter = () => true;
    await a.say("alice", DRAFTS, "3");
    await settle();
    assert.deepEqual([await onA.take(), onA.gaps], [["1", "2", "3"], []]);
    assert.deepEqual([await onB.take(), onB.gaps], [["1", "3"], [`2-2 ${LOST}`]]);
    const { firstSequence } = onB.responses.flatMap(({ gaps }) => gaps)[0]!;
    assert.deepEqual(
      onB.messages.map(({ sequence }) => sequence),
      [firstSequence - 1n, firstSequence + 1n],
    );
  });

  it("are told also when nothing follows them", async () => {
    const { backend, a, pass, onB } = await openRead();
    await a.say("alice", DRAFTS, "1");
    await pass(250);
    backend.packetFilter = () => false;
    await a.say("alice", DRAFTS, "2");
    await pass(250);
    backend.packetFilter = () => true;
    await pass(2_000);
    assert.deepEqual([await onB.take(), onB.gaps], [["1"], [`2-2 ${LOST}`]]);
    await pass(60_000);
    await onB.take();
    assert.equal(onB.gaps.length, 1, "once");
  });

  it("because the backend was away are told when it is back; each node had its own meanwhile", async () => {
    const { backend, a, b, settle, pass, onA, onB } = await openRead();
    await a.say("alice", DRAFTS, "1");
    await settle();
    backend.away = true;
    await a.say("alice", DRAFTS, "on a");
    await b.say("alice", DRAFTS, "on b");
    await pass(3_000);
    assert.deepEqual(
      [await onA.take(), await onB.take()],
      [
        ["1", "on a"],
        ["1", "on b"],
      ],
    );
    backend.away = false;
    backend.tellMissed();
    await settle();
    await a.say("alice", DRAFTS, "2");
    await settle();
    for (const reader of [onA, onB]) {
      assert.deepEqual(await reader.take(), ["2"]);
      assert.ok(reader.gaps.length >= 1 && reader.gaps.every((gap) => gap.endsWith(` ${LOST}`)), `${reader.gaps}`);
    }
  });

  it("end a stream that asked for no gaps, and are told to one that comes back", async () => {
    const { backend, a, b, settle, pass } = await openRead();
    const strict = await b.read({ agentId: "strict", channels: [DRAFTS], failOnGap: true });
    const later = await b.read({ agentId: "later", channels: [DRAFTS] });
    await a.say("alice", DRAFTS, "1");
    await settle();
    assert.deepEqual([await strict.take(), await later.take()], [["1"], ["1"]]);
    later.subscription.close(true);
    backend.packetFilter = () => false;
    await a.say("alice", DRAFTS, "2");
    await settle();
    backend.packetFilter = () => true;
    await pass(3_000);
    await strict.take();
    assert.equal(strict.subscription.finished?.error?.reason, "GAP");
    const back = await b.read({ agentId: "later", channels: [DRAFTS], start: later.resume });
    assert.deepEqual([await back.take(), back.gaps], [[], [`2-2 ${LOST}`]]);
    const fetched = await b.fetcher.fetch(
      {
        agentId: "later",
        room: "notes",
        channel: "drafts",
        start: { kind: "end" },
        backward: false,
        filter: undefined,
        maxMessages: 10,
        waitMs: 0,
      },
      new AbortController().signal,
    );
    assert.deepEqual(
      [fetched.sealed.length, fetched.gaps.map(({ first, last, cause }) => [first, last, cause]), fetched.caughtUp],
      [1, [[2, 2, "LOST"]], true],
    );
  });

  it("all the time cost a place ten times a second, and no more", async () => {
    const { backend, a, b, settle, onB } = await openRead();
    await a.say("alice", DRAFTS, "0");
    await settle();
    for (let i = 1; i <= 50; i++) {
      backend.packetFilter = () => i % 2 === 0;
      await a.say("alice", DRAFTS, `${i}`);
      await settle();
      backend.clock.advance(10);
    }
    await b.settle();
    await onB.take();
    assert.equal(onB.texts.length, 26);
    assert.ok(onB.gaps.length >= 4 && onB.gaps.length <= 6, `${onB.gaps.length} gaps`);
  });
});

describe("where nodes share a storage that relays nothing", () => {
  it("VOLATILE channels are stored like the others, and answers say so", async () => {
    const backend = createSharedBackend({ relay: false });
    const { a, settle, onB } = await openRead(backend);
    assert.equal((await a.say("alice", DRAFTS, "1")).durability, "SYNCED");
    await settle();
    assert.deepEqual(await onB.take(), ["1"]);
    assert.equal((await backend.log.state(drafts))!.head, 1);
  });
});
