import assert from "node:assert/strict";
import { createClient } from "@connectrpc/connect";
import { describe, it, onTestFinished } from "vitest";
import { Health, HealthCheckResponse_ServingStatus as Serving } from "../../gen/grpc/health/v1/health_pb.ts";
import { startBus } from "../support/bus-process.ts";
import { failed, failureOf } from "../support/failure.ts";
import { waitUntil, within } from "../support/wait.ts";
import { openClients, openTransport, type WireOptions } from "../support/wire-clients.ts";

async function start(...args: readonly string[]) {
  const bus = await startBus({ args });
  onTestFinished(async () => {
    await bus.kill();
  });
  return bus;
}

/** Reads a stream to its end; what came is there while it is read. */
function follow<T>(stream: AsyncIterable<T>) {
  const responses: T[] = [];
  const ended = (async () => {
    for await (const response of stream) responses.push(response);
  })();
  ended.catch(() => {});
  return { responses, ended };
}

const WIRES: readonly (readonly [string, WireOptions])[] = [
  ["gRPC", { protocol: "grpc" }],
  ["gRPC-Web", { protocol: "grpc-web" }],
  ["Connect", { protocol: "connect" }],
  ["Connect JSON", { protocol: "connect", binary: false }],
  ["Connect over HTTP/1.1", { protocol: "connect", httpVersion: "1.1" }],
];

describe("S2-I.2: a server that is told to leave", () => {
  it("says so to every stream and to health, lets them finish, ends them with DRAINING, and exits with 0", async () => {
    const bus = await start("--set", "server.drain=3s");
    const clients = WIRES.map(([, wire]) => openClients(bus.url, wire));
    const streams = clients.map(({ bus: service }, i) =>
      follow(service.subscribe({ agentId: `reader-${i}`, channels: ["lab:notes"] })),
    );
    using publisher = openClients(bus.url);
    const watch = follow(publisher.agents.watchAgents({ skipCurrent: true }));
    async function* hello() {
      yield { requestId: 1, request: { case: "hello" as const, value: { agentId: "liner" } } };
      await new Promise(() => {}); // keeps the line open
    }
    const line = follow(publisher.bus.connect(hello()));
    const { transport, close } = openTransport(bus.url);
    const health = follow(createClient(Health, transport).watch({ service: "" }));
    for (const { responses } of [...streams, watch, line, health]) await waitUntil(() => responses.length > 0);
    assert.equal(health.responses[0]!.status, Serving.SERVING);

    const exited = bus.stop();
    for (const { responses } of streams) await waitUntil(() => responses.some(({ goAway }) => goAway !== undefined));
    await waitUntil(() => line.responses.some(({ response }) => response.case === "goAway"));
    await waitUntil(() => health.responses.at(-1)!.status === Serving.NOT_SERVING);
    // What is on its way is still taken.
    const { results } = await publisher.bus.publish({ agentId: "last", room: "lab", channel: "notes", messages: [{}] });
    assert.equal(results.length, 1);
    for (const { responses } of streams) await waitUntil(() => responses.some(({ messages }) => messages.length === 1));
    const late = follow(publisher.bus.subscribe({ agentId: "late", channels: ["lab:notes"] }));
    assert.equal((await failed(within(late.ended))).reason, "DRAINING");

    for (const { ended } of [...streams, watch, line]) {
      const failure = await failed(within(ended, { what: "a stream to end" }));
      assert.equal(`${failure.code} ${failure.reason}`, "UNAVAILABLE DRAINING");
      assert.equal(failure.metadata["retry"], "RECONNECT");
    }
    for (const { responses } of streams) {
      assert.ok(
        responses.every(({ end }) => end === undefined),
        "no End: a client must reconnect",
      );
    }
    assert.deepEqual(await exited, { code: 0, signal: null });
    await assert.rejects(fetch(`${bus.url}/health`));
    for (const { close: closeClients } of clients) closeClients();
    close();
  });

  it("leaves at once when nobody is there, however long the grace", async () => {
    const bus = await start("--set", "server.drain=10m");
    assert.deepEqual(await bus.stop(), { code: 0, signal: null });
  });

  it("leaves when AdminService.Drain says so", async () => {
    const bus = await start();
    using clients = openClients(bus.url);
    const reader = follow(clients.bus.subscribe({ agentId: "bob", channels: ["lab:notes"] }));
    await waitUntil(() => reader.responses.length > 0);
    await clients.admin.drain({ graceDuration: { nanos: 1 } });
    await assert.rejects(within(reader.ended), (error) => failureOf(error).reason === "DRAINING");
    assert.deepEqual(await within(bus.exited), { code: 0, signal: null });
  });

  it("leaves at once when it is told twice", async () => {
    const bus = await start("--set", "server.drain=10m");
    using clients = openClients(bus.url);
    const reader = follow(clients.bus.subscribe({ agentId: "bob", channels: ["lab:notes"] }));
    await waitUntil(() => reader.responses.length > 0);
    const exited = bus.stop();
    await waitUntil(() => reader.responses.some(({ goAway }) => goAway !== undefined));
    process.kill(bus.pid, "SIGTERM");
    assert.equal((await exited).code, 1);
  });
});
