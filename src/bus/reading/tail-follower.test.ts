import assert from "node:assert/strict";
import { describe, it } from "vitest";
import { overLog, type Reader, type TestBus } from "../../../test/support/bus-fixture.ts";
import { createSharedBackend } from "../../../test/support/shared-backend.ts";
import { openTwo } from "../../../test/support/two-nodes.ts";
import { isBusError } from "../../core/errors.ts";
import { channelName } from "../../core/names.ts";
import { parsePosition } from "../../core/position.ts";
import type { FetchInput } from "./fetcher.ts";

const EXPLORE = "science:explore";
const explore = channelName("science", "explore");
const NEW_EPOCH = 2;

/** Ten messages, of which a reader on each node has all and a slow one has three. */
async function readTen() {
  const nodes = await openTwo();
  const { a, b, settle } = nodes;
  const fast = [await a.read({ channels: [EXPLORE] }), await b.read({ channels: [EXPLORE] })];
  const slow = await b.read({ agentId: "slow", channels: [EXPLORE], maxMessages: 1 });
  for (let i = 1; i <= 10; i++) await a.say("alice", EXPLORE, `${i}`);
  await settle();
  for (const reader of fast) assert.equal((await reader.take()).length, 10);
  slow.pull(3);
  return { ...nodes, fast, slow };
}

const gapsOf = (readers: readonly Reader[]) => readers.map(({ gaps }) => gaps);

const fetchAll = (bus: TestBus, start: FetchInput["start"], waitMs = 0) =>
  bus.fetcher.fetch(
    {
      agentId: "reader",
      room: "science",
      channel: "explore",
      start,
      backward: false,
      filter: undefined,
      maxMessages: 100,
      waitMs,
    },
    new AbortController().signal,
  );

describe("a log that lost its end", () => {
  it("S3-FR-012: gives what is issued anew to readers who were further, behind a Gap, on every node", async () => {
    const { backend, a, b, fast, slow, pass } = await readTen();
    backend.log.rollBack(explore, 7);
    const { results } = await a.say("alice", EXPLORE, "8 again", "9 again");
    assert.equal(parsePosition(results[0]!.position).sequence, 8);
    await pass(250);
    for (const reader of fast) assert.deepEqual(await reader.take(), ["8 again", "9 again"]);
    assert.deepEqual(gapsOf(fast), [[`8-10 ${NEW_EPOCH}`], [`8-10 ${NEW_EPOCH}`]]);
    await slow.take();
    assert.deepEqual(
      slow.texts,
      ["1", "2", "3", "4", "5", "6", "7", "8 again", "9 again"],
      "who is behind loses nothing",
    );
    assert.deepEqual(slow.gaps, []);
    await b.say("bob", EXPLORE, "10 again");
    for (const reader of [...fast, slow]) assert.deepEqual(await reader.take(), ["10 again"]);
  });

  it("and has more than before already is noticed all the same, with no ring", async () => {
    const { backend, a, fast, pass } = await readTen();
    backend.ringFilter = ({ topic }) => topic !== "log";
    backend.log.rollBack(explore, 7);
    for (let i = 8; i <= 14; i++) await a.say("alice", EXPLORE, `${i} again`);
    await pass(2_500);
    const again = [8, 9, 10, 11, 12, 13, 14].map((n) => `${n} again`);
    for (const reader of fast) assert.deepEqual(await reader.take(), again);
    assert.deepEqual(gapsOf(fast), [[`8-10 ${NEW_EPOCH}`], [`8-10 ${NEW_EPOCH}`]]);
  });

  it("and was written to by another node first is not continued from what this node stores next", async () => {
    const { backend, a, b, fast, pass } = await readTen();
    backend.ringFilter = ({ topic }) => topic !== "log";
    backend.log.rollBack(explore, 9);
    await b.say("bob", EXPLORE, "10 again");
    await a.say("alice", EXPLORE, "11");
    const [onA] = fast;
    assert.deepEqual(await onA!.take(), ["10 again", "11"]);
    await pass(2_500);
    assert.deepEqual([await onA!.take(), onA!.gaps], [[], [`10-10 ${NEW_EPOCH}`]]);
  });

  it("is noticed by whoever reads the store, before the poll", async () => {
    const { backend, a, b } = await readTen();
    const behind = await b.read({
      agentId: "behind",
      channels: [EXPLORE],
      start: { kind: "earliest" },
      maxMessages: 1,
    });
    // A tail that holds nothing: what is behind is read from the store.
    backend.clock.advance(2_000);
    await b.settle();
    backend.ringFilter = ({ topic }) => topic !== "log";
    backend.log.rollBack(explore, 7);
    await a.say("alice", EXPLORE, "8 again");
    await behind.take();
    assert.deepEqual([behind.texts, behind.gaps], [["1", "2", "3", "4", "5", "6", "7", "8 again"], []]);
  });

  it("and was not written to since gets its new epoch from the poll", async () => {
    const { backend, a, b, fast, pass } = await readTen();
    const before = (await backend.log.state(explore))!;
    backend.log.rollBack(explore, 7);
    await pass(3_000);
    for (const reader of fast) assert.deepEqual(await reader.take(), []);
    assert.deepEqual(gapsOf(fast), [[`8-10 ${NEW_EPOCH}`], [`8-10 ${NEW_EPOCH}`]]);
    const after = (await backend.log.state(explore))!;
    assert.ok(after.links.length > before.links.length && after.links.at(-1)!.first === 8);
    await b.say("bob", EXPLORE, "8 again");
    await a.settle();
    for (const reader of fast) assert.deepEqual(await reader.take(), ["8 again"]);
  });

  it("twice, the second time with the link of the first, takes readers back to what is left", async () => {
    const { backend, a, fast, pass } = await readTen();
    backend.log.rollBack(explore, 7);
    await a.say("alice", EXPLORE, "8 again", "9 again");
    await pass(500);
    for (const reader of fast) await reader.take();
    backend.log.rollBack(explore, 5, true);
    await a.say("alice", EXPLORE, "6 anew");
    await pass(1_000);
    for (const reader of fast) assert.deepEqual(await reader.take(), ["6 anew"]);
    const told = [`8-10 ${NEW_EPOCH}`, `6-9 ${NEW_EPOCH}`];
    assert.deepEqual(gapsOf(fast), [told, told]);
  });

  it("as a whole is made anew, and its readers are told", async () => {
    const { backend, a, fast, pass } = await readTen();
    backend.log.forget(explore);
    await a.say("alice", EXPLORE, "1 again");
    await pass(1_000);
    for (const reader of fast) assert.deepEqual(await reader.take(), ["1 again"]);
    assert.deepEqual(gapsOf(fast), [[`1-10 ${NEW_EPOCH}`], [`1-10 ${NEW_EPOCH}`]]);
  });

  it("as a whole, while nobody writes, is made anew by whoever polls", async () => {
    const { backend, fast, pass } = await readTen();
    backend.log.forget(explore);
    await pass(3_000);
    for (const reader of fast) assert.deepEqual(await reader.take(), []);
    assert.deepEqual(gapsOf(fast), [[`1-10 ${NEW_EPOCH}`], [`1-10 ${NEW_EPOCH}`]]);
    assert.equal((await backend.log.state(explore))?.head, 0);
  });

  it("ends a stream that asked for no gaps", async () => {
    const { backend, a, b, pass } = await readTen();
    const strict = await b.read({
      agentId: "strict",
      channels: [EXPLORE],
      failOnGap: true,
      start: { kind: "earliest" },
    });
    await strict.take();
    backend.log.rollBack(explore, 7);
    await a.say("alice", EXPLORE, "8 again");
    await pass(500);
    assert.equal(strict.subscription.finished?.error?.reason, "GAP");
  });

  it("while a reader reads the store for what is void gives it nothing of that", async () => {
    let hold: Promise<void> | undefined;
    const backend = createSharedBackend({
      wrapLog: (log) =>
        overLog(log, {
          async read(request) {
            const result = await log.read(request);
            await hold;
            return result;
          },
        }),
    });
    const { a, b, pass } = await openTwo(backend);
    for (let i = 1; i <= 10; i++) await a.say("alice", EXPLORE, `${i}`);
    const reader = await b.read({ channels: [EXPLORE], start: { kind: "earliest" } });
    const held = Promise.withResolvers<void>();
    hold = held.promise;
    reader.pull();
    await b.settle();
    backend.log.rollBack(explore, 7);
    hold = undefined;
    await a.say("alice", EXPLORE, "8 again");
    await pass(500);
    held.resolve();
    await pass(500);
    await reader.take();
    assert.deepEqual([reader.texts, reader.gaps], [["1", "2", "3", "4", "5", "6", "7", "8 again"], []]);
  });

  it("while a reader's start is looked for is looked at again for it", async () => {
    let hold: Promise<void> | undefined;
    const backend = createSharedBackend({
      wrapLog: (log) =>
        overLog(log, {
          async read(request) {
            const result = await log.read(request);
            if (request.backward) await hold;
            return result;
          },
        }),
    });
    const { a, b, settle, pass } = await openTwo(backend);
    for (let i = 1; i <= 10; i++) await a.say("alice", EXPLORE, `${i}`);
    await b.read({ agentId: "other", channels: [EXPLORE] });
    const held = Promise.withResolvers<void>();
    hold = held.promise;
    const opening = b.read({ channels: [EXPLORE], start: { kind: "last", count: 2 } });
    await settle();
    backend.log.rollBack(explore, 6);
    await a.say("alice", EXPLORE, "7 again", "8 again", "9 again");
    await pass(500);
    held.resolve();
    const reader = await opening;
    assert.deepEqual([await reader.take(), reader.gaps], [["8 again", "9 again"], []]);
  });

  it("is fetched from where it parts, with the same Gap", async () => {
    const { backend, a, b } = await readTen();
    const { position } = await fetchAll(b, { kind: "end" });
    backend.log.rollBack(explore, 7);
    await a.say("alice", EXPLORE, "8 again");
    const { gaps, sealed, position: next } = await fetchAll(b, { kind: "position", position });
    assert.deepEqual(
      gaps.map(({ first, last, cause }) => [first, last, cause]),
      [[8, 10, "NEW_EPOCH"]],
    );
    assert.deepEqual([sealed.length, parsePosition(next).sequence], [1, 8]);
    await assert.rejects(b.fetcher.get({ agentId: "reader", room: "", channel: "" }, { position }), (error) =>
      isBusError(error, "MESSAGE_NOT_FOUND"),
    );
  });

  it("while a fetch waits ends the wait with the Gap", async () => {
    const { backend, a, b, settle, pass } = await readTen();
    const { position } = await fetchAll(b, { kind: "end" });
    const waiting = fetchAll(b, { kind: "position", position }, 20_000);
    await settle();
    backend.log.rollBack(explore, 7);
    await a.say("alice", EXPLORE, "8 again");
    await pass(500);
    const { gaps, sealed } = await waiting;
    assert.deepEqual([gaps.length, sealed.length], [1, 1]);
  });

  it("between two pages of one fetch is told in it, and nothing comes twice", async () => {
    let reads = 0;
    const backend = createSharedBackend({
      wrapLog: (log) =>
        overLog(log, {
          async read(request) {
            const result = await log.read({ ...request, maxEntries: 5 });
            if (++reads === 2) {
              backend.log.rollBack(explore, 7);
              await backend.log.renewEpoch(explore);
            }
            return result;
          },
        }),
    });
    const { a, b } = await openTwo(backend);
    for (let i = 1; i <= 15; i++) await a.say("alice", EXPLORE, `${i}`);
    await b.settle();
    const { gaps, sealed, position } = await fetchAll(b, { kind: "position", position: await firstPosition(b) });
    assert.deepEqual(
      gaps.map(({ first, last, cause }) => [first, last, cause]),
      [[8, 10, "NEW_EPOCH"]],
    );
    assert.deepEqual([sealed.length, parsePosition(position).sequence], [10, 7]);
  });

  it("is not believed of an answer that lags", async () => {
    const lag: { head: number | undefined } = { head: undefined };
    let renewals = 0;
    let asked = 0;
    const backend = createSharedBackend({
      wrapLog: (log) =>
        overLog(log, {
          async state(name) {
            asked++;
            const state = await log.state(name);
            return state && { ...state, head: Math.min(state.head, lag.head ?? state.head) };
          },
          async ends(names) {
            const ends = await log.ends(names);
            return ends.map((end) => end && { ...end, head: Math.min(end.head, lag.head ?? end.head) });
          },
          async read(request) {
            asked++;
            const { entries, state, damaged } = await log.read(request);
            const { head = Number.POSITIVE_INFINITY } = lag;
            return {
              entries: entries.filter(({ sequence }) => sequence <= head),
              state: state && { ...state, head: Math.min(state.head, head) },
              damaged,
            };
          },
          renewEpoch(name) {
            renewals++;
            return log.renewEpoch(name);
          },
        }),
    });
    const { a, b, pass } = await openTwo(backend);
    const reader = await b.read({ channels: [EXPLORE] });
    const slow = await b.read({ agentId: "slow", channels: [EXPLORE], maxMessages: 1 });
    for (let i = 1; i <= 5; i++) await a.say("alice", EXPLORE, `${i}`);
    await reader.take();
    lag.head = 2;
    await pass(5_000);
    await slow.take();
    await pass(5_000);
    assert.ok(renewals <= 1 && asked < 100, `${renewals} new epochs, ${asked} questions`);
    lag.head = undefined;
    await a.say("alice", EXPLORE, "6");
    await pass(3_000);
    assert.deepEqual([await reader.take(), reader.gaps], [["6"], []]);
    await slow.take();
    assert.deepEqual([slow.texts, slow.gaps], [["1", "2", "3", "4", "5", "6"], []]);
  });
});

async function firstPosition(bus: TestBus): Promise<string> {
  const { links } = (await bus.storage.log.state(explore))!;
  return `${EXPLORE}@${links[0]!.epoch.toString(16).padStart(8, "0")}.0`;
}
