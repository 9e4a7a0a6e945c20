import assert from "node:assert/strict";
import { afterAll, afterEach, beforeAll, describe, it } from "vitest";
import { AgentState } from "../../../gen/agentbus/v1/agent_pb.ts";
import { Durability } from "../../../gen/agentbus/v1/room_pb.ts";
import { BusNodes } from "../../support/bus-nodes.ts";
import { failed } from "../../support/failure.ts";
import type { TestStorage } from "../../support/test-storage.ts";
import { waitUntil } from "../../support/wait.ts";
import { openClients, type WireClients } from "../../support/wire-clients.ts";
import { unique } from "../shared-bus.ts";
import { follow } from "./follow.ts";

const ARGS = ["--set", "agents.lease=3s"];
/** Several leases, on a machine that has other things to do. */
const GONE_MS = 60_000;

/** What three equal nodes on one storage are together: one bus. */
export function describeNodes(storage: TestStorage): void {
  describe(`three nodes on ${storage.name}`, () => {
    let nodes: BusNodes;
    const clients: WireClients[] = [];
    beforeAll(async () => {
      nodes = await BusNodes.start({ storage, count: 3, args: ARGS });
    });
    afterAll(() => nodes?.end());
    afterEach(() => {
      for (const each of clients.splice(0)) each.close();
    });

    function open(): [WireClients, WireClients, WireClients] {
      const opened = nodes.urls.map((url) => openClients(url));
      clients.push(...opened);
      return opened as [WireClients, WireClients, WireClients];
    }
    const texts = (count: number) => Array.from({ length: count }, (_, n) => `text ${n}`);
    const publish = (to: WireClients, room: string, text: string) =>
      to.bus.publish({
        ...{ agentId: "alice", room, channel: "talk" },
        messages: [{ payload: { case: "text", value: text } }],
      });

    it("S3-FR-004, S3-SC-003: published on one, read on another, resumed on a third, exactly", async () => {
      const [one, two, three] = open();
      const room = unique("room");
      const said = texts(60);
      for (const text of said.slice(0, 20)) await publish(one, room, text);
      const channels = [`${room}:talk`];
      const reading = follow(two, { agentId: "bob", channels, start: { case: "earliest", value: true } });
      await reading.count(20);
      await Promise.all(said.slice(20, 40).map((text) => publish(one, room, text)));
      await reading.count(40);
      const [positions, messages] = [[...reading.positions], reading.messages];
      reading.stop();
      await Promise.all(said.slice(40).map((text, n) => publish(n % 2 === 0 ? two : one, room, text)));
      const resumed = follow(three, { agentId: "bob", channels, start: { case: "resume", value: { positions } } });
      await resumed.count(20);
      const all = [...messages, ...resumed.messages];
      assert.deepEqual(
        all.map(({ sequence }) => Number(sequence)),
        said.map((_, n) => n + 1),
      );
      assert.deepEqual([...reading.texts, ...resumed.texts].toSorted(), said.toSorted());
      assert.ok([...reading.responses, ...resumed.responses].every(({ gaps }) => gaps.length === 0));
      for (const client of [one, two, three]) {
        const page = await client.bus.fetch({ agentId: "bob", room, channel: "talk", maxMessages: 100 });
        assert.deepEqual(
          page.messages.map(({ id }) => id),
          all.map(({ id }) => id),
        );
      }
    });

    it("S3-E.2: the same key is a duplicate on every node", async () => {
      const room = unique("room");
      const message = { idempotencyKey: "order-66", payload: { case: "text" as const, value: "once" } };
      const say = (to: WireClients, value = "once") =>
        to.bus.publish({
          ...{ agentId: "alice", room, channel: "talk" },
          messages: [{ ...message, payload: { case: "text", value } }],
        });
      const all = open();
      const results = (await Promise.all([...all, ...all].map((client) => say(client)))).map(({ results: [r] }) => r!);
      assert.equal(new Set(results.map(({ position }) => position)).size, 1);
      assert.equal(results.filter(({ duplicate }) => !duplicate).length, 1);
      assert.equal((await failed(say(all[2], "twice"))).reason, "IDEMPOTENCY_CONFLICT");
    });

    it("rooms, channels, members, agents and groups that one is told of are seen on all", async () => {
      const [one, two, three] = open();
      const room = unique("room");
      const [bob, carol] = [unique("bob"), unique("carol")];
      await one.rooms.createChannel({ channel: { room, channel: "talk", description: "first" }, createRoom: true });
      await two.agents.registerAgent({ agent: { agentId: bob, groups: ["staff"] } });
      await three.rooms.joinChannel({ agentId: carol, room, channel: "talk" });
      for (const client of [one, two, three]) {
        await waitUntil(async () => {
          const [{ channels }, { members }, agent] = await Promise.all([
            client.rooms.listChannels({ room }),
            client.rooms.listMembers({ room, channel: "talk" }),
            client.agents.getAgent({ agentId: bob }).catch(() => undefined),
          ]);
          return (
            channels[0]?.description === "first" &&
            members.some(({ agentId }) => agentId === carol) &&
            agent?.agent?.groups[0] === "staff"
          );
        });
      }
      // A group is known where it is published: who is in it there is the audience.
      const { results } = await three.bus.publish({
        ...{ agentId: "alice", room, channel: "talk" },
        messages: [{ to: { groups: ["staff"] }, payload: { case: "text", value: "staff" } }],
      });
      assert.ok(results[0]!.audience!.agents.includes(bob));
      await two.rooms.deleteChannel({ room, channel: "talk" });
      for (const client of [one, two, three]) {
        await waitUntil(async () => (await client.rooms.listChannels({ room })).channels.length === 0);
      }
    });

    it("S0-3.2.2: a routing change takes effect behind an exact position on all nodes", async () => {
      const [one, two, three] = open();
      const room = unique("room");
      const bob = unique("bob");
      await one.agents.registerAgent({ agent: { agentId: bob } });
      await one.rooms.createChannel({ channel: { room, channel: "talk" }, createRoom: true });
      await waitUntil(async () => (await two.agents.getAgent({ agentId: bob }).catch(() => undefined)) !== undefined);
      let isOver = false;
      const writing = Promise.all(
        [one, three].map(async (client) => {
          for (let n = 0; !isOver; n++) await publish(client, room, String(n));
        }),
      );
      const reader = follow(two, {
        ...{ agentId: bob, channels: [`${room}:talk`], observe: true },
        start: { case: "earliest", value: true },
      });
      await reader.count(30);
      const { effectivePosition } = await two.rooms.updateChannel({
        channel: { room, channel: "talk", config: { routing: { strategy: 2, recipients: { agents: [bob] } } } },
        updateMask: { paths: ["config.routing"] },
      });
      await reader.count(reader.messages.length + 30);
      isOver = true;
      await writing;
      const boundary = Number(effectivePosition.slice(effectivePosition.lastIndexOf(".") + 1));
      const seen: number[] = [];
      for (let position = "", caughtUp = false; !caughtUp; ) {
        const start = position === "" ? {} : { start: { case: "position" as const, value: position } };
        const page = await one.bus.fetch({
          agentId: unique("eve"),
          room,
          channel: "talk",
          maxMessages: 1_000,
          ...start,
        });
        seen.push(...page.messages.map(({ sequence }) => Number(sequence)));
        ({ position, caughtUp } = page);
      }
      assert.deepEqual(
        seen,
        Array.from({ length: boundary }, (_, n) => n + 1),
        "what is open to all ends at the boundary",
      );
    });

    it("a channel that keeps nothing reaches readers on every node, in order", async () => {
      const [one, two, three] = open();
      const room = unique("room");
      await one.rooms.createChannel({
        channel: { room, channel: "talk", config: { durability: Durability.VOLATILE } },
        createRoom: true,
      });
      const readers = [one, two, three].map((client) => {
        return follow(client, { agentId: unique("reader"), channels: [`${room}:talk`] });
      });
      for (const reader of readers) await reader.opened();
      // At most once: only what is said when everybody is heard counts.
      let n = 0;
      await waitUntil(async () => {
        await publish(two, room, `hello ${++n}`);
        return readers.every((reader) => reader.messages.length > 0);
      });
      for (const text of texts(30)) await publish(two, room, text);
      for (const reader of readers) {
        await waitUntil(() => reader.texts.at(-1) === "text 29", { what: () => reader.texts.slice(-5).join() });
        assert.deepEqual(reader.texts.slice(-30), texts(30));
      }
    });

    it("S2-I.2: who is there is known on all nodes; with a killed node its agents go, and only they", async () => {
      const [one, two] = open();
      const extra = await nodes.start();
      const away = openClients(extra.url);
      clients.push(away);
      const [bob, carol, dave] = [unique("bob"), unique("carol"), unique("dave")];
      const dies = [bob, dave].map((agentId) => follow(away, { agentId, channels: ["lab:notes"] }));
      const stays = follow(two, { agentId: carol, channels: ["lab:notes"] });
      // Dave is on two nodes: the death of one does not take him away.
      const second = follow(two, { agentId: dave, channels: ["lab:notes"] });
      for (const stream of [...dies, stays, second]) await stream.opened();
      const stateOf = async (client: WireClients, agentId: string) =>
        (await client.agents.getAgent({ agentId }).catch(() => undefined))?.agent?.state;
      for (const client of [one, two, away]) {
        for (const agentId of [bob, carol, dave]) {
          await waitUntil(async () => (await stateOf(client, agentId)) === AgentState.ONLINE, {
            what: `${agentId} to be online`,
          });
        }
      }
      await extra.kill();
      for (const client of [one, two]) {
        await waitUntil(async () => (await stateOf(client, bob)) === AgentState.OFFLINE, {
          timeoutMs: GONE_MS,
          what: "the killed node's agent to go offline",
        });
        // Who is there by a node that lives stays, or is back soon: a node that the machine held up for longer than its
        // lease counts as dead until it says otherwise.
        for (const agentId of [carol, dave]) {
          await waitUntil(async () => (await stateOf(client, agentId)) === AgentState.ONLINE, {
            what: `${agentId} to be online still`,
          });
        }
      }
    });

    it("S1-5.3: what is said once a join was answered comes to who joined, wherever it reads", async () => {
      const [one, two, three] = open();
      const bob = unique("bob");
      await three.agents.registerAgent({ agent: { agentId: bob } });
      const readers = [two, three].map((client) => follow(client, { agentId: bob }));
      for (const reader of readers) await reader.opened();
      const said: string[] = [];
      for (let n = 0; n < 10; n++) {
        const room = unique("room");
        await publish(one, room, "before");
        await waitUntil(() => three.rooms.getChannel({ room, channel: "talk" }).catch(() => undefined));
        await three.rooms.joinChannel({ agentId: bob, room, channel: "talk" });
        said.push(`behind ${n}`);
        await publish(one, room, `behind ${n}`);
      }
      for (const reader of readers) {
        await waitUntil(() => said.every((text) => reader.texts.includes(text)), {
          what: () => `${said.filter((text) => !reader.texts.includes(text))} of ${said}`,
        });
      }
    });

    it("who is disconnected on one node ends on all", async () => {
      const [one, two, three] = open();
      const bob = unique("bob");
      const streams = [one, two].map((client) => follow(client, { agentId: bob, channels: ["lab:notes"] }));
      for (const stream of streams) await stream.opened();
      await waitUntil(() => three.agents.getAgent({ agentId: bob }).catch(() => undefined), {
        what: "bob to be known",
      });
      await three.agents.disconnectAgent({ agentId: bob });
      for (const stream of streams) {
        await waitUntil(() => stream.over, { what: "the stream to end" });
        assert.match(stream.over!, /ended/);
        assert.notEqual(stream.responses.at(-1)!.end, undefined);
      }
    });

    it("the status of any node names all, and forgets one that was killed", async () => {
      const [one, two, three] = open();
      const extra = await nodes.start();
      const ids = async (client: WireClients) => (await client.admin.getStatus({})).nodes.map(({ nodeId }) => nodeId);
      const last = `node-${nodes.all.length - 1}`;
      for (const [n, client] of [one, two, three].entries()) {
        let known: readonly string[] = [];
        await waitUntil(
          async () => {
            known = await ids(client);
            return ["node-0", "node-1", "node-2", last].every((id) => known.includes(id));
          },
          { what: () => `all in the status of node ${n}; it names ${known}` },
        );
        assert.equal(known[0], `node-${n}`);
      }
      await extra.kill();
      for (const client of [one, two, three]) {
        await waitUntil(async () => !(await ids(client)).includes(last), {
          timeoutMs: GONE_MS,
          what: `${last} gone`,
        });
      }
    });
  });
}
