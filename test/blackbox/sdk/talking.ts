import assert from "node:assert/strict";
import { raised, raisedBriefly, textsOf } from "./remote-sdk.ts";
import type { Scenario, Stage } from "./stage.ts";

/** Sending: to a channel, to some, to one; what is refused. */
export const TALKING: readonly Scenario[] = [
  {
    title: "U-2, S0-2.1.2, S1-5.4, S0-3.2.3: what one sends, another reads, each once and in order",
    async play(stage) {
      const channel = stage.channel();
      const [alice, bob] = [(await stage.open()).agent("alice"), (await stage.open()).agent("bob")];
      const reading = await bob.listen({ channels: [channel] });
      const sent = Array.from({ length: 300 }, (_, n) => String(n));
      const receipts = await Promise.all(sent.map((text) => alice.send(text, { channel })));
      const read = await reading.take(sent.length);
      assert.deepEqual(textsOf(read), sent);
      assert.deepEqual(
        read.map(({ position }) => position),
        receipts.map(({ position }) => position),
      );
      assert.deepEqual(
        read.map(({ sequence }) => sequence),
        sent.map((_, n) => n + 1),
      );
      assert.ok(read.every(({ sender, address, direct }) => sender === "alice" && address === channel && !direct));
      assert.ok(receipts.every(({ duplicate, audience }) => !duplicate && audience === null));
    },
  },
  {
    title: "S1-5.4: text, JSON, bytes and nothing arrive as they were sent, with all that was said of them",
    async play(stage) {
      const channel = stage.channel();
      const bus = await stage.open();
      const [alice, bob] = [bus.agent("alice"), bus.agent("bob")];
      const reading = await bob.listen({ channels: [channel] });
      const json = { list: [1, 2.5, null, "ä€😀"], flag: true };
      await alice.send("grüße 😀", { channel });
      await alice.send(json, { channel });
      await alice.send(Uint8Array.of(0, 255, 128), { channel });
      await alice.send(undefined, {
        ...{ channel, type: "event", name: "UserCreated", metadata: { Key: "some value" }, priority: 7 },
        ...{ correlationId: "thread-1", replyTo: channel, id: stage.name("id"), timeToLiveMs: 60_000 },
      });
      const [text, object, bytes, event] = await reading.take(4);
      assert.deepEqual([text!.content, text!.contentType], [{ text: "grüße 😀" }, "text/plain"]);
      assert.deepEqual([object!.content, object!.contentType], [{ json }, "application/json"]);
      assert.deepEqual([bytes!.content, bytes!.contentType], [{ bytes: "AP+A" }, "application/octet-stream"]);
      const { content, type, name, metadata, priority, correlationId, replyTo } = event!;
      assert.deepEqual(content, {});
      assert.deepEqual([type, name, metadata, priority], ["event", "UserCreated", { Key: "some value" }, 7]);
      assert.deepEqual([correlationId, replyTo], ["thread-1", channel]);
    },
  },
  {
    title: "S0-2.1.3a: one's own messages come only when they are asked for",
    async play(stage) {
      const channel = stage.channel();
      const alice = (await stage.open()).agent("alice");
      const plain = await alice.listen({ channels: [channel] });
      const echo = await alice.listen({ channels: [channel], echo: true });
      await alice.send("mine", { channel });
      await (await stage.open()).agent("bob").send("yours", { channel });
      assert.deepEqual(textsOf(await echo.take(2)), ["mine", "yours"]);
      assert.deepEqual(textsOf(await plain.take(1)), ["yours"]);
    },
  },
  {
    title: "S0-2.1.3c: a direct message waits in the inbox of an agent that is away, and is answered to the sender's",
    async play(stage) {
      const [alice, bob] = [stage.name("alice"), stage.name("bob")];
      const sender = (await stage.open()).agent(alice);
      const away = await stage.open();
      await away.agent(bob).register();
      await away.close();
      const answers = await sender.listen();
      await stage.settled();
      const receipt = await sender.send("psst", { to: bob });
      assert.deepEqual(receipt.audience, { count: 1, agents: [bob] });

      const back = (await stage.open()).agent(bob);
      const reading = await back.listen({ start: "earliest" });
      const message = await reading.next();
      assert.deepEqual([message.address, message.direct, message.sender], [`_inbox:${bob}`, true, alice]);
      await message.reply("heard");
      const answer = await answers.next();
      assert.deepEqual([textsOf([answer]), answer.address, answer.sender], [["heard"], `_inbox:${alice}`, bob]);
      assert.deepEqual([answer.causation, answer.correlationId], [receipt.position, message.id]);
      assert.equal(await raisedBriefly(sender.fetch(`_inbox:${bob}`)), "PERMISSION_DENIED INBOX_PRIVATE NEVER");
    },
  },
  {
    title: "S1-5.3, S3-US1: who joins reads the channel and is a member, until it leaves",
    async play(stage) {
      const [first, second] = [stage.channel(), stage.channel()];
      const [alice, bob] = [stage.name("alice"), stage.name("bob")];
      const bus = await stage.open();
      const [speaker, listener] = [bus.agent(alice), bus.agent(bob)];
      assert.equal((await raised(speaker.send("to nobody"))).kind, "Usage");
      await speaker.join(first);
      await listener.join(first);
      await stage.seen(async () => assert.deepEqual(await bus.members(first), [alice, bob]));
      const reading = await listener.listen();
      await speaker.send("the only channel that I joined");
      assert.deepEqual(textsOf(await reading.take(1)), ["the only channel that I joined"]);
      await listener.join(second);
      await speaker.send("joined later", { channel: second });
      assert.deepEqual(textsOf(await reading.take(1)), ["joined later"]);

      await listener.leave(first);
      await stage.seen(async () => assert.deepEqual(await bus.members(first), [alice]));
      await speaker.send("not for who left", { channel: first });
      await speaker.send("for members", { channel: second });
      assert.deepEqual(textsOf(await reading.take(1)), ["for members"]);
      await speaker.join(second);
      assert.equal((await raised(speaker.send("which one?"))).kind, "Usage");
    },
  },
  {
    title: "S1-5.2, S0-2.1.3d, S0-3.2.2: a room decides who reads, and its channel otherwise behind a known position",
    play: playRouting,
  },
  {
    title: "S0-2.1.3b, S0-2.1.3e: what is for some is read by those alone: live, by pattern, in history, by position",
    play: playPrivate,
  },
  {
    title: "S3-US1.1, S3-US1.2: a pattern brings what it matches, also channels that come later, and no inbox",
    async play(stage) {
      const room = stage.name("room");
      const bus = await stage.open();
      const [alice, bob] = [bus.agent("alice"), bus.agent(stage.name("bob"))];
      await bob.register();
      await stage.settled();
      const exact = await bob.listen({ channels: [`${room}:explore`] });
      const all = await bob.listen({ patterns: [`${room}:*`] });
      await alice.send("elsewhere", { channel: `${room}-2:explore` });
      await alice.send("direct", { to: bob.id });
      await alice.send("general", { channel: `${room}:general` });
      await alice.send("explore", { channel: `${room}:explore` });
      const read = await all.take(2);
      assert.deepEqual(read.map(({ address }) => address).sort(), [`${room}:explore`, `${room}:general`]);
      assert.deepEqual(textsOf(await exact.take(1)), ["explore"]);
    },
  },
  {
    title: "S3-E.4, S3-E.1: a refusal is an error with code, reason, advice and violations, and stores nothing",
    play: playRefusals,
  },
  {
    title: "S3-E.2: the same key is stored once; with other content it is a conflict",
    async play(stage) {
      const channel = stage.channel();
      const alice = (await stage.open()).agent("alice");
      const first = await alice.send("order 66", { channel, idempotencyKey: "k1" });
      const again = await alice.send("order 66", { channel, idempotencyKey: "k1" });
      assert.deepEqual([first.duplicate, again.duplicate], [false, true]);
      assert.equal(again.position, first.position);
      const other = alice.send("order 67", { channel, idempotencyKey: "k1" });
      assert.equal(await raisedBriefly(other), "ALREADY_EXISTS IDEMPOTENCY_CONFLICT NEVER");
      await alice.send("order 67", { channel, idempotencyKey: "k2" });
      assert.deepEqual(textsOf(await alice.history(channel)), ["order 66", "order 67"]);
    },
  },
];

async function playRouting(stage: Stage): Promise<void> {
  const bus = await stage.open();
  const room = stage.name("room");
  const channel = `${room}:talk`;
  const [alice, bob, carol] = ["alice", "bob", "carol"].map((name) => bus.agent(stage.name(name)));
  for (const agent of [bob!, carol!]) await agent.register();
  await bus.createRoom(room, {
    routing: { strategy: "subgroup", recipients: [bob!.id], allowSenderRecipients: false },
  });
  await stage.settled();
  const some = await alice!.send("for the subgroup", { channel });
  await stage.settled();
  assert.deepEqual(some.audience, { count: 1, agents: [bob!.id] });
  const own = alice!.send("mine", { channel, to: carol!.id });
  assert.equal(await raisedBriefly(own), "PERMISSION_DENIED RECIPIENTS_NOT_ALLOWED NEVER");
  const behind = await bus.updateChannel(channel, { routing: { strategy: "broadcast" } });
  assert.equal(behind, some.position);
  assert.equal((await alice!.send("for all", { channel })).audience, null);
  assert.deepEqual(textsOf(await carol!.history(channel)), ["for all"]);
  assert.deepEqual(textsOf(await bob!.history(channel)), ["for the subgroup", "for all"]);
}

async function playPrivate(stage: Stage): Promise<void> {
  const channel = stage.channel();
  const group = stage.name("staff");
  const bus = await stage.open();
  const alice = bus.agent("alice");
  const bob = await bus.agentWith(stage.name("bob"), { groups: [group] });
  const carol = bus.agent(stage.name("carol"));
  await bob.register({ groups: [group] });
  const bobReads = await bob.listen({ channels: [channel] });
  const carolReads = [
    await carol.listen({ channels: [channel] }),
    await carol.listen({ patterns: [channel.replace(/:.*/, ":*")], observe: true }),
  ];
  await stage.settled();
  const secret = await alice.send("for bob", { channel, to: bob.id });
  const inGroup = await alice.send("for the staff", { channel, to: { groups: [group] } });
  assert.deepEqual([secret.audience, inGroup.audience], Array(2).fill({ count: 1, agents: [bob.id] }));
  // Whoever joins the group later was not meant.
  await carol.register({ groups: [group] });
  await alice.send("for all", { channel });
  assert.deepEqual(textsOf(await bobReads.take(3)), ["for bob", "for the staff", "for all"]);
  for (const reading of carolReads) assert.deepEqual(textsOf(await reading.take(1)), ["for all"]);

  assert.deepEqual(textsOf(await carol.history(channel)), ["for all"]);
  assert.deepEqual(textsOf(await bob.history(channel)), ["for bob", "for the staff", "for all"]);
  assert.equal(await raisedBriefly(carol.getMessage(secret.position)), "NOT_FOUND MESSAGE_NOT_FOUND NEVER");
  assert.equal(await raisedBriefly(carol.getMessage({ channel, id: secret.id })), "NOT_FOUND MESSAGE_NOT_FOUND NEVER");
  assert.deepEqual(textsOf([await bob.getMessage({ channel, id: secret.id })]), ["for bob"]);
}

async function playRefusals(stage: Stage): Promise<void> {
  const channel = stage.channel();
  const bus = await stage.open();
  const alice = bus.agent("alice");
  const unknown = stage.name("nobody");
  const refusals: [Promise<unknown>, string][] = [
    [alice.send("x", { channel, to: unknown }), "NOT_FOUND UNKNOWN_RECIPIENT NEVER"],
    [alice.send("x", { channel, to: [] }), "INVALID_ARGUMENT EMPTY_RECIPIENTS NEVER"],
    [alice.send("x", { channel: "_secret:x" }), "PERMISSION_DENIED RESERVED_NAME NEVER"],
    [alice.send("x".repeat(1_100_000), { channel }), "INVALID_ARGUMENT MESSAGE_TOO_LARGE NEVER"],
    [alice.fetch(stage.channel()), "NOT_FOUND CHANNEL_NOT_FOUND NEVER"],
    [alice.send("x", { channel, priority: 10 }), "INVALID_ARGUMENT INVALID_FIELD NEVER"],
    [bus.getAgent(unknown), "NOT_FOUND AGENT_NOT_FOUND NEVER"],
    [bus.deleteChannel(stage.channel()), "NOT_FOUND CHANNEL_NOT_FOUND NEVER"],
  ];
  for (const [step, expected] of refusals) assert.equal(await raisedBriefly(step), expected);

  const wrong = await raised(alice.fetch(channel, { maxMessages: 5_000 }));
  assert.ok(wrong.kind === "BusError");
  assert.deepEqual([wrong.code, wrong.reason, wrong.retry], ["INVALID_ARGUMENT", "INVALID_FIELD", "NEVER"]);
  assert.deepEqual(wrong.violations, ["max_messages"]);
  // The same facts, whether a call failed or one item of a stream that goes on.
  const item = await raised(alice.send("x", { channel, priority: 10 }));
  assert.ok(item.kind === "BusError");
  assert.deepEqual([item.index, item.violations], [0, ["messages[0].priority"]]);
  assert.equal((await raised(alice.send("x", { channel: "no-colon" }))).kind, "Usage");

  await bus.createChannel(channel, { maxMembers: 1 });
  await stage.settled();
  await alice.join(channel);
  assert.equal(await raisedBriefly(bus.agent("bob").join(channel)), "RESOURCE_EXHAUSTED CHANNEL_FULL NEVER");
  await stage.seen(async () => assert.deepEqual(await bus.members(channel), ["alice"]));
  assert.deepEqual(await alice.history(channel), []);
  assert.equal((await alice.send("still fine")).duplicate, false);
}
