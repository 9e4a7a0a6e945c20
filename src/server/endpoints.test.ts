import assert from "node:assert/strict";
import { describe, it } from "vitest";
import { call, openSession, startServer } from "../../test/support/in-process-server.ts";
import { createApiKey, createApiKeyAuthenticator } from "./api-keys.ts";
import { bannerText } from "./banner.ts";

const admin = createApiKey();
const plain = createApiKey();
const authenticator = createApiKeyAuthenticator([
  { name: "ops", sha256: admin.sha256, agents: ["*"], admin: true },
  { name: "ci", sha256: plain.sha256, agents: ["alice"], admin: false },
]);
const bearer = (key: string) => ({ headers: { authorization: `Bearer ${key}` } });

describe("plain HTTP paths", () => {
  it("S3-US3.3: say that the process lives, whether it is ready, and what it is", async () => {
    let problems: readonly string[] = [];
    const { url, health, server } = await startServer({ problems: () => problems });
    const get = async (path: string) => {
      const response = await fetch(url + path);
      return [response.status, await response.json()] as const;
    };
    const { uptimeSeconds, ...rest } = (await get("/health"))[1] as Record<string, unknown>;
    assert.deepEqual(rest, { status: "ok", phase: "serving", problems: [], node: "n1", name: "Test" });
    assert.equal(typeof uptimeSeconds, "number");
    assert.deepEqual(await get("/ready"), [200, { ready: true, phase: "serving", problems: [] }]);

    problems = ["storage: connection refused"];
    const [status, body] = await get("/health");
    assert.equal(status, 200);
    assert.deepEqual(
      [(body as { status: string }).status, (body as { problems: unknown }).problems],
      ["degraded", problems],
    );
    assert.deepEqual(await get("/ready"), [503, { ready: false, phase: "serving", problems }]);

    problems = [];
    health.draining();
    assert.deepEqual(await get("/ready"), [503, { ready: false, phase: "draining", problems: [] }]);
    await server.close();
  });

  it("S3-US3.3: show metrics as text and as JSON, and on / what this is", async () => {
    const { url } = await startServer();
    const text = await fetch(`${url}/metrics`);
    assert.equal(text.headers.get("content-type"), "text/plain; version=0.0.4; charset=utf-8");
    assert.match(await text.text(), /^agentbus_connections 1$/m);
    const json = (await (await fetch(`${url}/metrics.json`)).json()) as Record<string, unknown>;
    assert.deepEqual(Object.keys(json), ["timestamp", "counters", "histograms", "gauges"]);
    assert.match(await (await fetch(`${url}/`)).text(), /agentbus 1\.2\.3[\s\S]*--list-methods/);
  });

  it("take GET and HEAD alone, and know no other path", async () => {
    const { url } = await startServer();
    const head = await fetch(`${url}/health`, { method: "HEAD" });
    assert.equal(head.status, 200);
    assert.equal(await head.text(), "");
    const posted = await fetch(`${url}/health?x=1`, { method: "POST", body: "{}" });
    assert.equal(posted.status, 405);
    assert.equal(posted.headers.get("allow"), "GET, HEAD");
    for (const path of ["/nothing", "/healthz", "/__proto__", "/constructor", "//health", "/a/b/c"]) {
      const response = await fetch(url + path);
      assert.equal(response.status, 404, path);
      assert.equal(((await response.json()) as { code: string }).code, "unimplemented");
    }
    const head2 = await call(await openSession(url), { ":path": "/health", ":method": "HEAD" });
    assert.deepEqual([head2.status, head2.body], [200, ""]);
  });

  it("S1-6b: want a key where the configuration says so, metrics one with admin", async () => {
    const { url } = await startServer({ authenticator, publicEndpoints: { health: true, metrics: false } });
    const status = async (path: string, key?: string) =>
      (await fetch(url + path, key === undefined ? {} : bearer(key))).status;
    assert.equal(await status("/health"), 200);
    assert.equal(await status("/metrics"), 401);
    assert.equal(await status("/metrics.json", "wrong"), 401);
    assert.equal(await status("/metrics", plain.key), 403);
    assert.equal(await status("/metrics", admin.key), 200);
    const refused = await fetch(`${url}/metrics`);
    assert.match(refused.headers.get("www-authenticate") ?? "", /^Bearer/);
    const body = (await refused.json()) as { code: string; message: string };
    assert.deepEqual([body.code, body.message.includes("is missing")], ["unauthenticated", true]);
  });

  it("S1-6b: may want a key for health, too", async () => {
    const { url } = await startServer({ authenticator, publicEndpoints: { health: false, metrics: true } });
    for (const path of ["/health", "/ready", "/version"]) {
      assert.equal((await fetch(url + path)).status, 401, path);
      assert.equal((await fetch(url + path, bearer(plain.key))).status, 200, path);
    }
    assert.equal((await fetch(`${url}/metrics`)).status, 200);
    assert.equal((await fetch(`${url}/`)).status, 200);
  });
});

describe("banner", () => {
  const options = {
    version: "1.2.3",
    url: "http://127.0.0.1:7400",
    storage: "memory:",
    durable: false,
    keysRequired: false,
    public: false,
    colours: false,
  };

  it("says where it listens, that memory forgets, and what to try", () => {
    const text = bannerText(options);
    assert.match(text, /agentbus 1\.2\.3 listens on http:\/\/127\.0\.0\.1:7400 /);
    assert.match(text, /forgets everything.*--storage file:\.\/data/);
    assert.match(text, /curl -H 'content-type: application\/json' -d '\{"agentId":"alice".*BusService\/Publish/);
    assert.match(text, /buf curl --http2-prior-knowledge --protocol grpc -d/);
    assert.ok(!text.includes("\u001b"));
  });

  it("warns who is reached by strangers, and shows how a key is sent", () => {
    assert.match(bannerText({ ...options, public: true }), /everyone who reaches this port/);
    const secure = bannerText({
      ...options,
      keysRequired: true,
      durable: true,
      storage: "file:./data",
      url: "https://a:1",
    });
    assert.match(secure, /-H "authorization: Bearer \$AGENTBUS_API_KEY"/);
    assert.match(secure, /outlives/);
    assert.doesNotMatch(secure, /prior-knowledge/);
    assert.ok(bannerText({ ...options, colours: true }).includes("\u001b["));
  });
});
