import assert from "node:assert/strict";
import { describe, it } from "vitest";
import { failureOfJson } from "../support/failure.ts";
import { callHttp1, callHttp2, type RawRequest } from "../support/raw-call.ts";
import { useBus } from "./shared-bus.ts";

const PAGE = "https://console.example";
const bus = useBus({ args: ["--set", `server.allowedOrigins=${PAGE}`] });

const path = "/agentbus.v1.BusService/Publish";
const publish = { agentId: "page", room: "web", channel: "talk", messages: [{ text: "from a page" }] };
const headers = { "content-type": "application/json", origin: PAGE };
const post: RawRequest = { path, headers, body: JSON.stringify(publish) };

/** What a browser sends, byte for byte as far as it matters. */
describe.each([
  ["HTTP/1.1", callHttp1],
  ["HTTP/2", callHttp2],
] as const)("S1-6b: a page of another origin over %s", (_name, call) => {
  it("asks first, and is told what it may send", async () => {
    const {
      status,
      headers: told,
      body,
    } = await call(bus().url, {
      path,
      method: "OPTIONS",
      headers: {
        origin: PAGE,
        "access-control-request-method": "POST",
        "access-control-request-headers": "authorization,connect-protocol-version,content-type",
      },
    });
    assert.equal(status, 204);
    assert.equal(body.length, 0);
    assert.equal(told["access-control-allow-origin"], PAGE);
    assert.match(String(told["access-control-allow-methods"]), /POST/);
    const allowed = String(told["access-control-allow-headers"]).toLowerCase();
    for (const header of ["authorization", "content-type", "connect-protocol-version", "x-grpc-web"]) {
      assert.ok(allowed.includes(header), `${header} is not in ${allowed}`);
    }
    assert.match(String(told["vary"]), /origin/i);
    assert.ok(Number(told["access-control-max-age"]) > 0);
  });

  it("calls, and may read the answer, also when it is a refusal", async () => {
    const answered = await call(bus().url, post);
    assert.equal(answered.status, 200);
    assert.equal(answered.headers["access-control-allow-origin"], PAGE);
    assert.match(String(answered.headers["access-control-expose-headers"]).toLowerCase(), /grpc-status/);
    const refused = await call(bus().url, { ...post, body: JSON.stringify({ ...publish, room: "a b" }) });
    assert.equal(refused.headers["access-control-allow-origin"], PAGE);
    assert.equal(failureOfJson(refused.body.toString()).reason, "BAD_NAME");
  });

  it("is refused when nobody allowed it: before the call, and at the call", async () => {
    const origin = "https://evil.example";
    for (const method of ["OPTIONS", "POST"]) {
      const request = { ...post, method, headers: { ...headers, origin, "access-control-request-method": "POST" } };
      const { status, headers: told, body } = await call(bus().url, request);
      assert.equal(status, 403);
      assert.equal(told["access-control-allow-origin"], undefined);
      assert.equal(failureOfJson(body.toString()).reason, "ORIGIN_NOT_ALLOWED");
    }
  });

  it("of the bus itself calls without being asked", async () => {
    const answered = await call(bus().url, { ...post, headers: { ...headers, origin: bus().url } });
    assert.equal(answered.status, 200);
  });

  it("whose name was rebound to this machine is refused by its Host", async () => {
    const { port } = bus();
    const host = call === callHttp1 ? { host: `evil.example:${port}` } : { ":authority": `evil.example:${port}` };
    const { status, body } = await call(bus().url, {
      ...post,
      headers: { "content-type": "application/json", ...host },
    });
    assert.equal(status, 403);
    assert.equal(failureOfJson(body.toString()).reason, "ORIGIN_NOT_ALLOWED");
  });
});
