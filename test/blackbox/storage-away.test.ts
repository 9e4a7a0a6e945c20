import assert from "node:assert/strict";
import { once } from "node:events";
import { type AddressInfo, createServer, type Socket } from "node:net";
import { describe, it, onTestFinished } from "vitest";
import { startBus } from "../support/bus-process.ts";
import { waitUntil } from "../support/wait.ts";

interface FalseServer {
  readonly port: number;
  readonly connections: number;
}

/** Takes connections as a storage's server does, and then does with them what the test says. */
async function falseServer(onConnection: (socket: Socket) => void): Promise<FalseServer> {
  const sockets = new Set<Socket>();
  let connections = 0;
  const server = createServer((socket) => {
    connections++;
    sockets.add(socket.on("error", () => {}).on("close", () => sockets.delete(socket)));
    onConnection(socket);
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  onTestFinished(() => {
    server.close();
    for (const socket of sockets) socket.destroy();
  });
  return {
    port: (server.address() as AddressInfo).port,
    get connections() {
      return connections;
    },
  };
}

const STORAGES = [
  ["redis", (port: number) => `redis://user:hunter2@127.0.0.1:${port}`],
  ["postgres", (port: number) => `postgres://user:hunter2@127.0.0.1:${port}/bus`],
  ["mysql", (port: number) => `mysql://user:hunter2@127.0.0.1:${port}/bus`],
] as const;

describe.each(STORAGES)("a node whose %s is away when it starts", (_name, urlOf) => {
  // It was a line, and on PostgreSQL two stacks, for each attempt: hundreds of them in an hour.
  it("S0-3.1.2: says so once, in one line, and tries on", async () => {
    const server = await falseServer((socket) => socket.destroy());
    const args = ["--storage", urlOf(server.port), "--set", "storage.shared.connectTimeout=500ms"];
    await using bus = await startBus({ args, serving: false });
    await waitUntil(() => server.connections >= 5, { timeoutMs: 30_000, what: () => "five attempts" });
    const told = bus.log.filter(({ msg }) => msg.startsWith("the storage is away: "));
    assert.equal(told.length, 1, JSON.stringify(bus.log, null, 1));
    assert.match(told[0]!.msg, /; trying again until it is there$/);
    assert.deepEqual(
      bus.log.filter(({ level }) => level === "text" || level === "error"),
      [],
    );
    const text = JSON.stringify(bus.log);
    assert.ok(!text.includes("hunter2"), "no password");
    assert.ok(!/\\n +at /.test(text), "no stack");
    const ready = await fetch(`${bus.url}/ready`);
    assert.equal(ready.status, 503);
    assert.deepEqual(await bus.stop(), { code: 0, signal: null });
  });

  it("leaves when it is told, also while the server has taken a connection and says nothing", async () => {
    const server = await falseServer(() => {});
    // An attempt takes longer than the test waits.
    const args = ["--storage", urlOf(server.port), "--set", "storage.shared.connectTimeout=60s"];
    await using bus = await startBus({ args, serving: false });
    await waitUntil(() => server.connections > 0, { what: () => "a connection" });
    assert.deepEqual(await bus.stop(), { code: 0, signal: null });
  });
});
