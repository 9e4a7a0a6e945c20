import assert from "node:assert/strict";
import { once } from "node:events";
import type { ServerHttp2Stream } from "node:http2";
import { describe, it } from "vitest";
import { call, openSession, openSocket, readAll, startServer } from "../../test/support/in-process-server.ts";
import { waitUntil } from "../../test/support/wait.ts";
import { type DrainSteps, runDrain } from "./drain.ts";

const RPC = { ":method": "POST", ":path": "/agentbus.v1.BusService/Subscribe" };

describe("the steps of a drain", () => {
  function steps(quiet: Promise<void>, closed: () => Promise<void>) {
    const taken: string[] = [];
    const take = (name: string) => () => void taken.push(name);
    const all: DrainSteps = {
      notServing: take("notServing"),
      stopAccepting: take("stopAccepting"),
      goAway: take("goAway"),
      quiet: () => quiet,
      abortStreams: take("abortStreams"),
      closeConnections: take("closeConnections"),
      closed,
      destroyConnections: take("destroyConnections"),
    };
    return { all, taken };
  }
  const order = ["notServing", "stopAccepting", "goAway", "abortStreams", "closeConnections", "destroyConnections"];

  it("come in their order, and at once when no call runs", async () => {
    const { all, taken } = steps(Promise.resolve(), () => Promise.resolve());
    await runDrain(all, 3_600_000, 3_600_000);
    assert.deepEqual(taken, order);
  });

  it("go on without calls that do not end and connections that do not close", async () => {
    const never = new Promise<void>(() => {});
    const { all, taken } = steps(never, () => (taken.includes("destroyConnections") ? Promise.resolve() : never));
    await runDrain(all, 1, 1);
    assert.deepEqual(taken, order);
  });
});

describe("drain", () => {
  it("lets calls end, tells probes, and accepts nobody new", async () => {
    const streams: ServerHttp2Stream[] = [];
    const told: string[] = [];
    const { server, url, port, health } = await startServer({
      onHttp2Stream: (stream) => {
        streams.push(stream);
        stream.respond({ ":status": 200 });
        return true;
      },
      onDrain: () => void told.push(`go away, ${health.phase}`),
      onAbort: (error) => void told.push(error.reason),
    });
    const session = await openSession(url);
    const running = call(session, RPC);
    await waitUntil(() => streams.length === 1);
    const drained = server.drain(3_600_000);
    assert.deepEqual(told, ["go away, draining"]);
    assert.equal(server.address, undefined);
    await assert.rejects(openSocket(port), { code: "ECONNREFUSED" });
    streams[0]?.end("the end");
    assert.equal((await running).body, "the end");
    await drained;
    assert.deepEqual(told, ["go away, draining", "DRAINING"]);
    assert.equal(server.connections, 0);
  });

  it("ends streams that stay when the grace is over", async () => {
    const streams: ServerHttp2Stream[] = [];
    const { server, url } = await startServer({
      onHttp2Stream: (stream) => {
        streams.push(stream);
        stream.respond({ ":status": 200 });
        return true;
      },
      onAbort: () => {
        for (const stream of streams) stream.end("aborted");
      },
    });
    const session = await openSession(url);
    const goaway = once(session, "goaway");
    const running = call(session, RPC);
    await waitUntil(() => streams.length === 1);
    await server.drain(1);
    assert.equal((await running).body, "aborted");
    assert.deepEqual((await goaway)[0], 0);
  });

  it("closes HTTP/1.1 connections as their responses end", async () => {
    const answers: (() => void)[] = [];
    const { server, port } = await startServer({
      onHttp1: (_request, response) => {
        response.flushHeaders();
        answers.push(() => response.end("late"));
        return true;
      },
    });
    const request = "GET /a.B/C HTTP/1.1\r\nHost: localhost\r\n\r\n";
    const clients = await Promise.all([openSocket(port), openSocket(port), openSocket(port), openSocket(port)]);
    const [silent, idle, begun, lasting] = clients.map(readAll);
    clients[1]?.write(request);
    await waitUntil(() => answers.length === 1);
    answers[0]?.();
    clients[2]?.write(request);
    await waitUntil(() => answers.length === 2 && server.calls === 1);
    clients[3]?.write(request);
    await waitUntil(() => answers.length === 3 && server.connections === 4);
    const drained = server.drain(3_600_000);
    // One call lasts, so none of these waits for the end of the grace.
    assert.equal(await silent, "");
    assert.match((await idle) as string, /late/);
    answers[1]?.();
    assert.match((await begun) as string, /late/);
    assert.equal(server.calls, 1);
    answers[2]?.();
    assert.match((await lasting) as string, /late/);
    await drained;
  });

  it("is one, however often it is asked for", async () => {
    let drains = 0;
    const { server } = await startServer({ onDrain: () => void drains++ });
    await Promise.all([server.drain(5), server.drain(5)]);
    assert.equal(drains, 1);
  });

  it("gives way to close", async () => {
    const { server, url } = await startServer({ onHttp2Stream: () => true });
    const stream = (await openSession(url)).request(RPC);
    stream.on("error", () => {});
    await waitUntil(() => server.calls === 1);
    const drained = server.drain(3_600_000);
    await server.close();
    await drained;
    assert.equal(server.calls, 0);
  });
});
