import assert from "node:assert/strict";
import { once } from "node:events";
import { Code, ConnectError, createClient } from "@connectrpc/connect";
import { createConnectTransport, createGrpcTransport, createGrpcWebTransport } from "@connectrpc/connect-node";
import { Client, credentials, Metadata, type ServiceError, status } from "@grpc/grpc-js";
import { describe, it, onTestFinished } from "vitest";
import { ErrorInfoSchema } from "../../gen/google/rpc/error_details_pb.ts";
import { Health } from "../../gen/grpc/health/v1/health_pb.ts";
import { call, metric, openSession, SILENT, startServer } from "../../test/support/in-process-server.ts";

const RPC = { ":method": "POST", ":path": "/agentbus.v1.BusService/Publish" };

describe("the fast paths", () => {
  it("are offered each call first, and what they decline is served all the same", async () => {
    const offered: string[] = [];
    const { url } = await startServer({
      onHttp2Stream: (stream, headers, rawHeaders) => {
        offered.push(`h2 ${headers[":path"]} ${rawHeaders.includes(":path")}`);
        if (headers["x-fast"] === undefined) return false;
        stream.respond({ ":status": 200 });
        stream.end("fast");
        return true;
      },
      onHttp1: (request, response) => {
        offered.push(`h1 ${request.url}`);
        if (request.headers["x-fast"] === undefined) return false;
        response.end("fast");
        return true;
      },
    });
    const session = await openSession(url);
    assert.equal((await call(session, { ...RPC, "x-fast": "1" })).body, "fast");
    assert.equal((await call(session, RPC)).body, "portable");
    assert.equal((await call(session, { ":path": "/version" })).status, 200);
    const path = `${url}${RPC[":path"]}`;
    assert.equal(await (await fetch(path, { method: "POST", headers: { "x-fast": "1" } })).text(), "fast");
    assert.equal(await (await fetch(path, { method: "POST" })).text(), "portable");
    assert.deepEqual(offered, [
      `h2 ${RPC[":path"]} true`,
      `h2 ${RPC[":path"]} true`,
      "h2 /version true",
      `h1 ${RPC[":path"]}`,
      `h1 ${RPC[":path"]}`,
    ]);
  });

  it("get no call of a foreign Host or Origin, and none whose response needs headers for a browser", async () => {
    let offered = 0;
    const fast = () => {
      offered++;
      return false;
    };
    const { url, port } = await startServer({
      onHttp2Stream: fast,
      onHttp1: fast,
      allowedOrigins: ["https://console.example"],
    });
    const session = await openSession(url);
    assert.equal((await call(session, { ...RPC, ":authority": "evil.example" })).status, 403);
    assert.equal((await call(session, { ...RPC, origin: "https://evil.example" })).status, 403);
    const allowed = await call(session, { ...RPC, origin: "https://console.example" });
    assert.equal(allowed.headers["access-control-allow-origin"], "https://console.example");
    assert.equal(allowed.body, "portable");
    const origin = { origin: "https://console.example" };
    const response = await fetch(`http://127.0.0.1:${port}${RPC[":path"]}`, { method: "POST", headers: origin });
    assert.equal(response.headers.get("access-control-allow-origin"), "https://console.example");
    assert.equal(offered, 0);
  });
});

describe("refusals", () => {
  it("S1-6b: reach Connect, gRPC and gRPC-Web clients as PERMISSION_DENIED with the reason", async () => {
    const { url, meters } = await startServer();
    const options = { baseUrl: url, interceptors: [] };
    const transports = [
      createConnectTransport({ ...options, httpVersion: "1.1" }),
      createConnectTransport({ ...options, httpVersion: "2" }),
      createGrpcTransport(options),
      createGrpcWebTransport({ ...options, httpVersion: "2" }),
    ];
    for (const transport of transports) {
      const headers = { origin: "https://evil.example" };
      const error = await createClient(Health, transport)
        .check({}, { headers })
        .then(() => assert.fail("it was answered"), ConnectError.from);
      assert.equal(error.code, Code.PermissionDenied);
      assert.match(error.rawMessage, /Origin header "https:\/\/evil\.example" is not allowed/);
      assert.deepEqual(
        error.findDetails(ErrorInfoSchema).map(({ reason, domain }) => [reason, domain]),
        [["ORIGIN_NOT_ALLOWED", "agentbus"]],
      );
    }
    assert.equal(await metric(meters, 'agentbus_requests_refused_total{cause="origin"}'), 4);
  });

  it("reach grpc-js, which reads a status in the headers only when they end the stream", async () => {
    const { port } = await startServer();
    const client = new Client(`127.0.0.1:${port}`, credentials.createInsecure());
    onTestFinished(() => client.close());
    const metadata = new Metadata();
    metadata.set("origin", "https://evil.example");
    const error = await new Promise<ServiceError | null>((resolve) => {
      const bytes = (value: Buffer) => value;
      client.makeUnaryRequest("/grpc.health.v1.Health/Check", bytes, bytes, Buffer.alloc(0), metadata, resolve);
    });
    assert.equal(error?.code, status.PERMISSION_DENIED);
    assert.match(error?.details ?? "", /Origin header/);
  });

  it("let go of a call whose request was not read", async () => {
    const { url, server } = await startServer();
    const session = await openSession(url);
    const stream = session.request({ ...RPC, origin: "https://evil.example" });
    stream.on("error", () => {});
    stream.write(Buffer.alloc(3_000_000));
    const [headers] = await once(stream, "response");
    assert.equal(headers[":status"], 403);
    stream.resume();
    await once(stream, "close");
    assert.equal(server.calls, 0);
  });

  it("answer a page's preflight for allowed origins alone", async () => {
    const { url } = await startServer({ allowedOrigins: ["https://console.example"] });
    const ask = (origin: string) =>
      fetch(`${url}${RPC[":path"]}`, {
        method: "OPTIONS",
        headers: { origin, "access-control-request-method": "POST", "access-control-request-headers": "authorization" },
      });
    const allowed = await ask("https://console.example");
    assert.equal(allowed.status, 204);
    assert.match(allowed.headers.get("access-control-allow-headers") ?? "", /connect-protocol-version.*authorization/i);
    assert.equal(allowed.headers.get("access-control-allow-methods"), "POST, GET");
    assert.equal(allowed.headers.get("access-control-max-age"), "7200");
    assert.equal((await ask("https://evil.example")).status, 403);
  });
});

describe("a handler that throws", () => {
  it("costs its own call alone", async () => {
    const fail = () => {
      throw new Error("broken");
    };
    const logged: string[] = [];
    const log = { ...SILENT, error: (_fields: object, text: string) => void logged.push(text) };
    const { url } = await startServer({ onHttp2Stream: fail, onHttp1: fail, log });
    const session = await openSession(url);
    await assert.rejects(call(session, RPC), { code: "ERR_HTTP2_STREAM_ERROR" });
    await assert.rejects(fetch(`${url}${RPC[":path"]}`));
    assert.deepEqual(logged, ["a handler threw", "a handler threw"]);
    await new Promise((resolve) => session.ping(resolve));
  });
});

describe("listen", () => {
  it("says that the address is taken", async () => {
    const { port } = await startServer();
    await assert.rejects(startServer({ port }), { code: "EADDRINUSE" });
  });

  it("forgets its address when it is closed", async () => {
    const { server, port } = await startServer();
    assert.equal(server.address?.url, `http://127.0.0.1:${port}`);
    await server.close();
    assert.equal(server.address, undefined);
    await server.close();
  });
});
