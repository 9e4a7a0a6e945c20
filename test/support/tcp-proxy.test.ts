import assert from "node:assert/strict";
import { once } from "node:events";
import net from "node:net";
import { afterEach, beforeEach, describe, it } from "vitest";
import { createSeededRandom } from "./seeded-random.ts";
import { type Link, openTcpProxy, type TcpProxy } from "./tcp-proxy.ts";
import { waitUntil } from "./wait.ts";

/** An echo server that keeps its sockets where the test can see them. */
async function openEcho() {
  const sockets = new Set<net.Socket>();
  const server = net.createServer({ allowHalfOpen: true }, (socket) => {
    sockets.add(socket);
    socket.on("error", () => {}).on("close", () => sockets.delete(socket));
    socket.pipe(socket);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return { server, sockets, port: (server.address() as net.AddressInfo).port };
}

const closed = (socket: net.Socket) => new Promise<void>((resolve) => socket.once("close", () => resolve()));

describe("tcp proxy", () => {
  let echo: Awaited<ReturnType<typeof openEcho>>;
  let proxy: TcpProxy;
  const clients: net.Socket[] = [];

  beforeEach(async () => {
    echo = await openEcho();
    proxy = await openTcpProxy({ targetPort: echo.port });
  });
  afterEach(async () => {
    for (const client of clients.splice(0)) client.destroy();
    await proxy.close();
    echo.server.close();
    assert.equal(proxy.links.length, 0);
  });

  async function connect(): Promise<{ client: net.Socket; link: Link; text: () => string }> {
    const accepted = proxy.nextLink();
    const client = net.connect({ port: proxy.port, host: proxy.host, allowHalfOpen: true });
    clients.push(client);
    let seen = "";
    client
      .on("error", () => {})
      .on("data", (chunk) => {
        seen += chunk;
      });
    return { client, link: await accepted, text: () => seen };
  }

  it("passes bytes and a FIN in both directions", async () => {
    const { client, link, text } = await connect();
    client.end("hello");
    await once(client, "end");
    assert.equal(text(), "hello");
    assert.deepEqual([link.bytesUp, link.bytesDown], [5, 5]);
    await link.closed;
    assert.equal(link.open, false);
  });

  it("cuts a link with a reset on both sides", async () => {
    const { client, link, text } = await connect();
    client.write("x");
    await waitUntil(() => text() === "x");
    const [server] = echo.sockets;
    const errors = Promise.all([once(client, "error"), once(server!, "error")]);
    assert.equal(proxy.cutAll(), 1);
    for (const [error] of await errors) assert.match(String(error), /ECONNRESET/);
    await link.closed;
  });

  it("finishes a link with a FIN on both sides", async () => {
    const { client, link, text } = await connect();
    client.write("x");
    await waitUntil(() => text() === "x");
    const [server] = echo.sockets;
    const ends = Promise.all([once(client, "end"), once(server!, "end")]);
    link.finish();
    await ends;
    await link.closed;
  });

  it("stalls one direction until it is resumed, and makes the sender wait meanwhile", async () => {
    const { client, link, text } = await connect();
    client.write("a");
    await waitUntil(() => text() === "a");
    link.stall("down");
    client.write("b");
    await waitUntil(() => link.bytesUp === 2);
    const block = Buffer.alloc(1 << 20);
    let written = 0;
    while (client.write(block)) written++;
    await waitUntil(() => client.writableNeedDrain && written < 64);
    assert.equal(text(), "a");
    link.resume();
    await waitUntil(() => text().startsWith("ab"));
  });

  it("delays, in order, also what comes after the delay is taken off", async () => {
    const { client, link, text } = await connect();
    link.delay(30);
    client.write("slow ");
    await waitUntil(() => link.bytesUp === 5);
    link.delay(0);
    client.end("quick");
    await once(client, "end");
    assert.equal(text(), "slow quick");
  });

  it("lets one side vanish without a word to the other", async () => {
    const { client, link, text } = await connect();
    client.write("x");
    await waitUntil(() => text() === "x");
    let told = false;
    client.on("end", () => {
      told = true;
    });
    client.on("close", () => {
      told = true;
    });
    const [server] = echo.sockets;
    link.vanish();
    await closed(server!);
    client.write("into the void");
    // A round trip through the same event loop: a FIN or RST would have come before it.
    const other = await connect();
    other.client.write("y");
    await waitUntil(() => other.text() === "y");
    assert.equal(told, false);
    assert.equal(link.open, true);
  });

  it("swallows what every link says, old and new, until that is over", async () => {
    const old = await connect();
    proxy.impair({ blackHole: "down" });
    const fresh = await connect();
    for (const { client } of [old, fresh]) client.write("x");
    await waitUntil(() => old.link.bytesUp + fresh.link.bytesUp === 2);
    // A round trip of its own over the server that answers both.
    const direct = net.connect(echo.port, "127.0.0.1");
    clients.push(direct);
    direct.write("y");
    await once(direct, "data");
    assert.deepEqual([old.text(), fresh.text()], ["", ""]);
    proxy.impair({});
    await waitUntil(() => old.text() === "x" && fresh.text() === "x");
  });

  it("delays one direction of every link", async () => {
    proxy.impair({ delayDownMs: 30 });
    const { client, link, text } = await connect();
    client.write("slow");
    await waitUntil(() => link.bytesDown === 4);
    assert.equal(text(), "");
    await waitUntil(() => text() === "slow");
  });

  it("refuses, and lets in again", async () => {
    proxy.refuse(true);
    const client = net.connect(proxy.port, proxy.host);
    clients.push(client);
    client.on("error", () => {});
    await closed(client);
    proxy.refuse(false);
    const { client: second, text } = await connect();
    second.write("in");
    await waitUntil(() => text() === "in");
  });

  it("goes to another server from now on", async () => {
    const other = await openEcho();
    proxy.retarget(other.port);
    const { client, text } = await connect();
    client.write("x");
    await waitUntil(() => text() === "x");
    assert.equal(other.sockets.size, 1);
    other.server.close();
  });

  it("cuts every link again and again until told to stop", async () => {
    const stop = proxy.cutEach(1, 5);
    for (let i = 0; i < 3; i++) await (await connect()).link.closed;
    stop();
    const { client, text } = await connect();
    client.write("stays");
    await waitUntil(() => text() === "stays");
  });

  it("passes a failing server on as a reset", async () => {
    echo.server.close();
    const { client, link } = await connect();
    await closed(client);
    await link.closed;
  });
});

describe("seeded random", () => {
  it("follows from its seed", () => {
    const draw = (seed: number) => Array.from({ length: 5 }, createSeededRandom(seed));
    assert.deepEqual(draw(7), draw(7));
    assert.notDeepEqual(draw(7), draw(8));
    for (const number of draw(1)) assert.ok(number >= 0 && number < 1);
  });
});
