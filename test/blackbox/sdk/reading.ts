import assert from "node:assert/strict";
import { waitUntil } from "../../support/wait.ts";
import { raised, raisedBriefly, textsOf } from "./remote-sdk.ts";
import type { Scenario, Stage } from "./stage.ts";

/** Reading: where to start, what to choose, how it ends. */
export const READING: readonly Scenario[] = [
  {
    title: "S3-US3.1, S1-5.5: reads from the oldest, the newest, the last few, an instant, a position",
    async play(stage) {
      const channel = stage.channel();
      const bus = await stage.open();
      const [alice, bob] = [bus.agent("alice"), bus.agent("bob")];
      for (const text of ["a", "b", "c", "d"]) await alice.send(text, { channel });
      await stage.settled();
      const log = await bob.history(channel);
      const since = new Date(log[2]!.acceptedAt);
      const fresh = await bob.listen({ channels: [channel] });
      const readers = [
        await bob.listen({ channels: [channel], start: "earliest" }),
        await bob.listen({ channels: [channel], start: { last: 2 } }),
        await bob.listen({ channels: [channel], start: { resume: [log[1]!.position] } }),
        await bob.listen({ channels: [channel], start: { since } }),
      ];
      await alice.send("e", { channel });
      assert.deepEqual(textsOf(await fresh.take(1)), ["e"]);
      const [earliest, last, resumed, timed] = readers;
      assert.deepEqual(textsOf(await earliest!.take(5)), ["a", "b", "c", "d", "e"]);
      assert.deepEqual(textsOf(await last!.take(3)), ["c", "d", "e"]);
      assert.deepEqual(textsOf(await resumed!.take(3)), ["c", "d", "e"]);
      // Several may have been accepted in one millisecond.
      const first = log.findIndex(({ acceptedAt }) => Date.parse(acceptedAt) >= since.getTime());
      const wanted = ["a", "b", "c", "d", "e"].slice(first);
      assert.deepEqual(textsOf(await timed!.take(wanted.length)), wanted);
    },
  },
  {
    title: "S1-5.5: a closed subscription's positions are where another one goes on",
    async play(stage) {
      const [one, two] = [stage.channel(), stage.channel()];
      const bus = await stage.open();
      const [alice, bob] = [bus.agent("alice"), bus.agent("bob")];
      for (let n = 0; n < 10; n++) await alice.send(String(n), { channel: n % 2 === 0 ? one : two });
      const first = await bob.listen({ channels: [one, two], start: "earliest" });
      const read = textsOf(await first.take(5));
      const positions = await first.positions();
      await first.close();
      const rest = await bob.listen({ channels: [one, two], start: { resume: positions } });
      const all = [...read, ...textsOf(await rest.take(5))];
      assert.deepEqual(all.map(Number).sort(), [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
      for (const odd of [0, 1]) {
        const ofChannel = all.map(Number).filter((n) => n % 2 === odd);
        assert.deepEqual(ofChannel, ofChannel.toSorted());
      }
    },
  },
  {
    title: "S4-2d: filters choose by type, name, sender, metadata, priority, session and audience",
    play: playFilters,
  },
  {
    title: "S3-US3.1, S1-5.5: history is read page by page, both ways, from a message, a position or an instant",
    async play(stage) {
      const channel = stage.channel();
      const alice = (await stage.open()).agent("alice");
      const texts = Array.from({ length: 25 }, (_, n) => String(n));
      const receipts = await Promise.all(texts.map((text) => alice.send(text, { channel })));
      assert.deepEqual(textsOf(await alice.history(channel, { maxMessages: 10 })), texts);
      assert.deepEqual(textsOf(await alice.history(channel, { maxMessages: 10, backward: true })), texts.toReversed());

      const page = await alice.fetch(channel, { maxMessages: 10 });
      assert.deepEqual([textsOf(page.messages), page.caughtUp], [texts.slice(0, 10), false]);
      const next = await alice.fetch(channel, { maxMessages: 10, start: { position: page.position } });
      assert.deepEqual(textsOf(next.messages), texts.slice(10, 20));
      const behind = await alice.fetch(channel, { start: { messageId: receipts[21]!.id } });
      assert.deepEqual([textsOf(behind.messages), behind.caughtUp], [["22", "23", "24"], true]);
      const before = await alice.fetch(channel, { start: { messageId: receipts[3]!.id }, backward: true });
      assert.deepEqual(textsOf(before.messages), ["2", "1", "0"]);
      const time = new Date(Date.parse(page.messages[0]!.acceptedAt) - 60_000);
      assert.deepEqual(textsOf((await alice.fetch(channel, { start: { time }, maxMessages: 2 })).messages), ["0", "1"]);

      const waiting = alice.fetch(channel, { start: { position: behind.position }, waitMs: 30_000 });
      await alice.send("news", { channel });
      assert.deepEqual(textsOf((await waiting).messages), ["news"]);
    },
  },
  {
    title: "S3-US3.1: what retention took is told as a gap, or fails the reader who says so",
    async play(stage) {
      const { urls } = await stage.startNodes({ args: ["--set", "cleanupInterval=100ms"] });
      const channel = stage.channel();
      const bus = await stage.open({ urls });
      const [alice, bob] = [bus.agent("alice"), bus.agent("bob")];
      await bus.createChannel(channel, { retention: { maxMessages: 5 } });
      const { position } = await alice.send("0", { channel });
      for (let n = 1; n <= 20; n++) await alice.send(String(n), { channel });
      await waitUntil(async () => (await bob.history(channel))[0]!.sequence === 17, {
        what: "the channel to be trimmed",
      });
      const start = { resume: [position] };
      const reading = await bob.listen({ channels: [channel], start, events: true });
      const { gap } = await reading.until("gap");
      assert.deepEqual(gap, { channel, cause: "retention", firstSequence: 2, lastSequence: 16 });
      assert.deepEqual(textsOf(await reading.take(5)), ["16", "17", "18", "19", "20"]);
      const failing = await bob.subscribe({ channels: [channel], start, onGap: "fail" });
      assert.equal(await raisedBriefly(failing.event()), "OUT_OF_RANGE GAP NEVER");
    },
  },
  {
    title: "S2-I.1: the newest exclusive stream wins; the older one ends for good and is not opened again",
    async play(stage) {
      const channel = stage.channel();
      const [one, two] = [await stage.open(), await stage.open()];
      const options = { channels: [channel], exclusive: "main" };
      const bob = stage.name("bob");
      const older = await one.agent(bob).listen(options);
      const newer = await two.agent(bob).listen(options);
      assert.equal(await raisedBriefly(older.event()), "SubscriptionEnded TAKEN_OVER");
      await one.agent("alice").send("for the newer one", { channel });
      assert.deepEqual(textsOf(await newer.take(1)), ["for the newer one"]);
    },
  },
  {
    title: "S3-K.4: a deleted channel ends its subscriptions, and says which channel; one made again starts anew",
    async play(stage) {
      const channel = stage.channel();
      const bus = await stage.open();
      const [alice, bob] = [bus.agent("alice"), bus.agent(stage.name("bob"))];
      const { position } = await alice.send("old", { channel });
      const reading = await bob.listen({ channels: [channel], start: "earliest" });
      assert.deepEqual(textsOf(await reading.take(1)), ["old"]);
      await stage.settled();
      await bus.deleteChannel(channel);
      const ended = await raised(reading.event());
      assert.ok(ended.kind === "SubscriptionEnded");
      assert.deepEqual([ended.reason, ended.channel], ["CHANNEL_DELETED", channel]);
      const fresh = await alice.send("new", { channel });
      assert.match(fresh.position, /\.1$/);
      assert.notEqual(fresh.position, position);
      await stage.seen(async () => assert.deepEqual(textsOf(await bob.history(channel)), ["new"]));
    },
  },
  {
    title: "S1-5.3: who is disconnected ends everywhere; a closed subscription ends its loop",
    async play(stage) {
      const channel = stage.channel();
      const [one, two] = [await stage.open(), await stage.open()];
      const bob = stage.name("bob");
      const reading = await one.agent(bob).listen({ channels: [channel] });
      await stage.settled();
      await two.agent(bob).disconnect();
      assert.equal(await raisedBriefly(reading.event()), "SubscriptionEnded AGENT_GONE");
      const again = await one.agent(bob).listen({ channels: [channel] });
      const turn = again.event();
      await again.close();
      assert.deepEqual(await turn, { type: "done" });
      await one.close();
      assert.notEqual((await raised(one.agent(bob).send("x", { channel }))).kind, "Unexpected");
    },
  },
];

async function playFilters(stage: Stage): Promise<void> {
  const channel = stage.channel();
  const bus = await stage.open();
  const [alice, carol, bob] = [bus.agent("alice"), bus.agent("carol"), bus.agent(stage.name("bob"))];
  await bob.register();
  await alice.send("plain", { channel });
  await stage.settled();
  await alice.send("event", { channel, type: "event", name: "UserCreated" });
  await alice.send("blue", { channel, metadata: { color: "blue", size: "1" } });
  await alice.send("urgent", { channel, priority: 8 });
  await alice.send("in session", { channel, sessionId: "job-123" });
  await alice.send("private", { channel, to: bob.id });
  await carol.send("of carol", { channel });
  const chosen = [
    [{ types: ["event" as const] }, "event"],
    [{ names: ["UserCreated"] }, "event"],
    [{ metadata: { color: "blue" } }, "blue"],
    [{ minPriority: 5 }, "urgent"],
    [{ sessionIds: ["job-123"] }, "in session"],
    [{ directOnly: true }, "private"],
    [{ senders: ["carol", "dave"] }, "of carol"],
  ] as const;
  for (const [filter, text] of chosen) {
    assert.deepEqual(textsOf(await bob.history(channel, { filter })), [text]);
    const reading = await bob.listen({ channels: [channel], filter, start: "earliest", events: true });
    assert.deepEqual(textsOf(await reading.take(1)), [text]);
    await reading.until("caught_up");
    await reading.close();
  }
}
