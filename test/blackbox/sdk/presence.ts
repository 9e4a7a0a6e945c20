import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { waitUntil } from "../../support/wait.ts";
import { raised, raisedBriefly, textsOf } from "./remote-sdk.ts";
import type { Scenario, Stage } from "./stage.ts";

/** Who agents are, what they may, and how their programs end. */
export const PRESENCE: readonly Scenario[] = [
  {
    title: "S3-FR-008, S3-K.2: a profile is known before the agent's first word, and changes in parts",
    async play(stage) {
      const bus = await stage.open();
      const channel = stage.channel();
      const skill = stage.name("explore");
      const id = stage.name("alice");
      const alice = await bus.agentWith(id, {
        ...{ kind: "ai_agent", screenName: "Alice", groups: ["staff"], labels: { team: "red" } },
        capabilities: [{ name: skill, description: "explores" }, "plain"],
      });
      await alice.send("first", { channel });
      await stage.seen(async () => {
        const known = await bus.getAgent(id);
        assert.deepEqual([known.kind, known.screenName, known.groups], ["AI_AGENT", "Alice", ["staff"]]);
        assert.deepEqual([known.labels, known.capabilities], [{ team: "red" }, [skill, "plain"]]);
      });
      const changed = await alice.update({ description: "busy" });
      assert.deepEqual([changed.description, changed.screenName], ["busy", "Alice"]);
      await stage.seen(async () => {
        const found = await bus.listAgents({ capabilities: [skill], labels: { team: "red" } });
        assert.deepEqual(
          found.map(({ agentId, description }) => [agentId, description]),
          [[id, "busy"]],
        );
      });
      assert.ok((await alice.heartbeat({ state: "away" })) >= 1_000);
      await stage.seen(async () => assert.equal((await bus.getAgent(id)).state, "AWAY"));
    },
  },
  {
    title: "S2-I.2, S3-US1.3: watching agents tells who is there, who comes, who goes",
    async play(stage) {
      const bus = await stage.open();
      const [known, fresh] = [stage.name("known"), stage.name("fresh")];
      await bus.agent(known).register({ screenName: "K" });
      await stage.settled();
      const watch = await bus.watchAgents({ agentIds: [known, fresh] });
      const current = await watch.next();
      assert.deepEqual([current.change, current.agent.agentId, current.agent.state], ["current", known, "OFFLINE"]);

      const other = await stage.open();
      await other.agent(fresh).register();
      const reading = await other.agent(fresh).listen();
      const told: string[] = [];
      let state = "OFFLINE";
      const until = async (wanted: string) => {
        while (told.at(-1) !== wanted) {
          const { change, agent } = await watch.next();
          assert.equal(agent.agentId, fresh);
          if (change !== "state") told.push(change);
          // A node that hears of an agent after it came tells both as one change.
          if (agent.state !== state) told.push(agent.state);
          state = agent.state;
        }
      };
      await until("ONLINE");
      await other.agent(fresh).update({ description: "working" });
      await until("updated");
      await reading.close();
      await other.agent(fresh).disconnect();
      await until("OFFLINE");
      assert.equal(told[0], "created");
      await watch.close();
    },
  },
  {
    title: "S1-6b: an API key is sent with everything; without one, or for another agent, the refusal is final",
    play: playKeys,
  },
  {
    title: "S3-E.2: closing waits for what was sent, and takes no more",
    async play(stage) {
      const channel = stage.channel();
      const bus = await stage.open({ closeTimeoutMs: 10_000 });
      const alice = bus.agent("alice");
      const texts = Array.from({ length: 100 }, (_, n) => String(n));
      const sending = texts.map((text) => alice.send(text, { channel }));
      const closing = bus.close();
      const receipts = await Promise.all(sending);
      await closing;
      assert.equal(new Set(receipts.map(({ position }) => position)).size, texts.length);
      await stage.settled();
      assert.deepEqual(textsOf(await (await stage.open()).agent("bob").history(channel)), texts);
      assert.equal((await raised(bus.ping())).kind, "ClosedError");
    },
  },
  {
    title: "S1-5.3: a send, a question, a fetch and a read that are cancelled end at once, and harm nothing else",
    play: playCancel,
  },
  {
    title:
      "S3-US3.1: a named subscription goes on where a killed program stopped: no message lost, only the one in hand again",
    play: playPositionsStore,
  },
];

async function playKeys(stage: Stage): Promise<void> {
  const file = join(await stage.folder(), "agentbus.json");
  const key = { name: "test", sha256: createHash("sha256").update("secret").digest("hex"), agents: ["alice"] };
  await writeFile(file, JSON.stringify({ auth: { apiKeys: [key] } }));
  const { urls } = await stage.startNodes({ args: ["--config", file] });
  const refused = "UNAUTHENTICATED UNAUTHENTICATED NEVER";
  for (const setup of [{}, { apiKey: "wrong" }]) {
    const bus = await stage.open({ urls, ...setup });
    const stranger = bus.agent("alice");
    assert.equal(await raisedBriefly(stranger.send("hi", { channel: "a:b" })), refused);
    assert.equal(await raisedBriefly(stranger.listen({ channels: ["a:b"] })), refused);
    assert.equal(await raisedBriefly(stranger.fetch("a:b")), refused);
    await bus.close();
  }
  const bus = await stage.open({ urls, apiKey: "secret" });
  const alice = bus.agent("alice");
  await alice.register();
  const reading = await alice.listen({ channels: ["a:b"], echo: true });
  await alice.send("hi", { channel: "a:b" });
  assert.deepEqual(textsOf(await reading.take(1)), ["hi"]);
  const notAllowed = "PERMISSION_DENIED AGENT_NOT_ALLOWED NEVER";
  assert.equal(await raisedBriefly(bus.agent("bob").send("hi", { channel: "a:b" })), notAllowed);
  assert.equal(await raisedBriefly(bus.agent("bob").listen({ channels: ["a:b"] })), notAllowed);
}

async function playCancel(stage: Stage): Promise<void> {
  const channel = stage.channel();
  const proxy = await stage.openProxy();
  const bus = await stage.open({ urls: [proxy.url] });
  const [alice, bob] = [bus.agent(stage.name("alice")), bus.agent(stage.name("bob"))];
  const questions = await bob.listen();
  await alice.send("before", { channel });
  const cancel = new AbortController();

  const asking = alice.ask("will you?", { to: bob.id }, cancel.signal);
  await questions.next();
  const reading = await alice.listen({ channels: [channel] });
  const turn = reading.event(cancel.signal);
  const head = await alice.fetch(channel);
  const waiting = alice.fetch(channel, { start: { position: head.position }, waitMs: 60_000 }, cancel.signal);
  // Nothing passes any more, so that this cannot have been answered.
  for (const link of proxy.links) link.stall("up");
  const sending = alice.send("given up", { channel }, cancel.signal);
  cancel.abort();
  for (const step of [asking, turn, waiting, sending]) assert.equal((await raised(step)).kind, "Cancelled");
  for (const link of proxy.links) link.resume();
  await alice.send("after", { channel });
  // Whether what was given up was stored is unknown; the order is not.
  const texts = textsOf(await alice.history(channel)).filter((text) => text !== "given up");
  assert.deepEqual(texts, ["before", "after"]);
}

async function playPositionsStore(stage: Stage): Promise<void> {
  const channel = stage.channel();
  const positionsFile = join(await stage.folder(), "positions.json");
  const alice = (await stage.open()).agent("alice");
  const bob = stage.name("bob");
  const options = { channels: [channel], name: "work", start: "earliest" as const, maxMessages: 1 };
  const texts = Array.from({ length: 30 }, (_, n) => String(n));
  await Promise.all(texts.map((text) => alice.send(text, { channel })));

  const read: string[] = [];
  for (const count of [7, 10, 15]) {
    const sdk = await stage.startSdk();
    const bus = await stage.open({ positionsFile }, sdk);
    const reading = await bus.agent(bob).listen(options);
    const part = await reading.take(count);
    // The message in hand is not read before the loop comes back; the one in front of it is, once that is saved.
    const before = part.at(-2)!.position;
    await waitUntil(async () => (await readFile(positionsFile, "utf8").catch(() => "")).includes(`"${before}"`), {
      what: `${before} to be saved`,
    });
    await sdk.kill();
    assert.equal(textsOf(part)[0], read.at(-1) ?? "0", "the message in hand comes again, and no other");
    read.splice(-1, 1, ...textsOf(part));
  }
  assert.deepEqual(read, texts);
}
