import assert from "node:assert/strict";
import { createClient } from "@connectrpc/connect";
import { afterAll, afterEach, beforeAll, describe, it } from "vitest";
import { Durability } from "../../../gen/agentbus/v1/room_pb.ts";
import { Health, HealthCheckResponse_ServingStatus as Serving } from "../../../gen/grpc/health/v1/health_pb.ts";
import { BusNodes } from "../../support/bus-nodes.ts";
import { failed, failureOf } from "../../support/failure.ts";
import type { OwnServer, StartServer } from "../../support/server-process.ts";
import { onServer } from "../../support/test-storage.ts";
import { waitUntil, within } from "../../support/wait.ts";
import { openClients, openTransport, type WireClients } from "../../support/wire-clients.ts";
import { unique } from "../shared-bus.ts";
import { follow } from "./follow.ts";

/** Short enough for tests; a node of its own accord waits 5 s. */
const ARGS = ["--set", "agents.lease=3s"];
const BACK_MS = 60_000;

interface HealthAnswer {
  readonly status: string;
  readonly problems: readonly string[];
}

/** What users see of nodes whose backend is away. */
export function describeOutages(name: "redis" | "postgres" | "mysql", startServer: StartServer): void {
  describe(`nodes whose ${name} goes away`, () => {
    let server: OwnServer;
    beforeAll(async () => {
      server = await startServer();
    });
    afterAll(() => server?.discard());
    const endings: (() => unknown)[] = [];
    afterEach(async () => {
      await server.start(); // what a test that failed left behind
      for (const end of endings.splice(0).reverse()) await end();
    });

    async function start(count: number): Promise<BusNodes> {
      const nodes = await BusNodes.start({ storage: onServer(name, server.url, "synced"), count, args: ARGS });
      endings.push(() => nodes.end());
      return nodes;
    }
    function open(url: string): WireClients {
      const clients = openClients(url);
      endings.push(() => clients.close());
      return clients;
    }
    const publish = (to: WireClients, room: string, text: string, channel = "talk") =>
      to.bus.publish({
        ...{ agentId: "alice", room, channel },
        messages: [{ id: text, payload: { case: "text", value: text } }],
      });
    /** Until it is stored, as a client does: what fails may be tried again under the same key. */
    const publishUntilStored = (to: WireClients, room: string, text: string) =>
      waitUntil(
        () =>
          publish(to, room, text).then(
            () => true,
            (error: unknown) => {
              assert.equal(failureOf(error).code, "UNAVAILABLE");
              return false;
            },
          ),
        { timeoutMs: BACK_MS },
      );

    it("a node that starts while it is away says NOT_SERVING, and serves when it comes", async () => {
      const nodes = await start(1);
      const { url, port } = nodes.all[0]!;
      await publish(open(url), "lab", "before");
      await nodes.kill(0);
      await server.end();
      const node = await nodes.start(0, { serving: false });
      assert.equal(node.port, port);
      const { transport, close } = openTransport(url);
      endings.push(close);
      const health = createClient(Health, transport);
      assert.equal((await health.check({})).status, Serving.NOT_SERVING);
      const [alive, ready] = await Promise.all([fetch(`${url}/health`), fetch(`${url}/ready`)]);
      assert.deepEqual([alive.status, ready.status], [200, 503]);
      const { status, problems } = (await alive.json()) as HealthAnswer;
      assert.equal(status, "degraded");
      assert.ok(problems.length > 0 && problems.every((problem) => problem !== ""));
      const clients = open(url);
      const refused = await failed(publish(clients, "lab", "too-early"));
      assert.deepEqual([refused.code, refused.reason], ["UNAVAILABLE", "STORAGE_UNAVAILABLE"]);

      await server.start();
      await waitUntil(async () => (await health.check({})).status === Serving.SERVING, { timeoutMs: BACK_MS });
      assert.equal((await fetch(`${url}/ready`)).status, 200);
      await publish(clients, "lab", "in-time");
      const { messages } = await clients.bus.fetch({ agentId: "bob", room: "lab", channel: "talk" });
      assert.deepEqual(
        messages.map(({ id }) => id),
        ["before", "in-time"],
      );
    });

    it.each([
      ["a restart", undefined],
      ["kill -9", "SIGKILL"],
    ] as const)(
      "%s under connected readers: they stay connected and miss nothing, and nobody is restarted",
      async (_, signal) => {
        const nodes = await start(2);
        const [one, two] = nodes.urls.map(open) as [WireClients, WireClients];
        const room = unique("room");
        await publish(one, room, "m-0");
        const channels = [`${room}:talk`];
        const readers = [one, two].map((client, n) =>
          follow(client, { agentId: `bob-${n}`, channels, start: { case: "earliest", value: true } }),
        );
        for (const reader of readers) await reader.count(1);
        await one.rooms.createChannel({
          channel: { room, channel: "gone", config: { durability: Durability.VOLATILE } },
        });
        const fleeting = follow(one, { agentId: "carol", channels: [`${room}:gone`] });
        await fleeting.opened();

        await server.end(signal);
        const refused = await failed(within(publish(one, room, "lost"), { timeoutMs: BACK_MS, what: "the refusal" }));
        assert.equal(refused.code, "UNAVAILABLE");
        const said = ["a", "b", "c"];
        if (name !== "mysql") for (const text of said) await publish(one, room, text, "gone"); // there it is stored
        if (name !== "mysql") await fleeting.count(said.length);
        await waitUntil(
          async () => ((await (await fetch(`${nodes.urls[0]}/health`)).json()) as HealthAnswer).problems.length > 0,
          { what: "the node to tell its problem" },
        );
        await server.start();

        for (const [n, client] of [one, two, one, two].entries()) await publishUntilStored(client, room, `m-${n + 1}`);
        for (const reader of readers) {
          await waitUntil(() => reader.texts.at(-1) === "m-4", {
            timeoutMs: BACK_MS,
            what: () => `m-4; it read ${reader.texts} (${reader.over ?? "still open"})`,
          });
          assert.equal(reader.over, undefined);
          // What was refused may have been stored: its outcome was unknown. Nothing else may be there, nor twice.
          assert.deepEqual(
            reader.texts.filter((text) => text !== "lost"),
            ["m-0", "m-1", "m-2", "m-3", "m-4"],
          );
          assert.ok(reader.texts.filter((text) => text === "lost").length <= 1);
          assert.ok(reader.responses.every(({ gaps }) => gaps.length === 0));
        }
        for (const url of nodes.urls) {
          await waitUntil(async () => (await fetch(`${url}/ready`)).status === 200, {
            timeoutMs: BACK_MS,
            what: "ready",
          });
        }
      },
    );

    it("one that hangs fails publishes in time, and goes on when it answers again", async () => {
      const nodes = await start(2);
      const [one, two] = nodes.urls.map(open) as [WireClients, WireClients];
      const room = unique("room");
      const reader = follow(two, {
        agentId: "bob",
        channels: [`${room}:talk`],
        start: { case: "earliest", value: true },
      });
      await publish(one, room, "m-0");
      await reader.count(1);
      server.freeze();
      try {
        const refused = await failed(within(publish(one, room, "lost"), { timeoutMs: BACK_MS, what: "the refusal" }));
        assert.equal(refused.code, "UNAVAILABLE");
      } finally {
        server.thaw();
      }
      await publishUntilStored(two, room, "m-1");
      await publishUntilStored(one, room, "m-2");
      await waitUntil(() => reader.texts.at(-1) === "m-2", {
        timeoutMs: BACK_MS,
        what: () => `m-2 after ${reader.texts}`,
      });
      assert.deepEqual(
        reader.texts.filter((text) => text !== "lost"),
        ["m-0", "m-1", "m-2"],
      );
      assert.equal(reader.over, undefined);
    });
  });
}
