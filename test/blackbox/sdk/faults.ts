import assert from "node:assert/strict";
import { FILE } from "../../support/test-storage.ts";
import { waitUntil } from "../../support/wait.ts";
import { raisedBriefly, textsOf } from "./remote-sdk.ts";
import type { Scenario, Stage } from "./stage.ts";

const COUNT = 60;
const TEXTS = Array.from({ length: COUNT }, (_, n) => String(n));

/** What an SDK makes of a broken line, and of a server that dies or leaves. */
export const FAULTS: readonly Scenario[] = [
  {
    title: "S3-SC-003: a subscription that is cut, by a reset or a silent end, goes on without gap or double",
    async play(stage) {
      const channel = stage.channel();
      const proxy = await stage.openProxy();
      const alice = (await stage.open()).agent("alice");
      const bob = (await stage.open({ urls: [proxy.url] })).agent("bob");
      const reading = await bob.listen({ channels: [channel], events: true });
      const read: string[] = [];
      const others = new Set<string>();
      for (let n = 0; n < COUNT; n++) {
        await alice.send(TEXTS[n]!, { channel });
        if (n % 20 === 5) proxy.cutAll();
        if (n % 20 === 15) for (const link of proxy.links) link.finish();
        // Reading on opens the stream again, so that the next cut meets one.
        while (n % 10 === 9 && read.length <= n) {
          const event = await reading.event();
          if (event.type === "message") read.push(...textsOf([event.message]));
          else others.add(event.type);
        }
      }
      assert.deepEqual(read, TEXTS);
      assert.ok(others.has("cut") && others.has("opened") && !others.has("gap"), [...others].join());
      assert.ok(proxy.accepted > 6, `${proxy.accepted} connections`);
    },
  },
  {
    title: "S3-E.2: what is sent while answers are lost is stored once and in order",
    async play(stage) {
      const channel = stage.channel();
      const proxy = await stage.openProxy();
      const alice = (await stage.open({ urls: [proxy.url] })).agent("alice");
      const observer = (await stage.open()).agent("observer");
      await alice.send("first", { channel });
      const sending: Promise<{ readonly position: string }>[] = [];
      for (const [n, text] of TEXTS.entries()) {
        // The server takes it; its answer gets lost with the connection.
        if (n % 15 === 0) {
          await alice.flush();
          for (const link of proxy.links) link.stall("down");
        }
        sending.push(alice.send(text, { channel }));
        if (n % 15 !== 5) continue;
        await stage.settled();
        await waitUntil(async () => textsOf(await observer.history(channel)).includes(TEXTS[n - 5]!), {
          what: `message ${n - 5} to be stored`,
        });
        proxy.cutAll();
        await sending.at(-1);
      }
      const receipts = await Promise.all(sending);
      await stage.settled();
      const log = await observer.history(channel);
      assert.deepEqual(textsOf(log), ["first", ...TEXTS]);
      assert.deepEqual(
        receipts.map(({ position }) => position),
        log.slice(1).map(({ position }) => position),
      );
    },
  },
  {
    title:
      "S3-E.2: what is sent while the bus is away is stored in order when it is back; given up, it fails as unknown",
    async play(stage) {
      const channel = stage.channel();
      const proxy = await stage.openProxy();
      const bus = await stage.open({ urls: [proxy.url] });
      const alice = bus.agent("alice");
      await alice.send("before", { channel });
      proxy.refuse(true);
      proxy.cutAll();
      const sending = TEXTS.map((text) => alice.send(text, { channel }));
      const hopeless = bus.agent("carol").send("given up", { channel, timeoutMs: 300 });
      assert.equal(await raisedBriefly(hopeless), "DEADLINE_EXCEEDED DEADLINE SAME");
      proxy.refuse(false);
      await Promise.all(sending);
      await alice.flush();
      await stage.settled();
      const log = await (await stage.open()).agent("observer").history(channel);
      assert.deepEqual(textsOf(log.filter(({ sender }) => sender === "alice")), ["before", ...TEXTS]);
    },
  },
  {
    title: "S3-E.2, S3-SC-008: agents whose link swallows what they say go on at the next address",
    play: (stage) => playSilence(stage, "both"),
  },
  {
    title: "S3-E.2, S3-SC-008: so do agents who are still heard and hear nothing",
    play: (stage) => playSilence(stage, "down"),
  },
  {
    title: "S0-2.1.4b, S3-SC-003: a server killed with -9 and started again has what it acknowledged; agents go on",
    play: playKill,
  },
  {
    title: "S2-I.2: an agent leaves a draining server for the next address, with its streams and its sends",
    play: playDrain,
  },
  {
    title: "S3-SC-003, S3-SC-008: agents of a node that is killed with -9 go on on another, and miss nothing",
    needs: "shared storage",
    play: playNodeDeath,
  },
];

/** As behind a frozen node or a host that is gone: no FIN and no reset. */
async function playSilence(stage: Stage, blackHole: "both" | "down"): Promise<void> {
  const channel = stage.channel();
  const proxy = await stage.openProxy();
  const [direct] = stage.urls as [string];
  // One client for each way of speaking, so that none learns of the silence from another. What they may take is far below
  // the defaults by which a client gives a message or a call up.
  const open = () =>
    stage.open({
      urls: [proxy.url, direct],
      pingIntervalMs: 100,
      pingTimeoutMs: 200,
      attemptTimeoutMs: 500,
      callTimeoutMs: 10_000,
      sendTimeoutMs: 10_000,
    });
  const [sends, reads, calls] = [await open(), await open(), await open()];
  const alice = sends.agent("alice");
  await alice.send("before", { channel });
  // Where there are no PINGs, heartbeats that stay away tell.
  const reading = await reads
    .agent("bob")
    .listen({ channels: [channel], start: "earliest", heartbeatIntervalMs: 1_000 });
  assert.deepEqual(textsOf(await reading.take(1)), ["before"]);
  await calls.ping();

  proxy.impair({ blackHole });
  const sending = TEXTS.map((text) => alice.send(text, { channel }));
  await calls.createChannel(stage.channel());
  await Promise.all(sending);
  assert.deepEqual(textsOf(await reading.take(COUNT)), TEXTS);
  for (const bus of [sends, reads, calls]) assert.equal(await bus.url(), direct);
  assert.deepEqual(textsOf(await alice.history(channel)), ["before", ...TEXTS]);
}

async function playKill(stage: Stage): Promise<void> {
  const channel = stage.channel();
  // What is kept in memory does not outlive its node.
  const storage = stage.storage.name === "memory" ? FILE : stage.storage;
  const nodes = await stage.startNodes({ storage });
  const bus = await stage.open({ urls: nodes.urls });
  const [alice, bob] = [bus.agent("alice"), bus.agent("bob")];
  await alice.join(channel);
  const reading = await bob.listen({ channels: [channel], start: "earliest", events: true });
  const acked = await Promise.all(TEXTS.slice(0, 20).map((text) => alice.send(text)));
  assert.ok(acked.every(({ durability }) => durability === storage.durability));
  assert.deepEqual(textsOf(await reading.take(10)), TEXTS.slice(0, 10));
  const underWay = TEXTS.slice(20, 40).map((text) => alice.send(text));
  await nodes.all[0]!.kill();
  const late = TEXTS.slice(40).map((text) => alice.send(text));
  await nodes.start(0);
  await Promise.all([...underWay, ...late]);

  const read: string[] = [];
  while (read.length < COUNT - 10) {
    const event = await reading.event();
    assert.notEqual(event.type, "gap");
    if (event.type === "message") read.push(...textsOf([event.message]));
  }
  assert.deepEqual(read, TEXTS.slice(10));
  const log = await alice.history(channel);
  assert.deepEqual(textsOf(log), TEXTS);
  assert.deepEqual(
    acked.map(({ position }) => position),
    log.slice(0, 20).map(({ position }) => position),
  );
  assert.deepEqual(await bus.members(channel), ["alice"]);
  await bus.close();
}

async function playDrain(stage: Stage): Promise<void> {
  const channel = stage.channel();
  // Two buses that know nothing of each other, where a storage belongs to one process.
  const one = await stage.startNodes({ count: stage.storage.shared ? 2 : 1 });
  const leaving = one.all[0]!;
  const staying = one.all[1] ?? (await stage.startNodes()).all[0]!;
  const bus = await stage.open({ urls: [leaving.url, staying.url] });
  const [alice, bob] = [bus.agent("alice"), bus.agent("bob")];
  const reading = await bob.listen({ channels: [channel] });
  await alice.send("here", { channel });
  assert.deepEqual(textsOf(await reading.take(1)), ["here"]);
  assert.equal(await bus.url(), leaving.url);

  const gone = leaving.stop();
  // The loop has to come back for the word that the server leaves.
  const next = reading.next();
  await waitUntil(async () => (await bus.url()) === staying.url, { what: "the client to go to the next address" });
  await alice.send("there", { channel });
  assert.equal(textsOf([await next]).join(), "there");
  assert.deepEqual(await gone, { code: 0, signal: null });
}

async function playNodeDeath(stage: Stage): Promise<void> {
  const channel = stage.channel();
  const nodes = await stage.startNodes({ count: 2 });
  const [dies, stays] = nodes.urls as [string, string];
  const bus = await stage.open({ urls: [dies, stays] });
  const elsewhere = (await stage.open({ urls: [stays] })).agent("carol");
  const [alice, bob] = [bus.agent("alice"), bus.agent("bob")];
  const readings = [await bob.listen({ channels: [channel] }), await elsewhere.listen({ channels: [channel] })];
  const before = TEXTS.slice(0, 20).map((text) => alice.send(text, { channel }));
  for (const reading of readings) assert.deepEqual(textsOf(await reading.take(5)), TEXTS.slice(0, 5));
  const underWay = TEXTS.slice(20, 40).map((text) => alice.send(text, { channel }));
  await nodes.kill(0);
  const late = TEXTS.slice(40).map((text) => alice.send(text, { channel }));
  const receipts = await Promise.all([...before, ...underWay, ...late]);
  for (const reading of readings) assert.deepEqual(textsOf(await reading.take(COUNT - 5)), TEXTS.slice(5));
  assert.equal(await bus.url(), stays);
  const log = await alice.history(channel);
  assert.deepEqual(textsOf(log), TEXTS);
  assert.deepEqual(
    receipts.map(({ position }) => position),
    log.map(({ position }) => position),
  );
}
