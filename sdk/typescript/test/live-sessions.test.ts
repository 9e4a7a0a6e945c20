import { once } from "node:events";
import { type ClientHttp2Stream, createServer, type Http2Server, type Http2Session } from "node:http2";
import type { AddressInfo } from "node:net";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { BusError } from "../src/errors.ts";
import { LiveSessions } from "../src/live-sessions.ts";
import { delay } from "../src/waiting.ts";
import { CuttingProxy } from "./cutting-proxy.ts";

const LIVENESS = { pingIntervalMs: 100, pingTimeoutMs: 100 };

describe("the HTTP/2 connection to a server", () => {
  let server: Http2Server;
  let proxy: CuttingProxy;
  let sessions: LiveSessions;
  let pings = 0;
  const accepted: Http2Session[] = [];

  beforeEach(async () => {
    pings = 0;
    // The answer is begun and never ended, as that of a subscription without messages.
    server = createServer((_request, response) => void response.write("begun"));
    server.on("session", (session) => {
      accepted.push(session);
      session.on("ping", () => pings++);
      session.on("error", () => {});
    });
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    proxy = await CuttingProxy.to((server.address() as AddressInfo).port);
    sessions = new LiveSessions(proxy.url, LIVENESS);
  });

  afterEach(async () => {
    sessions.abort();
    await proxy.close();
    for (const session of accepted.splice(0)) session.destroy();
    server.close();
  });

  const open = async () => {
    const stream = await sessions.request("GET", "/", {}, {});
    stream.on("error", () => {});
    await once(stream, "response");
    return stream;
  };
  const failureOf = async (stream: ClientHttp2Stream) => BusError.from((await once(stream, "error"))[0]);

  it("S3-SC-003: is given up when nothing comes, whatever is open on it, and the next request opens another", async () => {
    const streams = [await open(), await open()];
    const failures = streams.map(failureOf);
    proxy.swallow();
    for (const failure of failures)
      expect(await failure).toMatchObject({ code: "UNAVAILABLE", retry: "RECONNECT", message: /nothing came/ });
    proxy.release();
    await open();
    expect(accepted).toHaveLength(2);
  });

  it("is replaced in the moment in which it breaks", async () => {
    const stream = await open();
    const { promise, resolve } = Promise.withResolvers<ClientHttp2Stream>();
    // Between the news for the stream and the news for the session, of which nobody else is told then.
    stream.once("error", () => {
      proxy.release();
      resolve(open());
    });
    proxy.swallow();
    await promise;
    expect(accepted.length).toBeGreaterThan(1);
  });

  it("stays when nothing is said on it and PINGs are answered", async () => {
    const stream = await open();
    while (pings < 3) await once(accepted[0]!, "ping");
    expect(stream.destroyed).toBe(false);
  });

  it("stays when the program was busy for longer than an answer may take", async () => {
    const stream = await open();
    await once(accepted[0]!, "ping");
    // This process is server and client: the PING's answer is there, or will be, when the timeout is long over.
    const until = performance.now() + 5 * (LIVENESS.pingIntervalMs + LIVENESS.pingTimeoutMs);
    while (performance.now() < until);
    const { promise, resolve } = Promise.withResolvers<void>();
    accepted[0]!.once("ping", () => resolve());
    await promise;
    expect(stream.destroyed).toBe(false);
  });

  it("asks nothing while nothing is open", async () => {
    const stream = await open();
    const closed = once(stream, "close");
    stream.destroy();
    await closed;
    const before = pings;
    // Time for many of them, had they been sent.
    await Promise.race([once(accepted[0]!, "ping"), delay(4 * LIVENESS.pingIntervalMs, new AbortController().signal)]);
    expect(pings - before).toBeLessThanOrEqual(1);
  });

  it("is given up when it cannot be opened in time", async () => {
    // Takes the connection and reads nothing: with TLS, the client waits for a word of the server.
    const secure = new LiveSessions(proxy.url.replace("http:", "https:"), LIVENESS);
    proxy.swallow();
    const failure = await secure.request("GET", "/", {}, {}).then(
      () => undefined,
      (error: unknown) => BusError.from(error),
    );
    expect(failure).toMatchObject({ code: "UNAVAILABLE", message: /no connection within 100 ms/ });
  });
});
