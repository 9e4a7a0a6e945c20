import assert from "node:assert/strict";
import { once } from "node:events";
import { constants } from "node:http2";
import { describe, it } from "vitest";
import { call, metric, openSession, openSocket, readAll, startServer } from "../../test/support/in-process-server.ts";
import { waitUntil } from "../../test/support/wait.ts";
import type { ServerOptions } from "./server.ts";

const PREFACE = Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
const EMPTY_SETTINGS = Buffer.from([0, 0, 0, 4, 0, 0, 0, 0, 0]);
/** HPACK: :method POST, :scheme http, :path /, :authority localhost. */
const HEADER_BLOCK = Buffer.concat([Buffer.from([0x83, 0x86, 0x84, 0x41, 9]), Buffer.from("localhost")]);
const RPC = { ":method": "POST", ":path": "/agentbus.v1.BusService/Publish" };

/** One HTTP/2 frame. */
function frame(type: number, flags: number, stream: number, payload: Uint8Array): Buffer {
  const head = Buffer.from([0, 0, payload.length, type, flags, 0, 0, 0, 0]);
  head.writeUInt32BE(stream, 5);
  return Buffer.concat([head, payload]);
}

describe("one plain-text port", () => {
  it("S3-FR-007: answers HTTP/1.1 and HTTP/2 alike", async () => {
    const { url, meters, server } = await startServer();
    const response = await fetch(`${url}/version`);
    assert.deepEqual(await response.json(), { server: "1.2.3", protocol: "1.0", node: "n1", name: "Test" });
    const reply = await call(await openSession(url), { ":path": "/version" });
    assert.equal(reply.status, 200);
    assert.equal(JSON.parse(reply.body).server, "1.2.3");
    assert.equal(await metric(meters, 'agentbus_connections_total{protocol="http1"}'), 1);
    assert.equal(await metric(meters, 'agentbus_connections_total{protocol="http2"}'), 1);
    assert.equal(server.connections, 2);
  });

  it("knows HTTP/2 by a preface that comes byte by byte", async () => {
    const { port } = await startServer();
    const socket = await openSocket(port);
    socket.setNoDelay(true);
    for (const byte of Buffer.concat([PREFACE, EMPTY_SETTINGS])) {
      await new Promise((resolve) => socket.write(Buffer.of(byte), resolve));
    }
    const [answer] = (await once(socket, "data")) as [Buffer];
    assert.equal(answer[3], 4, "a SETTINGS frame");
  });

  it.each([
    ["garbage", Buffer.from("\x00\xff\x17 what is this\r\n\r\n", "latin1")],
    ["TLS", Buffer.from("16030100f5010000f10303", "hex")],
    ["a preface that goes wrong", Buffer.from("PRI * HTTP/1.1\r\n\r\n")],
    ["a request line without end", Buffer.from(`GET /${"a".repeat(100_000)}`)],
  ])("closes a connection that speaks %s, and serves the next", async (_what, bytes) => {
    const { port, url } = await startServer({ headersTimeoutMs: 1_000 });
    const socket = await openSocket(port);
    socket.write(bytes);
    // A reset may swallow the answer to who is still sending.
    assert.match(await readAll(socket), /^(?:HTTP\/1\.1 4\d\d |$)/);
    assert.equal((await fetch(`${url}/health`)).status, 200);
  });

  it.each([
    ["an oversize frame", Buffer.from([0xff, 0xff, 0xff, 0, 0, 0, 0, 0, 1])],
    ["garbage after the preface", Buffer.alloc(4_096, 0xee)],
    ["a header block that cannot be", Buffer.from([0, 0, 3, 1, 5, 0, 0, 0, 1, 0xff, 0xff, 0xff])],
  ])("ends an HTTP/2 connection with %s, and serves the next", async (_what, bytes) => {
    const { port, url } = await startServer();
    const socket = await openSocket(port);
    const ended = readAll(socket);
    socket.write(Buffer.concat([PREFACE, EMPTY_SETTINGS, bytes]));
    await ended;
    assert.equal((await fetch(`${url}/health`)).status, 200);
  });

  const flood = (one: (n: number) => Buffer) => Buffer.concat(Array.from({ length: 20_000 }, (_, n) => one(n)));

  it.each([
    ["PINGs", flood(() => frame(6, 0, 0, Buffer.alloc(8)))],
    ["SETTINGS", flood(() => EMPTY_SETTINGS)],
    [
      "calls that are cancelled at once",
      flood((n) =>
        Buffer.concat([frame(1, 5, 2 * n + 1, HEADER_BLOCK), frame(3, 0, 2 * n + 1, Buffer.of(0, 0, 0, 8))]),
      ),
    ],
  ])("ends an HTTP/2 connection that floods it with %s, and serves the next", async (_what, bytes) => {
    const { port, url, server } = await startServer();
    const socket = await openSocket(port);
    await waitUntil(() => server.connections === 1);
    socket.pause(); // Answers pile up, as a flood wants it.
    socket.write(Buffer.concat([PREFACE, EMPTY_SETTINGS, bytes]));
    await waitUntil(() => server.connections === 0);
    assert.equal(server.calls, 0);
    assert.equal((await fetch(`${url}/health`)).status, 200);
  });

  it("answers in HTTP/1.1 who asks for an upgrade to h2c, as curl --http2 does", async () => {
    const { port } = await startServer();
    const socket = await openSocket(port);
    socket.write(
      "GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade, HTTP2-Settings, close\r\n" +
        "Upgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQCAAAAAAIAAAAA\r\n\r\n",
    );
    assert.match(await readAll(socket), /^HTTP\/1\.1 200 OK/);
  });

  it("answers who sends FIN after the request", async () => {
    const { port } = await startServer();
    const socket = await openSocket(port);
    socket.end("GET /health HTTP/1.0\r\nHost: localhost\r\n\r\n");
    assert.match(await readAll(socket), /^HTTP\/1\.1 200 OK[\s\S]*"status":"ok"/);
  });

  it("answers 408 to headers that never end", async () => {
    const { port } = await startServer({ headersTimeoutMs: 50 });
    const socket = await openSocket(port);
    socket.write("POST /agentbus.v1.BusService/Publish HTTP/1.1\r\nHost: localhost\r\nX-Slow: ");
    assert.match(await readAll(socket), /^HTTP\/1\.1 408 /);
  });

  it("closes connections that say nothing, or not enough", async () => {
    const { port } = await startServer({ prefaceTimeoutMs: 50 });
    const [silent, undecided] = [await openSocket(port), await openSocket(port)];
    undecided.write("PRI * HT");
    assert.deepEqual(await Promise.all([readAll(silent), readAll(undecided)]), ["", ""]);
  });

  it("lets go of clients that leave before they speak", async () => {
    const { port, server } = await startServer();
    const socket = await openSocket(port);
    await waitUntil(() => server.connections === 1);
    socket.end();
    await waitUntil(() => server.connections === 0);
  });

  it("refuses connections beyond the limit, and counts them", async () => {
    const { port, meters } = await startServer({ maxConnections: 1 });
    const first = await openSocket(port);
    first.write("GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n");
    await once(first, "data");
    const second = await openSocket(port);
    await readAll(second);
    assert.equal(await metric(meters, "agentbus_connections_dropped_total"), 1);
  });
});

describe("peers that vanish", () => {
  it("cuts who answers no PING, and its calls with it", async () => {
    const { port, meters, server } = await startServer({
      pingIntervalMs: 30,
      pingTimeoutMs: 30,
      onHttp2Stream: () => true,
    });
    const socket = await openSocket(port);
    const headers = frame(1, 4, 1, HEADER_BLOCK); // The call never ends by itself.
    socket.write(Buffer.concat([PREFACE, EMPTY_SETTINGS, headers]));
    await waitUntil(() => server.calls === 1);
    await readAll(socket);
    assert.equal(await metric(meters, "agentbus_connections_unresponsive_total"), 1);
    await waitUntil(() => server.calls === 0);
  });

  it("keeps who answers, however quiet", async () => {
    const { url, meters } = await startServer({ pingIntervalMs: 5, pingTimeoutMs: 2_000 });
    const session = await openSession(url);
    for (let pings = 0; pings < 5; pings++) await once(session, "ping");
    assert.equal((await call(session, { ":path": "/health" })).status, 200);
    assert.equal(await metric(meters, "agentbus_connections_unresponsive_total"), 0);
  });

  it("counts a call until its client is gone", async () => {
    const onHttp2Stream: ServerOptions["onHttp2Stream"] = (stream) => {
      stream.respond({ ":status": 200 });
      return true;
    };
    const { url, server } = await startServer({ onHttp2Stream });
    const session = await openSession(url);
    const stream = session.request(RPC);
    stream.on("error", () => {});
    await once(stream, "response");
    assert.equal(server.calls, 1);
    stream.close(constants.NGHTTP2_CANCEL);
    await waitUntil(() => server.calls === 0);
  });
});
